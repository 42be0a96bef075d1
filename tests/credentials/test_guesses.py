"""Guessing: counted before it is looked at, held back in three ways, forgotten in time."""

import threading
from collections.abc import Iterator

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from idp.app import create_app
from idp.credentials import guesses
from idp.credentials.guesses import (
    ALLOWANCE,
    FREE_FOR_A_PERSON,
    FREE_IN_A_ROW,
    REFILL,
    Guesser,
    Reservation,
    TooMany,
)
from idp.credentials.models import GuessCount
from idp.platform import clock, database
from tests import databases

HERE, THERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def time(app: Flask) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(1_800_000_000, tick=False) as traveller:
        yield traveller


def guesser(who: str = "olivia", source: str = HERE, device: str = "") -> Guesser:
    """`who` is a name, or a name and the person's id: `olivia@northwind.test=usr_olivia`."""
    name, _, person = who.partition("=")
    return Guesser(name, source, person, device)


def attempt(who: str = "olivia", source: str = HERE, device: str = "") -> Reservation:
    with database.writing():
        return guesses.reserve(guesser(who, source, device))


def wait(who: str = "olivia", source: str = HERE, device: str = "") -> int:
    """The seconds that the next attempt is held back."""
    with pytest.raises(TooMany) as held_back:
        attempt(who, source, device)
    return held_back.value.retry_after


def rows() -> int:
    database.session().rollback()
    return database.session().scalar(select(func.count()).select_from(GuessCount)) or 0


