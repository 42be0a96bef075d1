"""Writing to the trail: in the transaction of the change, once and for all, except for what may be erased."""

import hashlib
import json
import sqlite3

import psycopg
import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from idp.audit import events, seal, trail
from idp.audit.events import UnknownEvent
from idp.audit.trail import SYSTEM, Actor
from idp.platform import clock, correlation, database, vault
from idp.platform.correlation import Origin
from idp.platform.errors import Conflict, Refusal
from idp.platform.jobs import Job
from tests.traces import entries

ALICE = Actor("user", "usr_alice")
BROWSER = Origin("req-12345678", "203.0.113.7", "Mozilla/5.0")


def _record(subject: str = "usr_bob", **more: str) -> None:
    with correlation.working_for(BROWSER), database.writing():
        trail.record("user.changed", by=ALICE, subject=subject, after={"name": "Bob"}, **more)


def _rows(table: str) -> list[dict[str, object]]:
    database.session().rollback()
    return [dict(row) for row in database.session().execute(text(f"SELECT * FROM {table}")).mappings()]


@pytest.mark.rule("AUD-01")
def test_an_entry_says_who_did_what_to_whom_from_where_and_for_which_request(app: Flask) -> None:
    impersonator = Actor("user", "usr_support", on_behalf_of="usr_alice")
    before = clock.now()
    with correlation.working_for(BROWSER), database.writing():
        trail.record(
            "grant.made",
            by=impersonator,
            subject="grant_1",
            organization="org_1",
            account="acct_1",
            before={"role": "view_only"},
            after={"role": "developer"},
            source="manual",
            email="bob@acme.test",
        )
    [entry] = _rows("audit_entries")
    [detail] = _rows("audit_details")
    assert before <= int(str(entry.pop("at"))) <= clock.now()
    identifier, digest = entry.pop("id"), entry.pop("detail_digest")
    assert entry == {
        "event": "grant.made",
        "actor_kind": "user",
        "actor_id": "usr_support",
        "on_behalf_of": "usr_alice",
        "subject": "grant_1",
        "organization_id": "org_1",
        "account_id": "acct_1",
        "source": "manual",
        "request_id": "req-12345678",
        "before_json": '{"role": "view_only"}',
        "after_json": '{"role": "developer"}',
    }
    salt = detail.pop("salt")
    assert detail == {
        "entry_id": identifier,
        "address": "203.0.113.7",
        "user_agent": "Mozilla/5.0",
        "email": "bob@acme.test",
    }
    said = json.dumps(["203.0.113.7", "Mozilla/5.0", "bob@acme.test"]).encode()
    assert isinstance(salt, bytes)
    assert hashlib.sha256(salt + said).digest() == digest
    assert [row["entry_id"] for row in _rows("audit_unsealed")] == [identifier]


@pytest.mark.rule("AUD-01")
def test_a_change_that_is_rolled_back_leaves_no_entry_and_one_that_is_kept_leaves_it(app: Flask) -> None:
    class Spent(Refusal):
        keeps = True

    with pytest.raises(Conflict), database.writing():
        trail.record("user.changed", by=ALICE, subject="usr_bob")
        raise Conflict
    assert _rows("audit_entries") == []
    with pytest.raises(Spent), database.writing():
        trail.record("user.changed", by=ALICE, subject="usr_bob")
        raise Spent
    assert len(_rows("audit_entries")) == 1


def test_nothing_is_recorded_outside_of_a_writing_transaction(app: Flask) -> None:
    with pytest.raises(RuntimeError, match=r"outside of database\.writing"):
        trail.record("user.changed", by=ALICE, subject="usr_bob")


def test_a_name_that_the_vocabulary_lacks_is_refused(app: Flask) -> None:
    with pytest.raises(UnknownEvent, match=r"audit/events\.py"), database.writing():
        trail.record("user.fiddled_with", by=ALICE, subject="usr_bob")
    assert all(name.count(".") and sentence.endswith(".") for name, sentence in events.EVENTS.items())


@pytest.mark.rule("AUD-04")
@pytest.mark.parametrize("table", ["audit_entries", "audit_details", "audit_unsealed"])
def test_a_change_whose_entry_cannot_be_written_does_not_happen(app: Flask, table: str) -> None:
    with database.writing():
        database.session().execute(text(f"ALTER TABLE {table} RENAME TO {table}_away"))
    with (
        pytest.raises((psycopg.Error, sqlite3.Error), match=table),
        correlation.working_for(BROWSER),
        database.writing(),
    ):
        database.session().add(Job(kind="k", payload="{}"))
        trail.record("user.changed", by=ALICE, subject="usr_bob")
    assert _rows("jobs") == []


