"""The one way to write, and what every other transaction may not."""

import contextlib
import gc
import warnings
from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask
from sqlalchemy import bindparam, event, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError

from idp.platform import bulk, database, schema
from idp.platform.database import db
from idp.platform.errors import Conflict, Refusal
from idp.platform.jobs import Job
from idp.platform.prepared import Prepared
from tests.outage import outage


def _stored() -> int:
    return int(database.session().execute(text("SELECT count(*) FROM jobs")).scalar_one())


def _add() -> None:
    database.session().execute(
        text(
            "INSERT INTO jobs (id, kind, payload, due_at, attempts, beat, last_error)"
            " VALUES ('j', 'k', '{}', 0, 0, 0, '')"
        )
    )


def test_a_transaction_that_was_not_opened_for_writing_cannot_write(app: Flask) -> None:
    with pytest.raises(DBAPIError):
        _add()
    database.session().rollback()
    assert _stored() == 0


def test_writing_commits_and_a_refusal_rolls_back(app: Flask) -> None:
    with pytest.raises(Conflict), database.writing():
        _add()
        raise Conflict
    assert _stored() == 0
    with database.writing():
        _add()
    assert _stored() == 1


def test_a_refusal_that_keeps_is_committed_and_raised(app: Flask) -> None:
    class Spent(Refusal):
        keeps = True

    with pytest.raises(Spent), database.writing():
        _add()
        raise Spent
    assert _stored() == 1


def test_many_rows_that_another_has_are_refused_like_one_and_the_rest_stays(app: Flask) -> None:
    row: dict[str, str | int] = {
        "id": "j",
        "kind": "k",
        "payload": "{}",
        "due_at": 0,
        "attempts": 0,
        "beat": 0,
        "last_error": "",
    }
    with database.writing():
        bulk.insert_many(Job, [row, row | {"id": "other"}])
        with pytest.raises(Conflict), database.or_refuse(Conflict()):
            bulk.insert_many(Job, [row | {"id": "third"}, row])
    assert _stored() == 2
    with pytest.raises(IntegrityError) as refused, database.writing():
        bulk.insert_many(Job, [row])
    assert "last_error" in str(refused.value)
    assert _stored() == 2


def test_writing_does_not_nest(app: Flask) -> None:
    with pytest.raises(RuntimeError, match="doors open it"), database.writing(), database.writing():
        pass


def test_after_a_failure_that_undid_all_nothing_more_is_written(app: Flask) -> None:
    with database.writing():
        _add()
    with pytest.raises(PendingRollbackError), database.writing():
        _SPOIL.run(kind="spoiled")
        database.session().add(Job(id="j", kind="k", payload="{}", due_at=0))
        with pytest.raises(IntegrityError):
            database.session().flush()
        _SPOIL.run(kind="spoiled")
    assert _KINDS.all() == ["k"]


_SPOIL: Prepared[None] = Prepared(update(Job).values(kind=bindparam("kind")), lambda: None)


def test_what_a_connection_has_prepared_outlives_its_transactions(app: Flask) -> None:
    for _ in range(2):
        _read_then_write()
    with _statements() as seen:
        for _ in range(20):
            _read_then_write()
    told = [statement for statement in seen if statement.startswith("PRAGMA")]
    assert told == []  # for SQLite each would be the end of whatever its connection has prepared
    if not database.is_sqlite():
        prepared = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT jobs.kind%'")
        assert database.session().execute(prepared).scalar_one() == 1


def _read_then_write() -> None:
    _KINDS.all()
    with database.writing():
        _KINDS.all()
    database.db.session.remove()


_KINDS: Prepared[str] = Prepared(select(Job.kind), str)


@contextlib.contextmanager
def _statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def listen(*given: object) -> None:
        seen.append(str(given[2]))

    event.listen(db.engine, "before_cursor_execute", listen)
    yield seen
    event.remove(db.engine, "before_cursor_execute", listen)


def test_slow_acts_are_refused_inside_a_writing_transaction(app: Flask) -> None:
    database.not_while_writing("hashing")
    with database.writing(), pytest.raises(RuntimeError, match="hashing"):
        database.not_while_writing("hashing")


def test_migrations_match_the_models_and_go_down_and_up_again(app: Flask) -> None:
    assert schema.differences() == []
    schema.check()
    schema.downgrade("base")
    with pytest.raises(schema.SchemaBehind):
        schema.check()
    schema.upgrade()
    assert schema.differences() == []


_ONE = Prepared(text("SELECT 1"), int)


def test_connections_that_were_cut_off_are_closed_and_not_merely_forgotten(app: Flask, database_url: str) -> None:
    several = [db.engine.connect() for _ in range(4)]
    for connection in several:
        connection.exec_driver_sql("SELECT 1")
    for connection in several:
        connection.close()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        with outage(database_url):
            pass
        failures = 0
        while not _works():
            failures += 1
            assert failures == 1, "one connection fails; those that are as old are not tried"
        db.engine.dispose()
        several.clear()
        gc.collect()
    assert [str(one.message) for one in warned] == []


def _works() -> bool:
    try:
        return _ONE.all() == [1]
    except psycopg.OperationalError:
        return False
    finally:
        db.session.remove()
