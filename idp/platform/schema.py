"""The schema of the database: Alembic migrations, safe to run from several nodes at once."""

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import cast

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

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


def upgrade(revision: str = "head") -> None:
    """Bring the schema up to `revision`. Nodes that try at once wait for one another; asking twice changes nothing."""
    with _alone() as connection:
        command.upgrade(_config(connection), revision)


def downgrade(revision: str) -> None:
    """Take the schema back to `revision` (`base`: nothing is left)."""
    with _alone() as connection:
        command.downgrade(_config(connection), revision)


def check() -> None:
    """Raise `SchemaBehind` or `SchemaAhead` unless the schema is the one that this code was written for."""
    scripts = ScriptDirectory.from_config(_config(None))
    with db.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current == scripts.get_current_head():
        return
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise SchemaAhead
    raise SchemaBehind


def differences() -> list[object]:
    """What the tables of this code and those of the database differ in; empty when migrations match the models."""
    with db.engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), Model.metadata))


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
