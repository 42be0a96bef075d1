"""A database that goes away and comes back."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from idp.platform.database import db


@contextlib.contextmanager
def outage(url: str) -> Iterator[None]:
    """Inside, the database at `url` cannot be reached, and who was connected is cut off."""
    address = make_url(url)
    db.session.remove()
    around = _no_file(Path(str(address.database))) if address.drivername == "sqlite" else _no_connections(url)
    with around:
        yield
    db.session.remove()


@contextlib.contextmanager
def _no_file(path: Path) -> Iterator[None]:
    aside = path.with_suffix(".aside")
    db.engine.dispose()
    path.rename(aside)
    path.mkdir()
    yield
    path.rmdir()
    aside.rename(path)


@contextlib.contextmanager
def _no_connections(url: str) -> Iterator[None]:
    name = make_url(url).database
    with psycopg.connect(url.replace(f"/{name}?", "/postgres?"), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