@pytest.mark.rule("AUD-03")
def test_a_strangers_user_agent_is_cut_and_escaped(app: Flask) -> None:
    agent = "curl\n\u202e" + "x" * 1_000_000
    with correlation.working_for(Origin("req-12345678", "203.0.113.7", agent)), database.writing():
        trail.record("user.changed", by=ALICE, subject="usr_bob", email="a@b.test\x00")
    [detail] = _rows("audit_details")
    assert str(detail["user_agent"]).startswith("curl\\n\\u202exxx")
    assert len(str(detail["user_agent"])) < 600
    assert detail["email"] == "a@b.test\\x00"


@pytest.mark.rule("AUD-03")
def test_a_password_typed_as_a_name_cannot_be_read_or_guessed_and_a_series_is_still_seen(app: Flask) -> None:
    disguise = trail.disguised("Correct horse battery staple")
    assert "orse" not in disguise
    assert disguise == trail.disguised(" correct HORSE battery staple")
    assert disguise != trail.disguised("correct horse battery stable")
    vault.init(app, [SecretStr("another-master-key-" + "9f8e7d6c5b4a" * 3)])
    assert disguise != trail.disguised("Correct horse battery staple")  # without the key no guess can be tried
    trail.disguised("half a pair \ud800")


@pytest.mark.rule("AUD-03")
def test_addresses_of_people_stand_in_the_side_row_alone(app: Flask) -> None:
    with database.writing():
        trail.record("user.address.added", by=ALICE, subject="usr_bob", after={"address": "bob@acme.test"})
    assert "bob@" not in json.dumps(_rows("audit_entries"), default=str)
    assert [row["email"] for row in _rows("audit_details")] == ["bob@acme.test"]


@pytest.mark.rule("AUD-02")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor_id = 'usr_mallory'",
        "DELETE FROM audit_entries",
        "UPDATE audit_details SET address = '198.51.100.1'",
        "UPDATE audit_seals SET number = number + 1",
        "DELETE FROM audit_seals",
    ],
)
def test_the_trail_only_grows(app: Flask, statement: str) -> None:
    _record()
    with database.writing():
        seal.seal_batch()
    kept = (_rows("audit_entries"), _rows("audit_details"), _rows("audit_seals"))
    with pytest.raises(DBAPIError, match="append-only"), database.writing():
        database.session().execute(text(statement))
    assert (_rows("audit_entries"), _rows("audit_details"), _rows("audit_seals")) == kept


def test_what_identifies_a_person_can_be_erased_and_that_is_told(app: Flask) -> None:
    for subject in ("usr_bob", "usr_bob", "usr_carol"):
        _record(subject)
    with correlation.working_for(BROWSER), database.writing():
        assert trail.erase(by=SYSTEM, person="usr_bob", limit=1) == 1
        assert trail.erase(by=SYSTEM, person="usr_bob", limit=5) == 1
        assert trail.erase(by=SYSTEM, person="usr_bob", limit=5) == 0
    [of_carol] = entries("usr_carol")
    erasing = [entry.id for entry in entries("usr_bob") if entry.event == "audit.erased"]
    assert {row["entry_id"] for row in _rows("audit_details")} == {of_carol.id, *erasing}
    assert [entry.event for entry in entries("usr_bob")] == [
        "user.changed",
        "user.changed",
        "audit.erased",
        "audit.erased",
    ]
    assert all(entry.detail_digest for entry in entries("usr_bob")[:2])


def test_what_is_old_can_be_erased(app: Flask) -> None:
    _record()
    between = clock.now()
    _record("usr_carol")
    with pytest.raises(ValueError, match="until when"), database.writing():
        trail.erase(by=SYSTEM)
    with database.writing():
        assert trail.erase(by=SYSTEM, until=between) == 1
        assert trail.erase(by=SYSTEM, until=between) == 0
    assert len(_rows("audit_details")) == 1


def test_where_no_request_is_there_is_no_side_row(app: Flask) -> None:
    with database.writing():
        trail.record("user.changed", by=SYSTEM, subject="usr_bob")
    assert _rows("audit_details") == []
    assert [row["detail_digest"] for row in _rows("audit_entries")] == [None]
