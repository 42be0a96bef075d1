"""The schema of the database: Alembic migrations, safe to run from several nodes at once."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import cast

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from idp.platform import database, resources
from idp.platform.database import Model, db
from idp.platform.errors import Refusal

_LOCK = 7_214_901
"""The PostgreSQL advisory lock that one migrating node holds."""


class SchemaBehind(Refusal):
    """The database is older than the code."""

    code = "schema_behind"
    status = 503
    title = "The database schema is older than this release"
    remedy = "Run `idp db upgrade`."


class SchemaAhead(Refusal):
    """The database is newer than the code: an older release must not touch it."""

    code = "schema_ahead"
    status = 503
    title = "The database schema is newer than this release"
    remedy = "Start the release that made it, or a newer one."


class RestoreUnfinished(Refusal):
    """A backup was being restored here, and that did not come to its end."""

    code = "restore_unfinished"
    status = 503
    title = "A restore of this database was begun and did not come to its end"
    remedy = "Run `idp restore` again, with --replace."


def upgrade(revision: str = "head") -> None:
    """Bring the schema up to `revision`. Nodes that try at once wait for one another; asking twice changes nothing."""
    with _alone() as connection:
        _require_finished(connection)
        command.upgrade(_config(connection), revision)


def downgrade(revision: str) -> None:
    """Take the schema back to `revision` (`base`: nothing is left)."""
    with _alone() as connection:
        command.downgrade(_config(connection), revision)


def check() -> None:
    """Raise `SchemaBehind` or `SchemaAhead` unless the schema is the one that this code was written for."""
    with db.engine.connect() as connection:
        _require_finished(connection)
        current = _revision(connection)
    if current == head():
        return
    if current is not None and current not in _known():
        raise SchemaAhead
    raise SchemaBehind


def head() -> str:
    """The revision that this code was written for."""
    return str(ScriptDirectory.from_config(_config(None)).get_current_head())


# Restoring


_RESTORING = "restoring"
"""Stands for a revision from when tables were filled until `finish_restore`: nothing starts on such a database."""


def rebuild(revision: str, fill: Callable[[Connection], None]) -> None:
    """Drop every table, make those of `revision`, let `fill` put rows in, and bring all to this release; or do nothing.

    The database stays closed until `finish_restore`. Raises `SchemaAhead` when this code does not know `revision`, or
    what is in the database now.
    """
    known = _known()
    if revision not in known:
        raise SchemaAhead("The backup is of a newer release.")
    with _alone() as connection:
        config, current = _config(connection), _revision(connection)
        if current == _RESTORING:
            _set_revision(connection, head())
        elif current is not None and current not in known:
            raise SchemaAhead
        command.downgrade(config, "base")
        command.upgrade(config, revision)
        fill(connection)
        command.upgrade(config, "head")
        _set_revision(connection, _RESTORING)


def finish_restore(session: Session) -> None:
    """Open the database for everybody, with the commit of `session`."""
    _set_revision(session.connection(), head())


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config(None)).walk_revisions()}


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _set_revision(connection: Connection, revision: str) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def _require_finished(connection: Connection) -> None:
    if _revision(connection) == _RESTORING:
        raise RestoreUnfinished


def differences() -> list[object]:
    """What the tables of this code and those of the database differ in; empty when migrations match the models."""
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=comparison(connection))
        return list(compare_metadata(context, Model.metadata))


def comparison(connection: Connection) -> dict[str, bool]:
    """How tables are compared with models, for Alembic.

    SQLite knows no `Identity`, so that a column which has one would seem to have lost it each time.
    """
    return {"compare_type": True, "compare_server_default": connection.dialect.name != "sqlite"}


def make_revision(message: str) -> None:
    """Write a migration file for what `differences` finds."""
    with _alone() as connection:
        command.revision(_config(connection), message=message, autogenerate=True)


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.folder("migrations")).replace("%", "%%"))
    config.set_main_option("file_template", "%%(slug)s")
    config.attributes["connection"] = connection
    return config


@contextlib.contextmanager
def _alone() -> Iterator[Connection]:
    """A writing connection, for one node at a time."""
    database.session().rollback()
    with database.turn(), db.engine.connect() as plain:
        connection = plain.execution_options(canopy_writing=True, postgresql_readonly=False)
        with _foreign_keys_rest(connection), connection.begin():
            if not database.is_sqlite():
                connection.execute(text("SET LOCAL lock_timeout = '60s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield connection
            if database.is_sqlite() and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise RuntimeError("the migration would leave rows without their counterpart")


@contextlib.contextmanager
def _foreign_keys_rest(connection: Connection) -> Iterator[None]:
    """SQLite rebuilds tables to change them: meanwhile keys rest, and `_alone` checks them all at the end."""
    if not database.is_sqlite():
        yield
        return
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    driver.execute("PRAGMA foreign_keys=OFF")  # past SQLAlchemy, for inside a transaction it would do nothing
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")
