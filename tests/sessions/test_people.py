"""Sessions: opened by proofs, stepped up by more of them, over when idle, old, ended, or their person disabled."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from idp.audit.trail import Actor
from idp.platform import bearer, clock, correlation, database
from idp.platform.correlation import Origin
from idp.platform.errors import NotFound
from idp.platform.settings import settings
from idp.sessions import browsers, listings, people
from idp.sessions.models import Browser, BrowserSession, KnownDevice
from idp.sessions.proofs import Proof
from idp.users import lifecycle, users
from tests.sessions.conftest import at, new_browser, sign_in
from tests.traces import OPERATOR, entries, events, losses


def disable(user_id: str) -> None:
    with database.writing():
        lifecycle.disable(users.find(user_id), by=OPERATOR)


def enable(user_id: str) -> None:
    with database.writing():
        lifecycle.enable(users.find(user_id), by=OPERATOR)


# Identifiers


@pytest.mark.rule("SES-01")
def test_signing_in_and_stepping_up_change_the_cookie_and_kill_the_old_one(olivia: str) -> None:
    _, first = new_browser()
    opened, second = sign_in(first, olivia)
    stepped_up, third = sign_in(second, olivia, "totp")
    assert stepped_up.id == opened.id
    assert len({first, second, third}) == 3
    assert [browsers.recognise(token) is None for token in (first, second, third)] == [True, True, False]
    assert [proof.method for proof in stepped_up.proofs] == ["password", "totp"]


@pytest.mark.rule("SES-01")
def test_a_cookie_has_256_bits_and_is_stored_by_its_digest(app: Flask) -> None:
    browser_id, token = new_browser()
    assert len(token) >= 43
    stored = database.session().get_one(Browser, browser_id).token_digest
    assert stored == bearer.digest(token)
    assert token.encode() not in stored


@pytest.mark.parametrize("token", [None, "", "nonsense", "ä" * 10_000, "\ud800"])
def test_a_corrupt_cookie_is_nobodys(app: Flask, token: str | None) -> None:
    new_browser()
    assert browsers.recognise(token) is None


def test_a_browser_that_was_away_too_long_is_not_known_any_more(app: Flask) -> None:
    _, token = new_browser()
    with time_machine.travel((clock.now() + browsers.IDLE + clock.DAY) / clock.SECOND, tick=False):
        database.session().rollback()
        assert browsers.recognise(token) is None


# Opening


def test_a_session_says_who_proved_what_and_when(olivia: str) -> None:
    _, token = new_browser()
    with correlation.working_for(Origin(address="198.51.100.7", user_agent="Browser/1" + "x" * 500)):
        opened, token = sign_in(token, olivia)
    assert people.in_browser(at(token)) == [opened]
    assert people.of_person(olivia) == [opened]
    assert people.find(at(token), opened.id) == opened
    assert opened.authenticated_at == opened.proofs[0].at
    assert opened.proofs[0].age() < clock.MINUTE
    (entry,) = entries(opened.id)
    assert (entry.event, entry.actor_id) == ("session.opened", olivia)
    assert json.loads(entry.after_json or "") == {"person": olivia, "by": ["password"], "new_browser": True}
    (line,) = listings.sessions(olivia)
    assert (line.username, line.address, line.methods) == ("olivia", "198.51.100.7", ("password",))
    assert line.user_agent == ("Browser/1" + "x" * 500)[:256]


def test_nobody_is_signed_in_without_a_proof(olivia: str) -> None:
    browser_id, _ = new_browser()
    with pytest.raises(ValueError, match="without a proof"), database.writing():
        people.open_session(database.session().get_one(Browser, browser_id), olivia, [])


def test_nobody_who_is_disabled_is_signed_in(olivia: str) -> None:
    _, token = new_browser()
    disable(olivia)
    with pytest.raises(NotFound):
        sign_in(token, olivia)
    assert browsers.recognise(token) is not None


def test_two_tabs_that_sign_in_at_once_open_one_session(app: Flask, olivia: str) -> None:
    browser_id, _ = new_browser()
    ready = threading.Barrier(2)

    def open_one() -> str:
        with app.app_context():
            ready.wait()
            with database.writing():
                browser = database.session().get_one(Browser, browser_id)
                opened, _ = people.open_session(browser, olivia, [Proof("password", clock.now())])
            database.db.session.remove()
            return opened.id

    with ThreadPoolExecutor(2) as tabs:
        opened = {tab.result() for tab in [tabs.submit(open_one) for _ in range(2)]}
    assert len(opened) == 1
    assert sorted(events(opened.pop())) == ["session.opened", "session.stepped.up"]


# Several people


@pytest.mark.rule("SES-08")
def test_several_people_in_one_browser_have_their_own_sessions(olivia: str, bob: str) -> None:
    _, token = new_browser()
    hers, token = sign_in(token, olivia)
    his, token = sign_in(token, bob, "passkey")
    assert {one.id: one.user_id for one in people.in_browser(at(token))} == {hers.id: olivia, his.id: bob}
    assert [proof.method for proof in people.find(at(token), hers.id).proofs] == ["password"]
    with database.writing():
        people.end(hers.id, because="signed_out", by=Actor("user", olivia))
    assert [one.user_id for one in people.in_browser(at(token))] == [bob]


@pytest.mark.rule("SES-08")
def test_a_session_of_another_browser_is_not_found(olivia: str) -> None:
    _, one = new_browser()
    _, other = new_browser()
    opened, one = sign_in(one, olivia)
    with pytest.raises(NotFound):
        people.find(at(other), opened.id)
    with pytest.raises(NotFound):
        people.find(None, opened.id)
    assert people.in_browser(None) == []


# The end


@pytest.mark.rule("SES-06")
def test_a_session_ends_when_it_is_not_used_and_when_it_is_too_old(olivia: str) -> None:
    lifetimes = settings().lifetimes
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        _, token = new_browser()
        opened, token = sign_in(token, olivia)
        clockwork.shift(lifetimes.session_idle / clock.SECOND - 1)
        assert people.in_browser(at(token)) == [opened]
        clockwork.shift(1)
        assert people.in_browser(at(token)) == []
        assert people.of_person(olivia) == []
        assert listings.sessions() == []
        with pytest.raises(NotFound):
            people.find(at(token), opened.id)


@pytest.mark.rule("SES-06")
def test_use_keeps_a_session_alive_but_not_beyond_its_absolute_end(olivia: str) -> None:
    lifetimes = settings().lifetimes
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        _, token = new_browser()
        opened, token = sign_in(token, olivia)
        ends_at = opened.created_at + lifetimes.session_max
        while clock.now() + lifetimes.session_idle // 2 < ends_at:
            clockwork.shift(lifetimes.session_idle / 2 / clock.SECOND)
            (seen,) = people.in_browser(at(token))
            assert people.is_due(seen)
            with database.writing():
                people.touch(seen)
        assert not people.is_due(people.in_browser(at(token))[0])
        clockwork.move_to(ends_at / clock.SECOND)
        assert people.in_browser(at(token)) == []


def test_signing_in_after_the_end_begins_another_session(olivia: str) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        _, token = new_browser()
        first, token = sign_in(token, olivia)
        clockwork.shift(settings().lifetimes.session_idle / clock.SECOND)
        second, token = sign_in(token, olivia)
    assert second.id != first.id
    assert [proof.method for proof in second.proofs] == ["password"]
    assert events(first.id) == ["session.opened", "session.ended"]
    assert losses() == [("session", {"sid": first.id})]


def test_an_ended_session_stays_ended_and_is_told_once(olivia: str) -> None:
    _, token = new_browser()
    opened, token = sign_in(token, olivia)
    with database.writing():
        assert people.end(opened.id, because="signed_out", by=Actor("user", olivia))
        people.touch(opened)
        assert not people.end(opened.id, because="revoked", by=OPERATOR)
    assert people.in_browser(at(token)) == []
    assert events(opened.id) == ["session.opened", "session.ended"]
    assert losses() == [("session", {"sid": opened.id})]
    assert database.session().get_one(BrowserSession, opened.id).ended_because == "signed_out"
    with pytest.raises(NotFound), database.writing():
        people.end("ses_unknown", because="revoked", by=OPERATOR)


def test_all_sessions_of_a_person_end_but_one_and_nobody_elses(olivia: str, bob: str) -> None:
    _, here = new_browser()
    _, there = new_browser()
    mine, here = sign_in(here, olivia)
    other, there = sign_in(there, olivia)
    his, there = sign_in(there, bob)
    with database.writing():
        assert people.end_all_of(olivia, because="revoked", by=OPERATOR, but=mine.id) == 1
    assert [one.id for one in people.of_person(olivia)] == [mine.id]
    assert [one.id for one in people.of_person(bob)] == [his.id]
    assert losses() == [("session", {"sid": other.id})]


@pytest.mark.rule("SES-07")
def test_disabling_a_person_ends_every_session_and_enabling_brings_none_back(olivia: str, bob: str) -> None:
    _, token = new_browser()
    opened, token = sign_in(token, olivia)
    _, token = sign_in(token, bob)
    disable(olivia)
    assert [one.user_id for one in people.in_browser(at(token))] == [bob]
    assert not people.is_usable(opened)
    enable(olivia)
    assert people.of_person(olivia) == []
    assert ("session", {"sid": opened.id}) in losses()


@pytest.mark.rule("SES-07")
def test_whether_a_person_is_disabled_is_asked_where_a_session_is_used(
    olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "_before_disabling", [])
    _, token = new_browser()
    opened, token = sign_in(token, olivia)
    disable(olivia)
    assert people.in_browser(at(token)) == []
    assert not people.is_usable(opened)
    assert listings.sessions() == []


# Known devices


def test_a_browser_is_known_to_whoever_signed_in_there_also_after_signing_out(olivia: str, bob: str) -> None:
    _, token = new_browser()
    assert not people.is_known(at(token), olivia)
    opened, token = sign_in(token, olivia)
    with database.writing():
        people.end(opened.id, because="signed_out", by=Actor("user", olivia))
    assert people.is_known(at(token), olivia)
    assert not people.is_known(at(token), bob)
    assert not people.is_known(None, olivia)
    _, token = sign_in(token, olivia)
    (known,) = database.session().scalars(select(KnownDevice))
    assert known.last_seen_at >= known.first_seen_at


def test_deleting_a_person_forgets_their_devices(olivia: str) -> None:
    _, token = new_browser()
    _, token = sign_in(token, olivia)
    with database.writing():
        lifecycle.delete(users.find(olivia), by=OPERATOR)
    assert not people.is_known(at(token), olivia)
    assert people.in_browser(at(token)) == []
