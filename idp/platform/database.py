"""The database: one engine, one session a request, and the one way to write.

* `writing()` opens the only kind of transaction that may write. On SQLite writers queue on a lock of ours (a file
  lock, because workers are processes) before `BEGIN IMMEDIATE`; on PostgreSQL it is READ COMMITTED.
* Every other transaction reads, and the database is told so (`connecting`).
* `before_commit` steps run as the very last statements of a writing transaction (the change feed registers one).
* What is slow (hashing, resolving, fetching, sending) calls `not_while_writing` and so cannot hold up writers.
* `prepared` has statements for hot paths, `bulk` is for many rows at a time.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import psycopg
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, LargeBinary, MetaData, Text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from idp.platform import clock, connecting, metrics, turns
from idp.platform.errors import Refusal, Unavailable

_WRITING: Final = "canopy_writing"


class Model(DeclarativeBase):
    """The base of every table. Names of constraints follow one convention, so that SQLite migrations are reversible."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {int: BigInteger, str: Text, bytes: LargeBinary}  # noqa: RUF012 SQLAlchemy reads a plain dict


class Period:
    """An edge with history: true from `started_at` until `ended_at` (microseconds UTC; `None`: true now).

    Ended and made anew, never edited: "what was true at T" is the same question with T instead of now.
    """

    started_at: Mapped[int] = mapped_column(default=clock.now)
    ended_at: Mapped[int | None]

    def end(self) -> None:
        """Say that this is true no longer. An end never lies before its beginning, whatever the clocks of nodes say."""
        if self.ended_at is None:
            self.ended_at = max(clock.now(), self.started_at)


db = SQLAlchemy(metadata=Model.metadata, session_options={"autoflush": True})


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or a writer waited in vain for its turn."""

    code = "database_unavailable"
    title = "The service cannot reach its data just now"


def init(app: Flask, url: str) -> None:
    """Wire the engine for `url` (`sqlite:////absolute/path` or `postgresql://…`) into `app`."""
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = connecting.options(url)
    db.init_app(app)
    with app.app_context():
        connecting.prepare(db.engine)


def session() -> Session:
    """The session of this request, command or job."""
    return db.session()


def is_sqlite() -> bool:
    """Whether the data is in SQLite (else it is in PostgreSQL)."""
    return db.engine.dialect.name == "sqlite"


def look() -> None:
    """Begin a reading transaction all of whose statements see one instant; it ends with the next `writing()`."""
    current = session()
    current.rollback()
    one_instant = {} if is_sqlite() else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    current.connection(execution_options=one_instant)


# Writing


BeforeCommit = Callable[[Session], None]
_before_commit: list[BeforeCommit] = []


def before_commit(step: BeforeCommit) -> BeforeCommit:
    """Register `step` to run as the very last act of every writing transaction, before its commit."""
    if step not in _before_commit:
        _before_commit.append(step)
    return step


def is_writing() -> bool:
    """Whether the current session is inside `writing()`."""
    return bool(session().info.get(_WRITING))


def not_while_writing(act: str) -> None:
    """Refuse to do something slow while a writing transaction is open: verify first, then open, check again, write."""
    if db.session.registry.has() and is_writing():
        raise RuntimeError(f"{act} inside a writing transaction: do it before database.writing() is opened")


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """The one way to write: a transaction that commits when the block ends and rolls back when it raises.

    A `Refusal` with `keeps` is committed and then raised again. Objects loaded before are expired: load inside what
    is to be changed. Raises `DatabaseUnavailable` when the database is away or no turn came in time.
    """
    current = session()
    if is_writing():
        raise RuntimeError("writing() inside writing(): doors open it, rules never do")
    if current.new or current.dirty or current.deleted:
        raise RuntimeError("changes were made outside of writing()")
    current.rollback()
    kept: Refusal | None = None
    with turn():
        current.info[_WRITING] = True
        try:
            _begin_writing(current)
            try:
                yield
            except Refusal as refusal:
                if not refusal.keeps:
                    raise
                kept = refusal
            current.flush()
            for step in _before_commit:
                step(current)
            current.commit()
        except BaseException:
            current.rollback()
            raise
        finally:
            current.info.clear()
    if kept:
        raise kept


def _begin_writing(current: Session) -> None:
    with connecting.with_pen():
        current.connection(execution_options=connecting.TO_WRITE)


@contextlib.contextmanager
def or_refuse(refusal: Refusal) -> Iterator[None]:
    """Write what the block adds, or raise `refusal` where another took what must be unique; the rest stays whole."""
    try:
        with session().begin_nested():
            yield
    except IntegrityError as error:
        if not _is_taken(error.orig):
            raise
        raise refusal from error


def _is_taken(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.IntegrityError):
        return error.sqlite_errorcode in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
    return isinstance(error, psycopg.errors.UniqueViolation)


@contextlib.contextmanager
def turn() -> Iterator[None]:
    """SQLite: wait for the one place at the pen, among our threads and our processes. See `turns`."""
    if not is_sqlite():
        yield
        return
    began = clock.monotonic()
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(turns.turn(Path(f"{db.engine.url.database}.lock"), connecting.LOCK_WAIT))
        except TimeoutError:
            raise DatabaseUnavailable from None
        metrics.waited("turn", clock.monotonic() - began)
        yield


# What an error of the driver means


def refusal_for(error: BaseException) -> DatabaseUnavailable | None:
    """The refusal that a driver's error amounts to, or `None` when it is a bug.

    Away, restarting, out of connections, locked for too long, full or read-only: 503, come back.
    """
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable()
    original = error.orig if isinstance(error, DBAPIError) else error
    away = isinstance(original, psycopg.OperationalError) or (
        isinstance(original, sqlite3.OperationalError) and any(word in str(original) for word in _SQLITE_AWAY)
    )
    return DatabaseUnavailable() if away else None


_SQLITE_AWAY: Sequence[str] = ("locked", "busy", "full", "readonly", "disk I/O", "unable to open")
