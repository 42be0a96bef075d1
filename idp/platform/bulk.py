"""Many rows at a time."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from idp.platform import driver
from idp.platform.database import Model, is_sqlite, session

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
    columns, marks = ", ".join(names), ", ".join("?" * len(names))
    statement = f"INSERT INTO {name} ({columns}) VALUES ({marks})"  # noqa: S608 names of our own columns
    connection = driver.connection()
    try:
        if is_sqlite():
            driver.drive(connection, lambda cursor: cursor.executemany(statement, values))
        else:
            driver.drive(connection, lambda cursor: _copy(cursor, f"COPY {name} ({columns}) FROM STDIN", values))
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
