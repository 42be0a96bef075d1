"""How far services say that they have followed the feed: kept to the moment, and written sparingly."""

import pytest
import time_machine
from flask import Flask
from sqlalchemy import text

from idp.feed import acknowledgements
from idp.feed.acknowledgements import Following
from idp.platform import clock, database
from tests.keys.conftest import Node, node

__all__ = ["node"]

START = 1_795_363_200
API = "app_payments"


@pytest.fixture
def at(app: Flask) -> "Clock":
    return Clock()


class Clock:
    """Says things at a number of seconds after `START`."""

    def note(self, seconds: float, position: int, instance: str = "a") -> None:
        with time_machine.travel(START + seconds, tick=False):
            acknowledgements.note(API, instance, position)

    def written(self, seconds: float) -> bool:
        """Whether a round at that time writes anything."""
        with time_machine.travel(START + seconds, tick=False):
            database.session().rollback()
            due = acknowledgements.due()
            with database.writing():
                acknowledgements.write(due)
            return bool(due)


def micros(seconds: float) -> int:
    return START * clock.SECOND + int(seconds * clock.SECOND)


def kept(instance: str = "a") -> Following:
    return next(one for one in acknowledgements.of_client(API) if one.instance == instance)


def test_what_was_taken_in_is_kept_to_the_moment(at: Clock) -> None:
    at.note(1, 7)
    at.note(3, 7)
    assert at.written(4)
    assert kept() == Following(API, "a", 7, micros(1), micros(3))


def test_an_instance_that_has_nothing_new_to_say_is_written_now_and_then(at: Clock) -> None:
    at.note(0, 7)
    writes = 0
    for second in range(1, 31):
        at.note(second, 7)
        writes += at.written(second + 0.5)
    assert writes == 3
    assert (kept().reached_at, kept().position) == (micros(0), 7)


def test_an_instance_is_written_at_most_once_a_second(at: Clock) -> None:
    writes = 0
    for tenth in range(51):
        at.note(tenth / 10, tenth + 1)
        writes += at.written(tenth / 10)
    assert writes == 6
    assert kept().position == 51


def test_nodes_together_write_an_instance_once_a_second_and_never_back(at: Clock, app: Flask, node: Node) -> None:
    other = node()
    at.note(0, 9)
    assert at.written(0)
    with other.app_context():
        at.note(0.5, 10)
        assert not at.written(0.6)
        at.note(1.2, 10)
        assert at.written(1.3)
    at.note(3, 9)
    at.written(3)
    assert kept() == Following(API, "a", 10, micros(0.5), micros(1.2))


def test_a_failed_round_loses_nothing(at: Clock) -> None:
    at.note(0, 7)
    with time_machine.travel(START, tick=False):
        due = acknowledgements.due()
        with pytest.raises(ZeroDivisionError), database.writing():
            acknowledgements.write(due)
            _ = 1 / 0
        assert acknowledgements.due() == due


def test_a_client_has_a_bounded_number_of_instances(at: Clock, node: Node) -> None:
    for number in range(acknowledgements.MOST + 50):
        at.note(0, 1, f"i{number:03}")
    at.written(0)
    with node().app_context():
        at.note(0, 1, "one too many")
        at.written(0)
    assert len(acknowledgements.of_client(API)) == acknowledgements.MOST
    with time_machine.travel(START, tick=False):
        acknowledgements.note("app_other", "a", 1)
    at.written(0)
    assert len(acknowledgements.of_client("app_other")) == 1


def test_whoever_is_not_seen_for_an_hour_is_forgotten(at: Clock) -> None:
    at.note(0, 1, "gone")
    at.note(3_000, 1, "here")
    at.written(3_000)
    with time_machine.travel(START + 3_601, tick=False), database.writing():
        assert acknowledgements.clean_up() == 1
    assert [one.instance for one in acknowledgements.of_client(API)] == ["here"]
    at.written(3_700)
    assert database.session().execute(text("SELECT count(*) FROM feed_acknowledgements")).scalar_one() == 1
    for number in range(acknowledgements.MOST - 1):
        at.note(3_700, 1, f"i{number}")
    at.written(3_700)
    assert len(acknowledgements.of_client(API)) == acknowledgements.MOST
