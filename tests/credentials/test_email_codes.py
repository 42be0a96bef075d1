"""Codes by mail: mailed on request, good once, for ten minutes, and at the one place that asked for them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller

from idp.credentials import email_codes, factors, held, mailed_links
from idp.credentials.email_codes import TooManyCodes
from idp.credentials.mailed_links import LinkVoid
from idp.credentials.models import EmailCode, Factor
from idp.platform import database
from idp.users import lifecycle, users
from tests.credentials.test_recovery_codes import made
from tests.mailboxes import letters, only
from tests.proving import set_up
from tests.traces import OPERATOR, entries

HERE, ELSEWHERE = "txn_here", "txn_elsewhere"
BOX = "olivia@northwind.test"


@pytest.fixture
def clockwork() -> Iterator[Traveller]:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        yield clockwork  # type: ignore[misc]


@pytest.fixture
def olivia(app: Flask) -> str:
    """Somebody who has turned codes by mail on."""
    user_id = made("olivia")
    set_up(user_id, "email_code")
    return user_id


def mailed(user_id: str, place: str = HERE, address: str = BOX) -> str:
    """The code of the mail that is asked for now."""
    known = letters(address)
    with database.writing():
        email_codes.send(user_id, place, address, "en")
    (new,) = [one.code for one in letters(address) if one not in known]
    return new


def right(user_id: str, code: str, place: str = HERE, address: str = BOX) -> bool:
    with database.writing():
        return email_codes.verify(user_id, place, code, address) is not None


def test_a_code_is_mailed_and_taken(olivia: str) -> None:
    code = mailed(olivia)
    assert (len(code), code.isdecimal()) == (8, True)
    letter = only(BOX, "email_code")
    assert (letter.code, letter.path, letter.language) == (code, "", "en")
    assert right(olivia, f" {code[:4]} {code[4:]} ")
    assert factors.of(olivia)[0].last_used_at is not None


def test_digits_of_every_keyboard_are_read(olivia: str) -> None:
    code = mailed(olivia)
    assert right(olivia, "".join(chr(0x0660 + int(digit)) for digit in code))


@pytest.mark.rule("TOT-04")
def test_a_code_is_good_once(olivia: str) -> None:
    code = mailed(olivia)
    assert [right(olivia, code) for _ in range(3)] == [True, False, False]


@pytest.mark.rule("TOT-04")
def test_of_many_who_come_at_once_with_one_code_one_is_right(app: Flask, olivia: str) -> None:
    code, together = mailed(olivia), threading.Barrier(6)

    def come(_: int) -> bool:
        with app.app_context():
            try:
                together.wait(20)
                return right(olivia, code)
            finally:
                database.db.session.remove()

    with ThreadPoolExecutor(6) as crowd:
        assert sorted(crowd.map(come, range(6))) == [False] * 5 + [True]


@pytest.mark.rule("TOT-04")
def test_a_code_is_good_for_ten_minutes(clockwork: Traveller, olivia: str) -> None:
    code = mailed(olivia)
    clockwork.shift(599)
    assert email_codes.pending(olivia, HERE, BOX) is not None
    assert right(olivia, code)
    code = mailed(olivia)
    clockwork.shift(600)
    assert email_codes.pending(olivia, HERE, BOX) is None
    assert not right(olivia, code)


@pytest.mark.rule("TOT-04")
def test_a_code_is_good_where_it_was_asked_for_by_whoever_asked_and_from_where_it_went(olivia: str) -> None:
    bob = made("bob")
    set_up(bob, "email_code")
    code = mailed(olivia)
    assert not right(olivia, code, ELSEWHERE)
    assert not right(bob, code)
    assert not right(olivia, code, address="new@northwind.test")
    assert right(olivia, code)


@pytest.mark.rule("TOT-04")
def test_a_newer_code_replaces_the_one_before(olivia: str) -> None:
    first, second = mailed(olivia), mailed(olivia)
    assert first == second or not right(olivia, first)
    assert right(olivia, second)


@pytest.mark.rule("LOG-07")
def test_three_codes_are_mailed_within_a_quarter_of_an_hour_wherever_they_are_asked_for(
    clockwork: Traveller, olivia: str
) -> None:
    for place in (HERE, HERE, ELSEWHERE):
        mailed(olivia, place)
        clockwork.shift(60)
    for place in (HERE, ELSEWHERE, "txn_another"):
        with pytest.raises(TooManyCodes) as refused:
            mailed(olivia, place)
        assert refused.value.retry_after == 13 * 60
    assert len(letters(BOX)) == 3
    mailed(made("bob"))
    clockwork.shift(13 * 60)
    mailed(olivia, "txn_another")


@pytest.mark.rule("LOG-07")
def test_of_many_who_ask_at_once_three_are_served(app: Flask, olivia: str) -> None:
    together = threading.Barrier(6)

    def ask(number: int) -> bool:
        with app.app_context():
            try:
                together.wait(20)
                with database.writing():
                    email_codes.send(olivia, f"txn_{number}", BOX, "en")
            except TooManyCodes:
                return False
            finally:
                database.db.session.remove()
            return True

    with ThreadPoolExecutor(6) as crowd:
        assert sum(crowd.map(ask, range(6))) == 3


@pytest.mark.rule("TOT-03")
def test_codes_count_once_one_was_right(app: Flask) -> None:
    bob = made("bob")
    code = mailed(bob)
    with database.writing():
        assert email_codes.confirm(bob, ELSEWHERE, code, BOX, by=OPERATOR) is None
        assert email_codes.confirm(bob, HERE, "1", BOX, by=OPERATOR) is None
    assert held.methods(bob) == set()
    with database.writing():
        factor = email_codes.confirm(bob, HERE, code, BOX, by=OPERATOR)
    assert held.methods(bob) == {"email_code"}
    assert not right(bob, code)
    code = mailed(bob)
    with database.writing():
        again = email_codes.confirm(bob, HERE, code, BOX, by=OPERATOR)
    assert factor is not None
    assert again is not None
    assert (again.id, len(factors.of(bob))) == (factor.id, 1)


@pytest.mark.rule("KEY-06")
def test_neither_the_database_nor_the_trail_tells_a_code(olivia: str) -> None:
    code = mailed(olivia)
    row = database.session().scalars(select(EmailCode)).one()
    assert code not in repr(vars(row))
    assert len(row.code_digest) == 32
    assert not any(code in f"{one.after_json}{one.before_json}" for one in entries())


@pytest.mark.rule("TOT-04")
def test_codes_and_links_that_a_restore_voids_are_good_on_no_clock(clockwork: Traveller, olivia: str) -> None:
    code = mailed(olivia)
    with database.writing():
        token = mailed_links.make("recover", olivia, BOX, BOX, lifetime=email_codes.LIFETIME)
    clockwork.shift(660)
    with database.writing():
        assert (email_codes.void_all(), mailed_links.void_all()) == (1, 1)
    clockwork.shift(-120)
    assert not right(olivia, code)
    with pytest.raises(LinkVoid):
        mailed_links.find(token, "recover")


def test_a_code_of_a_mailbox_that_was_turned_off_is_not_taken(olivia: str) -> None:
    code = mailed(olivia)
    with database.writing():
        factors.end(olivia, factors.of(olivia)[0].id, by=OPERATOR)
    assert not right(olivia, code)


def test_what_counts_for_nothing_any_more_is_deleted(clockwork: Traveller, olivia: str) -> None:
    mailed(olivia)
    clockwork.shift(24 * 60)
    for passed, left in ((0, 1), (2 * 60, 0)):
        clockwork.shift(passed)
        with database.writing():
            email_codes.clean_up()
        assert len(list(database.session().scalars(select(EmailCode)))) == left


def test_a_deleted_person_leaves_nothing(olivia: str) -> None:
    mailed(olivia)
    with database.writing():
        lifecycle.delete(users.find(olivia), by=OPERATOR)
    assert list(database.session().scalars(select(EmailCode))) == []
    assert list(database.session().scalars(select(Factor).where(Factor.ended_at.is_(None)))) == []
