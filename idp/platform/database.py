"""The database: one engine, one session a request, and the one way to write.

* `writing()` opens the only kind of transaction that may write. On SQLite writers queue on a lock of ours (a file
  lock, because workers are processes) before `BEGIN IMMEDIATE`; on PostgreSQL it is READ COMMITTED.
* Every other transaction reads, and the database is told so: a forgotten `writing()` fails loudly.
* `before_commit` steps run as the very last statements of a writing transaction (the change feed registers one).
* `Prepared` runs a statement that was compiled once, on the session's own driver connection.
* What is slow (hashing, resolving, fetching, sending) calls `not_while_writing` and so cannot hold up writers.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

import psycopg
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from psycopg.pq import TransactionStatus
from sqlalchemy import BigInteger, LargeBinary, MetaData, Text, event, text
from sqlalchemy.dialects import registry, sqlite
from sqlalchemy.engine import Connection, Dialect, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, SessionTransaction, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool
from sqlalchemy.sql import ClauseElement, Executable
from sqlalchemy.sql.compiler import SQLCompiler

from idp.platform import clock, metrics, turns
from idp.platform.errors import Refusal, Unavailable

POOL_SIZE = 32
"""Connections a process may hold; as many as it has threads, so that no request waits for another's connection."""

LOCK_WAIT = 5.0
"""Seconds a writer waits for its turn before the caller is told to come back."""

_WRITING: Final = "canopy_writing"
_CONNECTION: Final = "canopy_connection"


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
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(url)
    db.init_app(app)
    with app.app_context():
        if is_sqlite():
            event.listen(db.engine, "connect", _prepare_sqlite)
            event.listen(db.engine, "begin", _begin_sqlite)
        else:
            event.listen(db.engine, "do_connect", _connect_postgresql)


def session() -> Session:
    """The session of this request, command or job."""
    return db.session()


def is_sqlite() -> bool:
    """Whether the data is in SQLite (else it is in PostgreSQL)."""
    return db.engine.dialect.name == "sqlite"


def _engine_options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "poolclass": _TimedPool,
        "pool_size": POOL_SIZE,
        "pool_use_lifo": True,  # the last one has most in its caches
        "max_overflow": 0,
        "pool_timeout": 2,
        "hide_parameters": True,  # values are nothing for logs
    }
    if make_url(url).get_backend_name() == "sqlite":
        connect = {"timeout": LOCK_WAIT, "check_same_thread": False}
        return options | {"poolclass": _PoolWithPen, "connect_args": connect}
    return options | {
        "connect_args": {
            "connect_timeout": 2,
            "application_name": "canopy",
            "options": f"-c lock_timeout={int(LOCK_WAIT * 1000)} -c timezone=UTC",
        },
        "execution_options": {"postgresql_readonly": True},
    }


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
    is to be changed. Raises `DatabaseUnavailable` when the database is away or no turn came within `LOCK_WAIT`.
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
    taking = _takes_pen.set(True)
    try:
        current.connection(execution_options={_WRITING: True, "postgresql_readonly": False})
    finally:
        _takes_pen.reset(taking)


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
            held.enter_context(turns.turn(Path(f"{db.engine.url.database}.lock"), LOCK_WAIT))
        except TimeoutError:
            raise DatabaseUnavailable from None
        metrics.waited("turn", clock.monotonic() - began)
        yield


# Statements on hot paths


Row = TypeVar("Row")


class Prepared(Generic[Row]):
    """A statement compiled once per database, run on the session's own driver connection, in its transaction.

    Type decorators, JSON and column defaults do not run, and an expanding `IN` cannot be compiled: such statements
    speak only text, bytes and integers. Rows arrive as `row`, a frozen dataclass whose fields stand in the order of
    the columns.
    """

    def __init__(self, statement: Executable, row: Callable[..., Row]) -> None:
        self._statement = statement
        self._row = row

    def all(self, **values: str | bytes | int | None) -> list[Row]:
        """Every row, in the statement's order."""
        return [self._row(*columns) for columns in self._run(values).fetchall()]

    def one(self, **values: str | bytes | int | None) -> Row | None:
        """The first row, or `None` when there is none."""
        columns = self._run(values).fetchone()
        return None if columns is None else self._row(*columns)

    def run(self, **values: str | bytes | int | None) -> int:
        """Run for effect; how many rows it touched."""
        return int(self._run(values).rowcount)

    def sql(self) -> str:
        """The compiled text, for plans and tests."""
        return self._compiled(db.engine.dialect.name).text

    def parameters(self, values: Mapping[str, Any]) -> list[Any]:
        """`values` in the shape that the driver takes beside `sql()`; on PostgreSQL with a raw cursor of psycopg."""
        return self._compiled(db.engine.dialect.name).parameters(values)

    def _run(self, values: Mapping[str, Any]) -> Any:
        connection = _connection()
        compiled = self._compiled(connection.dialect.name)
        return _drive(connection, lambda cursor: cursor.execute(compiled.text, compiled.parameters(values)))

    def _compiled(self, database: str) -> "_Compiled":
        return self._sqlite if database == "sqlite" else self._postgresql

    @cached_property
    def _sqlite(self) -> "_Compiled":
        return _Compiled.of(self._statement, sqlite.dialect())

    @cached_property
    def _postgresql(self) -> "_Compiled":
        return _Compiled.of(self._statement, registry.load("postgresql.psycopg")(paramstyle="numeric_dollar"))


