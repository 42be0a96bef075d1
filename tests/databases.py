"""Real databases for tests: a PostgreSQL of our own, and templates that are copied for every test."""

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url

from idp.app import create_app
from idp.platform import schema
from idp.platform.database import db
from idp.platform.settings import Settings
from tests import postgresql
from tests.postgresql import Server

SECRET_KEY = "Wq3bT0xkYv9mJc5RzN7uHs2LfE8aPd1Gi6oUnXtKyBhVjMwQ"
"""The master key of every provider under test."""

_ADDRESS = "CANOPY_TEST_POSTGRESQL"
_server_key = pytest.StashKey[Server]()


def start_postgresql(config: pytest.Config) -> None:
    """Start the server, once; it lives until `stop_postgresql`."""
    if _ADDRESS in os.environ:
        return
    server = config.stash[_server_key] = postgresql.start()
    for setting in ("fsync = off", "full_page_writes = off", "synchronous_commit = off"):
        postgresql.administer(server.address, f"ALTER SYSTEM SET {setting}")
    postgresql.administer(server.address, "SELECT pg_reload_conf()")
    os.environ[_ADDRESS] = server.address


def stop_postgresql(config: pytest.Config) -> None:
    """Stop the server, if this process started it."""
    if _server_key in config.stash:
        config.stash[_server_key].stop()
        del os.environ[_ADDRESS]


def settings_for(url: str) -> Settings:
    """Settings of a provider under test on the database at `url`."""
    return Settings(issuer="http://localhost:8000", database_url=url, secret_key=(SECRET_KEY,))


def app_on(url: str) -> Flask:
    """A provider under test on the database at `url`."""
    app = create_app(settings_for(url))
    app.testing = True
    return app


def dispose() -> None:
    """Let go of every connection of the current application."""
    db.session.remove()
    db.engine.dispose()


@dataclass
class Template:
    """A migrated, empty database: `kind` is `sqlite` or `postgresql`, `name` its file or its database."""

    kind: str
    name: str
    _lent: "Lent | None" = None

    @contextlib.contextmanager
    def lend(self, folder: Path) -> Iterator[str]:
        """The address of a copy that is as good as fresh: on PostgreSQL the one of the test before, put back."""
        if self.kind == "sqlite":
            with self.copy(folder) as url:
                yield url
            return
        if self._lent is None or not self._lent.rows.put_back():
            self.close()
            copy = self.copy(folder)
            self._lent = Lent(copy, Rows(copy.__enter__()))
        yield self._lent.rows.url

    def close(self) -> None:
        """Drop what was lent."""
        if self._lent is not None:
            self._lent.copy.__exit__(None, None, None)
            self._lent = None

    @contextlib.contextmanager
    def copy(self, folder: Path) -> Iterator[str]:
        """The address of a fresh copy, gone afterwards."""
        if self.kind == "sqlite":
            path = folder / "canopy.db"
            shutil.copyfile(self.name, path)
            yield f"sqlite:///{path}"
            return
        name = f"t_{uuid.uuid4().hex}"
        _administer(f'CREATE DATABASE "{name}" TEMPLATE "{self.name}" STRATEGY FILE_COPY')
        try:
            yield postgresql.address_of(os.environ[_ADDRESS], name)
        finally:
            _administer(f'DROP DATABASE "{name}" WITH (FORCE)')


@dataclass(frozen=True)
class Lent:
    """A copy that one test after the other has."""

    copy: contextlib.AbstractContextManager[str]
    rows: "Rows"


class Rows:
    """The rows of a database on PostgreSQL, which can be put back: much faster than making another database."""

    def __init__(self, url: str) -> None:
        self.url = url
        with psycopg.connect(url) as connection:
            connection.execute(_KEEP)
            self._shape = connection.execute(_SHAPE).fetchone()

    def put_back(self) -> bool:
        """Let the database hold its first rows and no others, and nobody be connected to it.

        Whether that was possible: not when a test changed more than rows.
        """
        try:
            with psycopg.connect(self.url, autocommit=True) as connection:  # a transaction sees who is there just once
                end = time.monotonic() + 10
                while connection.execute(_SEND_AWAY).fetchall():
                    if time.monotonic() > end:
                        return False
                    time.sleep(0.005)
                if connection.execute(_SHAPE).fetchone() != self._shape:
                    return False
                connection.execute("SELECT kept.put_back()")
        except psycopg.OperationalError:
            return False
        return True


