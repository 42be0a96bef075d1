"""Nodes: several providers on one database, each with a memory and master keys of its own."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from pydantic import SecretStr

from idp.app import create_app
from idp.audit.trail import Actor
from tests import databases

Node = Callable[..., Flask]


@pytest.fixture
def operator() -> Actor:
    """Whoever types the commands."""
    return Actor("operator", "olga")


@pytest.fixture
def node(database_url: str) -> Iterator[Node]:
    """Makes providers on the one database of this test, with these master keys (none given: the usual one)."""
    apps: list[Flask] = []

    def start(*masters: str) -> Flask:
        settings = databases.settings_for(database_url)
        if masters:
            settings = settings.model_copy(update={"secret_key": tuple(map(SecretStr, masters))})
        apps.append(create_app(settings))
        return apps[-1]

    yield start
    for app in apps:
        with app.app_context():
            databases.dispose()
