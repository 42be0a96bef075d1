"""Acme and Birch (`actors`) as they were made, for every test, once on SQLite and once on PostgreSQL."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from idp.app import start
from idp.platform import memory
from tests import databases
from tests.databases import Rows, Template
from tests.organizations import actors


@pytest.fixture(scope="session")
def settled(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Settled"]:
    """A database with Acme and Birch in it."""
    with template.copy(tmp_path_factory.mktemp("settled")) as url:
        app = databases.app_on(url)
        with app.app_context():
            start()
            actors.build()
            databases.dispose()
        yield Settled(app, url)


@pytest.fixture
def acme(settled: "Settled") -> Iterator[Flask]:
    """The provider, with its application context entered, and Acme and Birch as they were made."""
    settled.put_back()
    with settled.app.app_context():
        yield settled.app
        databases.dispose()


class Settled:
    """One database whose rows are put back for every test: faster than making another, and statements stay compiled."""

    def __init__(self, app: Flask, url: str) -> None:
        self.app = app
        self._file = Path(str(make_url(url).database))
        self._rows = None if url.startswith("sqlite") else Rows(url)
        if self._rows is None:
            shutil.copyfile(self._file, self._file.with_suffix(".kept"))

    def put_back(self) -> None:
        """Let the database hold the first rows alone, and the provider remember nothing. Nobody may be connected."""
        self.app.extensions.pop(memory.EXTENSION, None)
        if self._rows is not None:
            assert self._rows.put_back(), "a test changed more than rows"
            return
        for suffix in ("-wal", "-shm"):
            Path(f"{self._file}{suffix}").unlink(missing_ok=True)
        shutil.copyfile(self._file.with_suffix(".kept"), self._file)
