"""Acme and Birch (`actors`) on a fresh database, once on SQLite and once on PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from idp.app import start
from idp.platform.database import Model
from tests import databases
from tests.databases import Template
from tests.organizations import actors


@pytest.fixture(scope="session")
def settled(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Settled"]:
    """A database with Acme and Birch in it, to begin every test with."""
    with template.copy(tmp_path_factory.mktemp("settled")) as url:
        with databases.app_on(url).app_context():
            start()
            actors.build()
            databases.dispose()
        yield Settled(template.kind, url)


@pytest.fixture
def acme(settled: "Settled", tmp_path: Path) -> Iterator[Flask]:
    """The provider, with its application context entered, and Acme and Birch as they were made."""
    with settled.anew(tmp_path) as url:
        app = databases.app_on(url)
        with app.app_context():
            yield app
            databases.dispose()


class Settled:
    """Rows to begin with. On PostgreSQL they are put back into one database: ten times as fast as making another."""

    def __init__(self, kind: str, url: str) -> None:
        self._kind = kind
        self._url = url
        self._tables = [table.name for table in Model.metadata.sorted_tables]
        if kind == "postgresql":
            copies = (f'CREATE TABLE kept."{name}" AS TABLE "{name}"' for name in self._tables)
            self._execute("CREATE SCHEMA kept", *copies)

    @contextmanager
    def anew(self, folder: Path) -> Iterator[str]:
        """The address of a database with those rows and no others."""
        if self._kind == "sqlite":
            with Template("sqlite", str(make_url(self._url).database)).copy(folder) as url:
                yield url
            return
        self._execute(
            "SET session_replication_role = replica",  # no foreign keys, and the trail lets go of its entries
            *(f'DELETE FROM "{name}"' for name in self._tables),
            *(f'INSERT INTO "{name}" OVERRIDING SYSTEM VALUE TABLE kept."{name}"' for name in self._tables),
        )
        yield self._url

    def _execute(self, *statements: str) -> None:
        with psycopg.connect(self._url) as connection:
            connection.execute("; ".join(statements).encode())