_KEEP = """
CREATE SCHEMA kept;
DO $$
DECLARE name text;
BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('CREATE TABLE kept.%1$I AS TABLE public.%1$I', name);
  END LOOP;
END $$;
CREATE TABLE kept."their sequences" AS
  SELECT sequencename, coalesce(last_value, start_value) AS value, last_value IS NOT NULL AS is_called
  FROM pg_sequences WHERE schemaname = 'public';
CREATE VIEW kept."their changes" AS -- complete once the sessions that made them have ended
  SELECT relname, n_tup_ins + n_tup_upd + n_tup_del AS number FROM pg_stat_user_tables WHERE schemaname = 'public';
CREATE TABLE kept."their changes until then" AS TABLE kept."their changes";
CREATE FUNCTION kept.put_back() RETURNS void LANGUAGE plpgsql AS $$
DECLARE name text; are_counted boolean; is_changed boolean;
BEGIN
  PERFORM set_config('session_replication_role', 'replica', true); -- no foreign keys, and the trail lets go of entries
  are_counted := NOT EXISTS ( -- a server that was killed begins at nought
    SELECT FROM kept."their changes" JOIN kept."their changes until then" AS before USING (relname)
    WHERE "their changes".number < before.number);
  FOR name IN
    SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND NOT (are_counted AND EXISTS (
      SELECT FROM kept."their changes" JOIN kept."their changes until then" USING (relname, number)
      WHERE relname = tablename))
  LOOP
    EXECUTE format('SELECT EXISTS ((TABLE public.%1$I EXCEPT ALL TABLE kept.%1$I) UNION ALL '
                   '(TABLE kept.%1$I EXCEPT ALL TABLE public.%1$I))', name) INTO is_changed;
    IF is_changed THEN
      EXECUTE format('DELETE FROM public.%1$I', name);
      EXECUTE format('INSERT INTO public.%1$I OVERRIDING SYSTEM VALUE TABLE kept.%1$I', name);
    END IF;
  END LOOP;
  UPDATE kept."their changes until then" AS before SET number = now.number FROM kept."their changes" AS now
  WHERE before.relname = now.relname AND before.number <> now.number;
  PERFORM setval(format('public.%I', sequencename)::regclass, value, is_called) FROM kept."their sequences";
END $$;
"""

_SEND_AWAY = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
AND backend_type = 'client backend'
"""

_SHAPE = """
SELECT
  (SELECT md5(string_agg(concat_ws(' ', oid, relname, relkind, relfilenode), ',' ORDER BY oid)) FROM pg_class
   WHERE relnamespace = 'public'::regnamespace),
  (SELECT md5(string_agg(concat_ws(' ', attrelid, attname, atttypid, attnotnull), ',' ORDER BY attrelid, attnum))
   FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid WHERE relnamespace = 'public'::regnamespace),
  (SELECT md5(string_agg(concat_ws(' ', oid, tgname, tgenabled), ',' ORDER BY oid)) FROM pg_trigger),
  (SELECT md5(string_agg(concat_ws(' ', oid, conname), ',' ORDER BY oid)) FROM pg_constraint)
"""


def template(kind: str, folder: Path) -> Iterator[Template]:
    """A template of `kind`, migrated by our own migrations."""
    with empty(kind, folder / "template.db") as url:
        with app_on(url).app_context():
            schema.upgrade()
            dispose()
        made = Template(kind, str(make_url(url).database))
        yield made
        made.close()


@contextlib.contextmanager
def empty(kind: str, path: Path) -> Iterator[str]:
    """The address of a database in which there is nothing, gone afterwards; on SQLite the file `path`."""
    if kind == "sqlite":
        yield f"sqlite:///{path}"
        return
    name = f"empty_{uuid.uuid4().hex}"
    url = postgresql.create(os.environ[_ADDRESS], name)
    try:
        yield url
    finally:
        _administer(f'DROP DATABASE "{name}" WITH (FORCE)')


def _administer(statement: str) -> None:
    postgresql.administer(os.environ[_ADDRESS], statement)
