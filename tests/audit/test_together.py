"""Entries that are written by the many: the same entries, in the same order and in the same transaction."""

import pytest
from flask import Flask
from sqlalchemy import text

from idp.audit import trail
from idp.platform import bulk, correlation, database
from idp.platform.correlation import Origin
from idp.platform.errors import Conflict, Refusal
from tests.traces import OPERATOR, entries

MANY = bulk.CHUNK + 3


def _record_many() -> None:
    for number in range(MANY):
        trail.record("user.changed", by=OPERATOR, subject=f"usr_{number}", email=f"u{number}@acme.test")


@pytest.mark.rule("AUD-01")
def test_every_entry_is_there_once_with_its_side_row_and_its_place_in_the_queue(app: Flask) -> None:
    with correlation.working_for(Origin("req-12345678", "203.0.113.7", "agent")), database.writing():
        trail.record("user.changed", by=OPERATOR, subject="usr_before")
        with trail.together():
            _record_many()
        trail.record("user.changed", by=OPERATOR, subject="usr_after")
    queued = database.session().execute(
        text(
            "SELECT e.subject, d.email, d.address FROM audit_unsealed u JOIN audit_entries e ON e.id = u.entry_id"
            " JOIN audit_details d ON d.entry_id = e.id ORDER BY u.number"
        )
    )
    many = [(f"usr_{number}", f"u{number}@acme.test", "203.0.113.7") for number in range(MANY)]
    assert list(queued) == [("usr_before", "", "203.0.113.7"), *many, ("usr_after", "", "203.0.113.7")]


@pytest.mark.rule("AUD-01")
def test_a_change_that_is_undone_leaves_no_entry(app: Flask) -> None:
    with pytest.raises(Conflict), database.writing(), trail.together():
        _record_many()
        raise Conflict
    assert entries() == []
    with database.writing():
        trail.record("user.changed", by=OPERATOR, subject="usr_next")
    assert [entry.subject for entry in entries()] == ["usr_next"]


@pytest.mark.rule("AUD-01")
def test_a_refusal_that_keeps_what_was_done_keeps_its_entries(app: Flask) -> None:
    class Spent(Refusal):
        keeps = True

    with pytest.raises(Spent), database.writing(), trail.together():
        trail.record("user.changed", by=OPERATOR, subject="usr_kept")
        raise Spent
    assert [entry.subject for entry in entries()] == ["usr_kept"]


@pytest.mark.rule("AUD-01")
def test_what_follows_a_refusal_in_the_same_transaction_is_written(app: Flask) -> None:
    with database.writing():
        with pytest.raises(Conflict), trail.together(), trail.together():
            trail.record("user.changed", by=OPERATOR, subject="usr_before")
            raise Conflict
        trail.record("user.changed", by=OPERATOR, subject="usr_after")
    assert [entry.subject for entry in entries()] == ["usr_before", "usr_after"]
