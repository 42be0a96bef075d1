"""Statements on hot paths: compiled once, and run on the driver's own connection."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

from sqlalchemy.dialects import registry, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement, Executable
from sqlalchemy.sql.compiler import SQLCompiler

from idp.platform import driver
from idp.platform.database import db

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
        connection = driver.connection()
        compiled = self._compiled(connection.dialect.name)
        return driver.drive(connection, lambda cursor: cursor.execute(compiled.text, compiled.parameters(values)))

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
