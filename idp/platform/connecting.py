"""Connections: what each of them is told first, and how the pool keeps those that write apart.

SQLite and PostgreSQL are told that a transaction only reads unless it was begun to write: a forgotten `writing()` fails
loudly. `database` is the room that uses them.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import cached_property
from typing import Any, Final, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event, make_url
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from idp.platform import clock, metrics

POOL_SIZE = 32
"""Connections a process may hold; as many as it has threads, so that no request waits for another's connection."""

LOCK_WAIT = 5.0
"""Seconds a writer waits for its turn before the caller is told to come back."""

CONNECT_WAIT = 2
"""Seconds until PostgreSQL counts as away that does not answer."""

TO_WRITE: Final = {"canopy_writing": True, "postgresql_readonly": False}
"""The options of a connection for a transaction that writes."""

_WRITING: Final = "canopy_writing"


def options(url: str) -> dict[str, Any]:
    """How the engine for `url` makes and keeps connections."""
    common: dict[str, Any] = {
        "poolclass": _TimedPool,
        "pool_size": POOL_SIZE,
        "pool_use_lifo": True,  # the last one has most in its caches
        "max_overflow": 0,
        "pool_timeout": 2,
        "hide_parameters": True,  # values are nothing for logs
    }
    if make_url(url).get_backend_name() == "sqlite":
        connect = {"timeout": LOCK_WAIT, "check_same_thread": False}
        return common | {"poolclass": _PoolWithPen, "connect_args": connect}
    return common | {
        "connect_args": {
            "connect_timeout": CONNECT_WAIT,
            "application_name": "canopy",
            "options": f"-c lock_timeout={int(LOCK_WAIT * 1000)} -c timezone=UTC",
        },
        "execution_options": {"postgresql_readonly": True},
    }


def prepare(engine: Engine) -> None:
    """Let every connection of `engine` be told what it is for."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "do_connect", _connect_postgresql)


@contextlib.contextmanager
def with_pen() -> Iterator[None]:
    """Whatever takes a connection inside takes one to write with."""
    taking = _takes_pen.set(True)
    try:
        yield
    finally:
        _takes_pen.reset(taking)


class _TimedPool(QueuePool):
    """Tells how long callers wait for a connection."""

    def connect(self) -> PoolProxiedConnection:
        began = clock.monotonic()
        connection = super().connect()
        metrics.waited("connection", clock.monotonic() - began)
        return connection


class _PoolWithPen(_TimedPool):
    """For SQLite: keeps connections to write with apart, so that none goes from one use to the other.

    What a connection has prepared is lost whenever it is told whether it may write: see `_begin_sqlite`.
    """

    def connect(self) -> PoolProxiedConnection:
        return _TimedPool.connect(self._pens if _takes_pen.get() else self)

    def dispose(self) -> None:
        super().dispose()
        if "_pens" in self.__dict__:
            self._pens.dispose()

    @cached_property
    def _pens(self) -> _TimedPool:
        return cast(_TimedPool, self.recreate())


_takes_pen: ContextVar[bool] = ContextVar("takes_pen", default=False)
"""Whether the connection that is asked for is to write."""


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """WAL and FULL: readers never wait for a writer, and what was acknowledged survives a power cut."""
    driver = cast(sqlite3.Connection, connection)
    driver.isolation_level = None  # the driver begins nothing by itself: `_begin_sqlite` does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
        driver.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Begin; and tell SQLite whether this writes, if it does not know: it prepares every statement anew, then."""
    writes = connection.get_execution_options().get(_WRITING, False)
    if connection.info.get(_WRITING) is not writes:
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        connection.info[_WRITING] = writes
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class _PostgreSQL(psycopg.Connection[Any]):
    """Ends what only read by COMMIT: with a ROLLBACK, psycopg forgets every statement that it has prepared."""

    def rollback(self) -> None:
        if self.read_only and self.info.transaction_status == TransactionStatus.INTRANS:
            self.commit()
        else:
            super().rollback()


def _connect_postgresql(_: object, __: object, arguments: Sequence[Any], named: Mapping[str, Any]) -> _PostgreSQL:
    return _PostgreSQL.connect(*arguments, **named)
