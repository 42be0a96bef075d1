"""The driver's own connection under the session: for statements that are not worth what SQLAlchemy asks for each."""

from collections.abc import Callable
from typing import Any, Final, cast

import psycopg
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, SessionTransaction

from idp.platform.database import db, session

_CONNECTION: Final = "canopy_connection"


def connection() -> Connection:
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


def drive(connection: Connection, act: Callable[[Any], object]) -> Any:
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
