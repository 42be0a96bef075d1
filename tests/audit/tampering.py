"""What somebody can do to the trail who writes the database past us: no trigger, no foreign key, no session of ours."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from flask import current_app
from sqlalchemy import make_url

from idp.audit.chain import FACTS, INSTANCE, Facts, Place, link
from idp.platform import database
from idp.platform.database import db

Execute = Callable[..., list[tuple[Any, ...]]]
"""Runs a statement with named parameters (`:name`); its rows, if it has any."""


@contextlib.contextmanager
def past_us() -> Iterator[Execute]:
    """A connection to the current database on which nothing protects the trail."""
    database.session().rollback()
    url = make_url(str(current_app.config["SQLALCHEMY_DATABASE_URI"]))
    with _on_sqlite(str(url.database)) if database.is_sqlite() else _on_postgresql() as execute:
        yield execute
    db.session.remove()


@contextlib.contextmanager
def _on_sqlite(path: str) -> Iterator[Execute]:
    with contextlib.closing(sqlite3.connect(path)) as connection:

        def execute(statement: str, **values: object) -> list[tuple[Any, ...]]:
            return connection.execute(statement, values).fetchall()

        connection.execute("PRAGMA foreign_keys=OFF")
        triggers = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for trigger in triggers:
            connection.execute(f"DROP TRIGGER {trigger}")
        yield execute
        connection.commit()


@contextlib.contextmanager
def _on_postgresql() -> Iterator[Execute]:
    with psycopg.connect(str(current_app.config["SQLALCHEMY_DATABASE_URI"])) as connection:

        def execute(statement: str, **values: object) -> list[tuple[Any, ...]]:
            for name in values:
                statement = statement.replace(f":{name}", f"%({name})s")
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

        connection.execute("SET session_replication_role = replica")
        yield execute


def entry_at(execute: Execute, number: int) -> str:
    """The id of the entry that stands at `number` in the chain of the instance."""
    return str(execute("SELECT entry_id FROM audit_seals WHERE number = :number", number=number)[0][0])


def forge_entry(execute: Execute, **said: object) -> str:
    """Put an entry in by hand; its id."""
    facts: dict[str, object] = dict.fromkeys(Facts.__dataclass_fields__)
    facts |= {"id": "aud_forged", "at": 1, "event": "grant.made", "actor_kind": "user", "actor_id": "usr_alice"}
    facts |= {"subject": "grant_forged", "source": "", "request_id": "req-forged"} | said
    names = ", ".join(facts)
    execute(f"INSERT INTO audit_entries ({names}) VALUES ({', '.join(f':{name}' for name in facts)})", **facts)
    return str(facts["id"])


def seal_anew(execute: Execute, number: int) -> bytes:
    """Compute the hash of the seal at `number` as we would; the new hash."""
    columns = ", ".join(f"e.{column.name}" for column in FACTS)
    [(sealed_at, *entry)] = execute(
        f"SELECT s.sealed_at, {columns} FROM audit_seals s JOIN audit_entries e ON e.id = s.entry_id"
        " WHERE s.number = :number",
        number=number,
    )
    before = execute("SELECT hash FROM audit_seals WHERE number = :number", number=number - 1)
    previous = bytes(before[0][0]) if before else b""
    anew = link(Facts(*entry), Place(INSTANCE, number, previous, sealed_at))
    execute("UPDATE audit_seals SET hash = :anew WHERE number = :number", anew=anew, number=number)
    return anew


def make_room(execute: Execute, number: int) -> None:
    """Move the seals from `number` on one place up."""
    execute("UPDATE audit_seals SET number = -number WHERE number >= :number", number=number)
    execute("UPDATE audit_seals SET number = 1 - number WHERE number < 0")


def swap(execute: Execute, column: str, one: int, other: int) -> None:
    """Let the seals at two numbers change their values of `column`."""
    found = f"SELECT hash, {column} FROM audit_seals WHERE number = :number"
    [(first_hash, first)] = execute(found, number=one)
    [(other_hash, second)] = execute(found, number=other)
    change = f"UPDATE audit_seals SET {column} = :value WHERE hash = :hash"
    execute(change, value=-1 if isinstance(first, int) else "aside", hash=first_hash)
    execute(change, value=first, hash=other_hash)
    execute(change, value=second, hash=first_hash)
