"""What tests of self-service share: people, and browsers in which they are signed in."""

from collections.abc import Iterator

import pytest
import time_machine
from flask import Flask
from time_machine import Traveller

from idp.platform import clock
from tests.actors import Browser
from tests.login.conftest import made
from tests.organizations.conftest import acme, settled

__all__ = ["acme", "settled"]

LATER = 6 * clock.MINUTE // clock.SECOND
"""Seconds after which nothing that was proven is recent any more."""


@pytest.fixture
def clockwork(app: Flask) -> Iterator[Traveller]:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        yield clockwork  # type: ignore[misc]


@pytest.fixture
def olivia(app: Flask) -> str:
    return made("olivia", email="olivia@northwind.test", given_name="Olivia", family_name="Lund")


@pytest.fixture
def bob(app: Flask) -> str:
    return made("bob")


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def other(app: Flask) -> Browser:
    """Another browser, on another machine."""
    return Browser(app, "198.51.100.9")
