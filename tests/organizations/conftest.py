"""Acme and Birch (`actors`) as they were made, for every test, once on SQLite and once on PostgreSQL."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from idp.app import start
from idp.platform import memory
from idp.platform.database import Model
from tests import databases
from tests.databases import Template
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
        self._url = make_url(url)
        self._tables = [table.name for table in Model.metadata.sorted_tables]
        if self._is_sqlite():
            shutil.copyfile(self._file(), self._file().with_suffix(".kept"))
        else:
            copies = (f'CREATE TABLE kept."{name}" AS TABLE "{name}"' for name in self._tables)
            self._execute("CREATE SCHEMA kept", *copies)

    def put_back(self) -> None:
        """Let the database hold the first rows alone, and the provider remember nothing. Nobody may be connected."""
        memory.forget(self.app)
        if self._is_sqlite():
            for suffix in ("-wal", "-shm"):
                Path(f"{self._file()}{suffix}").unlink(missing_ok=True)
            shutil.copyfile(self._file().with_suffix(".kept"), self._file())
            return
        self._execute(
            "SET session_replication_role = replica",  # no foreign keys, and the trail lets go of its entries
            *(f'DELETE FROM "{name}"' for name in self._tables),
            *(f'INSERT INTO "{name}" OVERRIDING SYSTEM VALUE TABLE kept."{name}"' for name in self._tables),
        )

    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    def _file(self) -> Path:
        return Path(str(self._url.database))

    def _execute(self, *statements: str) -> None:
        with psycopg.connect(self._url.render_as_string(hide_password=False)) as connection:
            connection.execute("; ".join(statements).encode())