@pytest.mark.rule("LOG-04")
def test_ten_failures_for_a_person_from_a_source_are_free_then_waits_grow_and_end(
    time: time_machine.Traveller,
) -> None:
    reserved = [attempt() for _ in range(FREE_IN_A_ROW)]
    assert [one.begins_wait for one in reserved] == [False] * 9 + [True]
    waits = []
    for _ in range(11):
        waits.append(wait())
        time.shift(waits[-1] - 0.001)
        assert wait() == 1
        time.shift(0.001)
        attempt()
    assert waits == [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    attempt(source=THERE)
    attempt(who="mallory")


@pytest.mark.rule("LOG-04")
def test_an_attempt_that_is_held_back_counts_nowhere(time: time_machine.Traveller) -> None:
    for _ in range(FREE_IN_A_ROW):
        attempt()
    for _ in range(ALLOWANCE + FREE_FOR_A_PERSON):
        wait()
    time.shift(14)
    assert wait() == 1
    attempt(source=THERE)
    attempt(who="mallory")


@pytest.mark.rule("LOG-04")
def test_a_hundred_failures_for_a_person_from_anywhere_are_free(time: time_machine.Traveller) -> None:
    for number in range(FREE_FOR_A_PERSON):
        attempt(source=f"192.0.2.{number}")
    assert wait(source="203.0.113.200") == 15
    attempt(who="mallory", source="203.0.113.200")
    time.shift(15)
    attempt(source="203.0.113.200")
    assert wait(source="203.0.113.201") == 30


@pytest.mark.rule("LOG-04")
def test_a_source_has_an_allowance_for_all_people_together_that_refills(time: time_machine.Traveller) -> None:
    for number in range(ALLOWANCE):
        attempt(who=f"person-{number}")
    assert wait(who="olivia") == REFILL // clock.SECOND
    attempt(who="olivia", source=THERE)
    time.shift(3 * REFILL / clock.SECOND)
    for number in range(3):
        attempt(who=f"later-{number}")
    wait(who="olivia")
    time.shift(ALLOWANCE * REFILL / clock.SECOND * 2)
    for number in range(ALLOWANCE):
        attempt(who=f"rested-{number}")
    wait(who="olivia")


@pytest.mark.rule("LOG-01")
def test_failures_by_one_name_do_not_hold_another_name_of_the_person_back(time: time_machine.Traveller) -> None:
    for _ in range(FREE_IN_A_ROW):
        attempt("olivia=usr_olivia")
    assert wait("olivia=usr_olivia") == 15
    assert not attempt("olivia@northwind.test=usr_olivia").is_barred


@pytest.mark.rule("LOG-01", "LOG-04")
def test_a_person_is_not_guessed_at_further_by_other_names_and_nobody_is_told(time: time_machine.Traveller) -> None:
    for number in range(FREE_FOR_A_PERSON):
        assert not attempt(("olivia", "o@a.test")[number % 2] + "=usr_olivia", f"192.0.2.{number}").is_barred
    for name in ("olivia", "o@a.test"):
        assert attempt(f"{name}=usr_olivia", THERE).is_barred
    time.shift(15)
    assert not attempt("olivia=usr_olivia", THERE).is_barred
    assert attempt("olivia=usr_olivia", THERE).is_barred
    time.shift(clock.DAY / clock.SECOND + 1)
    assert not attempt("olivia=usr_olivia", THERE).is_barred


def test_whoever_is_signed_in_is_barred_by_no_name(time: time_machine.Traveller) -> None:
    for number in range(FREE_FOR_A_PERSON):
        attempt(("olivia", "o@a.test")[number % 2] + "=usr_olivia", f"192.0.2.{number}")
    with database.writing():
        guesses.forgive(guesser("olivia=usr_olivia", THERE))
    assert not attempt("o@a.test=usr_olivia", THERE).is_barred


@pytest.mark.rule("LOG-05")
def test_on_a_known_device_only_its_own_failures_count(time: time_machine.Traveller) -> None:
    for number in range(FREE_FOR_A_PERSON):
        attempt(source=f"192.0.2.{number}")
    wait(source=THERE)
    for number in range(ALLOWANCE):
        attempt(who=f"person-{number}", source=HERE.replace("2.1", "2.200"))
    for _ in range(FREE_IN_A_ROW):
        attempt(source="192.0.2.200", device="brw_olivias")
    assert wait(device="brw_olivias") == 15
    attempt(device="brw_olivias_other")
    time.shift(clock.HOUR / clock.SECOND)
    attempt(source=THERE)


@pytest.mark.rule("LOG-06")
def test_of_many_attempts_at_once_no_more_than_the_limit_are_looked_at(app: Flask) -> None:
    looked_at: list[str] = []
    together = threading.Barrier(16)

    def guess() -> None:
        with app.app_context():
            together.wait(30)
            for _ in range(3):
                try:
                    with database.writing():
                        guesses.reserve(guesser())
                except TooMany:
                    continue
                finally:
                    database.session().rollback()
                looked_at.append("a guess")
            database.db.session.remove()

    threads = [threading.Thread(target=guess) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(looked_at) == FREE_IN_A_ROW


@pytest.mark.rule("LOG-04")
def test_counts_hold_for_other_nodes_and_after_a_restart(app: Flask, database_url: str) -> None:
    for _ in range(FREE_IN_A_ROW):
        attempt()
    database.session().rollback()
    with databases.app_on(database_url).app_context():
        wait()
        databases.dispose()


def test_an_attempt_that_was_right_is_taken_back_everywhere_and_earlier_failures_stay(
    time: time_machine.Traveller,
) -> None:
    for _ in range(FREE_IN_A_ROW - 1):
        attempt()
    for _ in range(5):
        right = attempt()
        assert right.begins_wait
        with database.writing():
            guesses.succeeded(right)
    attempt()
    assert wait() == 15


@pytest.mark.rule("LOG-06")
def test_a_first_proof_forgives_no_failures_of_the_second(time: time_machine.Traveller) -> None:
    codes = 0
    for _ in range(50):
        try:
            password = attempt()
            with database.writing():
                guesses.succeeded(password)
            attempt()
        except TooMany:
            break
        codes += 1
    assert codes == FREE_IN_A_ROW


def test_a_wait_that_a_later_failure_began_is_not_ended_by_an_earlier_success(time: time_machine.Traveller) -> None:
    right, *_ = [attempt() for _ in range(FREE_IN_A_ROW)]
    with database.writing():
        guesses.succeeded(right)
    assert wait() == 15


def test_whoever_is_signed_in_has_no_failures_in_a_row_but_the_source_has(time: time_machine.Traveller) -> None:
    for number in range(ALLOWANCE):
        if number % (FREE_IN_A_ROW - 1) == 0:
            with database.writing():
                guesses.forgive(guesser())
        attempt()
    assert wait(who="mallory") == REFILL // clock.SECOND


@pytest.mark.rule("LOG-05")
def test_failures_are_forgotten_after_a_quiet_day_and_their_rows_go(time: time_machine.Traveller) -> None:
    for _ in range(FREE_IN_A_ROW):
        attempt()
    time.shift(clock.DAY / clock.SECOND + 1)
    for _ in range(FREE_IN_A_ROW):
        attempt()
    assert wait() == 15
    with database.writing():
        assert guesses.clean_up() == 0
    assert rows() == 4
    time.shift(clock.DAY / clock.SECOND + 1)
    with database.writing():
        assert guesses.clean_up(3) == 3
        assert guesses.clean_up(3) == 1
    assert rows() == 0


@pytest.mark.rule("LOG-08")
def test_a_source_is_a_whole_network_of_ipv6_and_one_address_of_ipv4(time: time_machine.Traveller) -> None:
    for number in range(FREE_IN_A_ROW):
        attempt(source=f"2001:db8:1:2::{number:x}")
    assert wait(source="2001:db8:1:2:ffff::1") == 15
    attempt(source="2001:db8:1:3::1")
    for _ in range(FREE_IN_A_ROW):
        attempt(source=HERE, who="bob")
    assert wait(source=f"::ffff:{HERE}", who="bob") == 15
    attempt(source="192.0.2.2", who="bob")


def test_limits_can_be_off_for_tests_of_load(database_url: str) -> None:
    settings = databases.settings_for(database_url).model_copy(update={"rate_limits": "off"})
    with create_app(settings).app_context():
        for _ in range(FREE_IN_A_ROW + 5):
            with database.writing():
                guesses.succeeded(guesses.reserve(guesser()))
        assert rows() == 0
        databases.dispose()
