"""What a transaction takes away, and how it comes into the feed."""

import threading

import pytest
import time_machine
from flask import Flask
from sqlalchemy import insert, text

from idp.feed import losses, positions
from idp.feed.losses import Loss
from idp.feed.models import Change
from idp.platform import clock, database
from idp.platform.errors import Conflict, Refusal
from idp.platform.jobs import Job
from tests.traces import losses as written


def _take_away(kind: str = "grant", **match: str) -> None:
    with database.writing():
        losses.record(kind, **(match or {"sub": "usr_1", "org_id": "org_1"}))


def _positions() -> list[int]:
    database.session().rollback()
    return list(database.session().scalars(text("SELECT position FROM change_feed ORDER BY position")))


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("grant", {"sub": "usr_1", "org_id": "org_1", "account_id": "acct_1"}),
        ("membership", {"sub": "usr_1"}),
        ("session", {"sid": "s"}),
        ("consent", {"sub": "usr_1", "client_id": "app_1"}),
        ("token", {"jti": "j"}),
        ("role", {"role": "developer"}),
        ("account", {"org_id": "org_1", "account_id": "acct_1"}),
        ("organization", {"org_id": "org_1"}),
        ("client", {"client_id": "app_1"}),
        ("api", {"aud": "https://payments.example.com"}),
        ("operator", {"act": "usr_2"}),
        ("key", {"kid": "k"}),
    ],
)
def test_a_loss_of_every_kind_is_written(app: Flask, kind: str, match: dict[str, str]) -> None:
    _take_away(kind, **match)
    assert written() == [(kind, match)]


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("grants", {"sub": "usr_1"}),
        ("grant", {"user": "usr_1"}),
        ("grant", {"sub": ""}),
        ("grant", {}),
        ("epoch", {"sub": "usr_1"}),
        ("key", {"sub": "usr_1"}),
        ("key", {"kid": "k", "org_id": "org_1"}),
        ("grant", {"kid": "k"}),
    ],
)
def test_what_would_hit_nobody_or_everybody_by_mistake_is_not_recorded(
    app: Flask, kind: str, match: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=kind), database.writing():
        losses.record(kind, **match)
    assert written() == []


def test_a_loss_belongs_to_a_writing_transaction(app: Flask) -> None:
    with pytest.raises(RuntimeError, match=r"outside of database\.writing"):
        losses.record("grant", sub="usr_1")


def test_the_same_loss_is_written_once_and_several_stand_in_a_row(app: Flask) -> None:
    head = positions.head()
    with database.writing():
        losses.record("grant", sub="usr_1", org_id="org_1")
        losses.record("session", sid="s")
        losses.record("grant", org_id="org_1", sub="usr_1")
    assert [kind for kind, _ in written()] == ["grant", "session"]
    first, second = _positions()[-2:]
    assert head < first == second - 1


def test_what_is_rolled_back_takes_nothing_away(app: Flask) -> None:
    with pytest.raises(Conflict), database.writing():
        losses.record("grant", sub="usr_1")
        raise Conflict
    _take_away("session", sid="s")
    assert written() == [("session", {"sid": "s"})]


def test_a_refusal_that_keeps_takes_away_what_it_says(app: Flask) -> None:
    class Reused(Refusal):
        keeps = True

    with pytest.raises(Reused), database.writing():
        losses.record("consent", sub="usr_1", client_id="app_1")
        raise Reused
    assert written() == [("consent", {"sub": "usr_1", "client_id": "app_1"})]


def test_more_than_a_hundred_losses_of_one_organization_become_one(app: Flask) -> None:
    with database.writing():
        losses.record("key", kid="k")
        for number in range(101):
            losses.record("grant", sub=f"usr_{number}", org_id="org_1")
        losses.record("session", sid="s")
    assert written() == [("key", {"kid": "k"}), ("organization", {"org_id": "org_1"}), ("session", {"sid": "s"})]


def test_more_than_a_hundred_losses_everywhere_become_an_epoch_and_withdrawn_keys_stay_named() -> None:
    many = [Loss("session", (("sid", str(number)),)) for number in range(101)]
    key = Loss("key", (("kid", "k"),))
    assert losses.bounded([*many, key]) == [losses.EPOCH, key]
    assert losses.bounded(many[:100]) == many[:100]


def test_positions_follow_the_clock_and_grow_when_it_is_set_back(app: Flask) -> None:
    _take_away()
    assert abs(positions.head() - clock.now()) < clock.MINUTE
    with time_machine.travel((clock.now() - clock.DAY) / clock.SECOND):
        _take_away()
    with database.writing():  # as if the clock of the database had been ahead, too
        ahead = clock.now() + clock.HOUR
        database.session().execute(
            insert(Change).values(position=ahead, kind="session", selector='{"sid":"s"}', written_at=ahead)
        )
    _take_away()
    seen = _positions()
    assert seen == sorted(set(seen))
    assert seen[-2:] == [ahead, ahead + 1]


def test_an_old_open_transaction_delays_nothing(app: Flask) -> None:
    """It reads, and on PostgreSQL it has written, too: its number is older than every change that follows."""
    opened, over = threading.Event(), threading.Event()

    def dawdle() -> None:
        with app.app_context():
            old = database.session()
            if not database.is_sqlite():
                old.connection(execution_options={"postgresql_readonly": False})
                old.execute(insert(Job).values(kind="k", payload="{}"))
            old.execute(text("SELECT count(*) FROM change_feed"))
            opened.set()
            over.wait(30)
            old.rollback()

    dawdler = threading.Thread(target=dawdle)
    dawdler.start()
    try:
        assert opened.wait(10)
        head = positions.head()
        began = clock.monotonic()
        _take_away()
        database.session().rollback()
        assert positions.head() > head
        assert clock.monotonic() - began < 2
    finally:
        over.set()
        dawdler.join()
