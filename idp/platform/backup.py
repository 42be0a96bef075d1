"""Backups: every row of every table as it was at one instant, in a form that either database takes back.

Format 1 is text, one JSON value a line. The first line is the manifest, an object: `format`, `schema` (the revision of
the tables), `made_at` (RFC 3339), `issuer`, `release`, and `tables`: their names, in the order in which they can be
filled, with the number of their rows. Then, for each of them, an object with `table` and `columns` (pairs of a name and
`text`, `int` or `bytes`), and a line a row: an array in the order of the columns, bytes in base64. On disk it is an
archive (`archive`).
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from itertools import islice
from typing import Any, Final, cast

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    Table,
    column,
    delete,
    func,
    insert,
    literal,
    select,
    table,
)
from sqlalchemy.types import BigInteger, Text

from idp.platform import clock, database, schema
from idp.platform.database import Model, db
from idp.platform.errors import Refusal
from idp.platform.settings import settings

FORMAT: Final = 1

_BATCH: Final = 1_000

_KINDS: Final = {Text: "text", BigInteger: "int", LargeBinary: "bytes"}

Progress = Callable[[int, int], None]
"""Told how many rows are done, of how many."""

Rows = list[dict[str, Any]]
"""Rows by the names of their columns."""


class NotABackup(Refusal):
    """The archive is ours, and what is in it cannot be restored by this release."""

    code = "not_a_backup"
    status = 422
    title = "What is in the archive cannot be restored by this release"
    remedy = "Use the release that made it, or a newer one."


@dataclass(frozen=True)
class Manifest:
    """What a backup says about itself. `tables`: how many rows each has."""

    format: int
    schema: str
    made_at: str
    issuer: str
    release: str
    tables: dict[str, int]

    @property
    def rows(self) -> int:
        """All rows together."""
        return sum(self.tables.values())


@dataclass(frozen=True)
class Part:
    """A table in a backup: its columns by name, each `text`, `int` or `bytes`."""

    name: str
    columns: Mapping[str, str]

    def row(self, values: list[Any]) -> dict[str, Any]:
        """A row as statements take it."""
        pairs = zip(self.columns.items(), values, strict=True)
        return {name: _read(kind, value) for (name, kind), value in pairs}


Look = Callable[[Part, Rows], object]
"""Shown some rows of one table."""


# Making


def dump(progress: Progress) -> Iterator[bytes]:
    """The backup, line by line, of one instant: who writes meanwhile neither waits nor is half in it."""
    with db.engine.connect() as connection:
        snapshot = connection.execution_options(stream_results=True, yield_per=_BATCH, **_one_instant())
        manifest = _manifest(snapshot)
        yield _line(asdict(manifest))
        done = 0
        for each in _tables():
            yield _line({"table": each.name, "columns": [(one.name, _kind(one)) for one in each.columns]})
            for rows in snapshot.execute(select(each)).partitions():
                yield b"".join(_line([_written(value) for value in row]) for row in rows)
                done += len(rows)
                progress(done, manifest.rows)


def _one_instant() -> dict[str, Any]:
    """On SQLite every read transaction sees one instant; PostgreSQL is asked for it."""
    return {} if database.is_sqlite() else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def _tables() -> list[Table]:
    return Model.metadata.sorted_tables


def _manifest(snapshot: Connection) -> Manifest:
    counts = {each.name: snapshot.execute(select(func.count()).select_from(each)).scalar_one() for each in _tables()}
    made_at = clock.iso(clock.now())
    return Manifest(FORMAT, schema.head(), made_at, settings().issuer, version("canopy-idp"), counts)


def _kind(one: Column[Any]) -> str:
    return _KINDS[type(one.type)]


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _written(value: Any) -> Any:
    return b64encode(value).decode() if isinstance(value, bytes) else value


def _read(kind: str, value: Any) -> Any:
    return b64decode(value) if kind == "bytes" and value is not None else value


# Taking back


Batch = tuple[Part, list[list[Any]]]
"""Rows of one table."""


def read(pieces: Iterable[bytes]) -> tuple[Manifest, Iterator[Batch]]:
    """What a backup says about itself, and its rows. Raises `NotABackup`, the iterator too, as soon as it shows."""
    lines = _lines(pieces)
    said = next(lines, None)
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise NotABackup
    manifest = Manifest(**said)
    return manifest, _batches(manifest, lines)


def check(pieces: Iterable[bytes], look: Look, progress: Progress) -> Manifest:
    """Read a backup to its end without touching anything; what it says about itself. Raises `NotABackup`.

    `look` sees every row, and may refuse.
    """
    manifest, batches = read(pieces)
    _told(batches, manifest, progress, look)
    return manifest


def load(pieces: Iterable[bytes], revision: str, progress: Progress) -> None:
    """Replace everything in the database by what the backup holds; when that fails, by nothing.

    `revision` is the schema of the backup. The database stays closed until `schema.finish_restore`.
    """

    def fill(connection: Connection) -> None:
        manifest, batches = read(pieces)
        for name in reversed(manifest.tables):
            _empty(connection, name)
        _told(batches, manifest, progress, partial(_put, connection))
        _go_on_counting(connection, manifest)

    schema.rebuild(revision, fill)


def _told(batches: Iterator[Batch], manifest: Manifest, progress: Progress, take: Look) -> None:
    done = 0
    for part, rows in batches:
        take(part, [part.row(values) for values in rows])
        done += len(rows)
        progress(done, manifest.rows)


def _lines(pieces: Iterable[bytes]) -> Iterator[Any]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from map(_value, whole)
    if rest:
        raise NotABackup


def _value(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise NotABackup from None


def _batches(manifest: Manifest, lines: Iterator[Any]) -> Iterator[Batch]:
    for name, count in manifest.tables.items():
        head = next(lines, None)
        if not isinstance(head, dict) or head.get("table") != name:
            raise NotABackup
        part = Part(name, dict(head["columns"]))
        for size in _sizes(count):
            rows = list(islice(lines, size))
            if len(rows) < size or not all(isinstance(row, list) for row in rows):
                raise NotABackup
            yield part, rows
    if next(lines, None) is not None:
        raise NotABackup


def _sizes(count: int) -> Iterator[int]:
    """`count` rows in batches."""
    for begun in range(0, count, _BATCH):
        yield min(_BATCH, count - begun)


def _put(connection: Connection, part: Part, rows: Rows) -> None:
    """Put rows into their table: by `COPY` on PostgreSQL, which takes half the time."""
    if database.is_sqlite():
        connection.execute(insert(table(part.name, *(column(name) for name in part.columns))), rows)
        return
    names = SQL(", ").join(map(Identifier, part.columns))
    into = SQL("COPY {} ({}) FROM STDIN").format(Identifier(part.name), names)
    driver = cast("psycopg.Connection[tuple[object, ...]]", connection.connection.driver_connection)
    with driver.cursor() as cursor, cursor.copy(into) as copy:
        for row in rows:
            copy.write_row(tuple(row.values()))


def _empty(connection: Connection, name: str) -> None:
    """Take away what migrations have put in; where they put nothing, a table may not even allow it."""
    if connection.execute(select(literal(1)).select_from(table(name)).limit(1)).first():
        connection.execute(delete(table(name)))


def _go_on_counting(connection: Connection, manifest: Manifest) -> None:
    """PostgreSQL: numbers that the database gives out go on after the highest that is there."""
    if database.is_sqlite():
        return
    for each in _tables():
        for one in each.columns if each.name in manifest.tables else ():
            if one.identity is not None:
                following = select(func.coalesce(func.max(one), 0) + 1).scalar_subquery()
                sequence = func.pg_get_serial_sequence(each.name, one.name)
                connection.execute(select(func.setval(sequence, following, False)))