@dataclass(frozen=True)
class _Compiled:
    """A statement as one database takes it. `names`: of the parameters by place; `fixed`: those of its own."""

    text: str
    names: tuple[str, ...]
    fixed: Mapping[str, Any]

    @classmethod
    def of(cls, statement: Executable, dialect: Dialect) -> "_Compiled":
        compiled = cast(SQLCompiler, cast(ClauseElement, statement).compile(dialect=dialect))
        fixed = {name: bound.effective_value for name, bound in compiled.binds.items() if not bound.required}
        return cls(compiled.string, tuple(compiled.positiontup or ()), fixed)

    def parameters(self, values: Mapping[str, Any]) -> list[Any]:
        """Their values, by place."""
        given = {**self.fixed, **values}
        return [given[name] for name in self.names]


def _connection() -> Connection:
    """The session's connection in its transaction; remembered, because asking costs more than reading a row by key.

    A savepoint begins only when it is asked there, for the first time. After a failure that ended the transaction it
    refuses: the driver would go on, and SQLite keep what it does.
    """
    current = session()
    current.flush()
    known: tuple[SessionTransaction, Connection] | None = current.info.get(_CONNECTION)
    if known and known[0] is _innermost(current) and known[0].is_active:
        return known[1]
    connection = current.connection()
    current.info[_CONNECTION] = (_innermost(current), connection)
    return connection


def _innermost(current: Session) -> SessionTransaction | None:
    return current.get_nested_transaction() or current.get_transaction()


def _drive(connection: Connection, act: Callable[[Any], object]) -> Any:
    """Let `act` use a cursor of the driver connection; the cursor. On PostgreSQL it leaves statements as they are."""
    driver = connection.connection
    is_raw = connection.dialect.name == "postgresql"
    cursor = psycopg.RawCursor(cast("psycopg.Connection[Any]", driver.driver_connection)) if is_raw else driver.cursor()
    try:
        act(cursor)
    except psycopg.OperationalError as error:
        _let_go(connection, error)
        raise
    return cursor


def _let_go(connection: Connection, error: psycopg.OperationalError) -> None:
    """Forget a broken connection, and whatever is as old: when the server restarts, all of them are dead.

    As SQLAlchemy does for its own statements: each is closed when it would be used next, and younger ones stay.
    """
    broken = connection.connection
    if cast("psycopg.Connection[Any]", broken.driver_connection).closed:
        db.engine.pool._invalidate(broken, error)
        connection.invalidate(error)


CHUNK = 1_000
"""Values of one statement's `IN`, or rows of one `INSERT`: far below every limit of both databases."""

Item = TypeVar("Item")


def chunks(items: Sequence[Item]) -> Iterator[list[Item]]:
    """`items` in lists of at most `CHUNK`, for statements that take many at once."""
    for start in range(0, len(items), CHUNK):
        yield list(items[start : start + CHUNK])


Columns = Mapping[str, str | bytes | int | None]
"""A row by the names of its columns."""


def insert_many(table: type[Model], rows: Sequence[Columns]) -> None:
    """Insert `rows`, which name the same columns, the fastest way there is: by COPY on PostgreSQL.

    Column defaults do not run. What another has taken raises SQLAlchemy's `IntegrityError`, as any insert does.
    """
    if not rows:
        return
    names, name = list(rows[0]), table.__tablename__
    values = [tuple(row[column] for column in names) for row in rows]
    marks = ", ".join("?" * len(names))
    statement = f"INSERT INTO {name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 names of our own columns
    try:
        if is_sqlite():
            _drive(_connection(), lambda cursor: cursor.executemany(statement, values))
        else:
            _drive(_connection(), lambda cursor: _copy(cursor, f"COPY {name} ({', '.join(names)}) FROM STDIN", values))
    except (sqlite3.IntegrityError, psycopg.IntegrityError) as error:
        raise IntegrityError(statement, None, error, hide_parameters=True) from error


def _copy(cursor: psycopg.Cursor[Any], statement: str, values: Sequence[tuple[object, ...]]) -> None:
    with cursor.copy(statement.encode()) as copy:
        for row in values:
            copy.write_row(row)


def analyze(*tables: type[Model]) -> None:
    """Let the planner of PostgreSQL see what this transaction has written to `tables`; SQLite's plans do without.

    For acts that write many rows and then ask for them: autovacuum sees them only once they are committed.
    """
    if not is_sqlite():
        for table in tables:
            session().execute(text(f"ANALYZE {table.__tablename__}"))


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
