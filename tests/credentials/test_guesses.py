"""Guessing: counted before it is looked at, held back in three ways, forgotten in time."""

from collections.abc import Iterator

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from idp.credentials import guesses
from idp.credentials.guesses import ALLOWANCE, FREE_FOR_A_PERSON, FREE_IN_A_ROW, Reservation, TooMany
from idp.credentials.models import GuessCount
from idp.platform import database

HERE, THERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def time(app: Flask) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(1_800_000_000, tick=False) as traveller:
        yield traveller


def attempt(who: str = "olivia", source: str = HERE, device: str = "") -> Reservation:
    with database.writing():
        return guesses.reserve(who, source=source, device=device)


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
