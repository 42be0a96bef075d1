"""Work in the background goes on, whatever happens in one round."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from idp.platform.rounds import Rounds


class Nothing:
    """An application without anything around the work."""

    def app_context(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()


class Counting:
    """Work that is counted; `fails` says which rounds raise, `more` which ask for another at once."""

    def __init__(self, fails: Callable[[int], bool] = lambda _: False, more: bool = False) -> None:
        self._fails, self._more = fails, more
        self._news = threading.Condition()
        self.done = 0

    def __call__(self) -> bool:
        with self._news:
            self.done += 1
            self._news.notify_all()
        if self._fails(self.done):
            raise OSError("away")
        return self._more

    def reaches(self, count: int, seconds: float) -> bool:
        with self._news:
            return self._news.wait_for(lambda: self.done >= count, timeout=seconds)


@pytest.fixture
def going() -> Iterator[Callable[..., Rounds]]:
    started: list[Rounds] = []

    def start(work: Counting, every: float) -> Rounds:
        started.append(Rounds("test", Nothing(), work, every=every))
        started[-1].start()
        return started[-1]

    yield start
    for rounds in started:
        rounds.stop()


def test_rounds_follow_one_another_until_stopped(going: Callable[..., Rounds]) -> None:
    work = Counting()
    rounds = going(work, 0.01)
    assert work.reaches(5, 5)
    rounds.stop()
    done = work.done
    assert not work.reaches(done + 1, 0.1)
    rounds.start()
    assert work.reaches(done + 1, 5)


def test_a_round_that_fails_is_tried_again_and_told_once(
    going: Callable[..., Rounds], caplog: pytest.LogCaptureFixture
) -> None:
    work = Counting(fails=lambda count: count <= 3)
    with caplog.at_level("INFO", logger="idp.platform.rounds"):
        going(work, 0.01)
        assert work.reaches(5, 5)
    assert [record.getMessage() for record in caplog.records] == [
        "test: OSError, will be tried again",
        "test: works again after 3 failures",
    ]


def test_where_there_is_more_to_do_the_next_round_comes_soon(going: Callable[..., Rounds]) -> None:
    work = Counting(more=True)
    going(work, 60)
    assert work.reaches(3, 5)


def test_whoever_cannot_wait_wakes_it(going: Callable[..., Rounds]) -> None:
    work = Counting()
    rounds = going(work, 60)
    assert work.reaches(1, 5)
    rounds.wake()
    assert work.reaches(2, 5)


def test_waking_does_not_hammer_what_is_down(going: Callable[..., Rounds]) -> None:
    work = Counting(fails=lambda _: True)
    rounds = going(work, 60)
    assert work.reaches(1, 5)
    rounds.wake()
    assert not work.reaches(2, 0.3)
