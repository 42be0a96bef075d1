"""Many nodes write, one reads: no change is missed, no superseded token passes, no fresh one is refused."""

import json
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import insert, select

from idp.feed import positions
from idp.feed.models import Change
from idp.platform import clock, database
from idp.platform.jobs import Job
from tests.architecture.tree import ROOT
from tests.feed.writer import take_away

_PROCESSES, _THREADS, _TIMES, _PEOPLE = 2, 8, 25, 5
_PATIENCE = 60


@pytest.fixture
def people(app: Flask) -> list[str]:
    names = [f"usr_{number}" for number in range(_PEOPLE)]
    with database.writing():
        database.session().execute(insert(Job), [{"id": name, "kind": "count", "payload": "{}"} for name in names])
    return names


@pytest.fixture
def writers(database_url: str) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "tests.feed.writer", database_url, str(_THREADS), str(_TIMES), str(_PEOPLE)]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(_PROCESSES)
    ]
    for writer in started:
        assert writer.stdout
        assert writer.stdout.readline() == "go\n"
    yield started
    for writer in started:
        writer.kill()
        writer.communicate()


def _begin(writers: list[subprocess.Popen[str]]) -> None:
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("\n")
        writer.stdin.flush()


def _await(writers: list[subprocess.Popen[str]]) -> None:
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "done\n"


class Reader(threading.Thread):
    """Reads on from the head, over and over, as a follower does; and makes tokens of what it reads."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self._app = app
        self._over = threading.Event()
        self._head = -1
        self.read: list[int] = []
        self.tokens: set[tuple[str, int, int]] = set()

    def run(self) -> None:
        turn = 0
        while not self._over.is_set():
            turn += 1
            with self._app.app_context():
                self._read_on()
                self._make_token(f"usr_{turn % _PEOPLE}")

    def end(self) -> None:
        self._over.set()
        self.join(_PATIENCE)
        with self._app.app_context():
            self._read_on()

    def _read_on(self) -> None:
        found = select(Change.position).where(Change.position > self._head).order_by(Change.position)
        self.read += database.session().scalars(found)
        self._head = self.read[-1]

    def _make_token(self, person: str) -> None:
        stated = select(Job.attempts, positions.head_of_feed).where(Job.id == person)
        count, azv = database.session().execute(stated).one()
        self.tokens.add((person, count, azv))


def test_of_sixteen_writers_none_is_missed_and_exactly_the_superseded_tokens_are_refused(
    app: Flask, people: list[str], writers: list[subprocess.Popen[str]]
) -> None:
    reader = Reader(app)
    reader.start()
    began = clock.monotonic()
    _begin(writers)
    _await(writers)
    took = clock.monotonic() - began
    reader.end()
    print(f"{_PROCESSES * _THREADS * _TIMES / took:.0f} losses a second, {len(reader.tokens)} tokens")

    stored = database.session().execute(select(Change.position, Change.selector).order_by(Change.position)).all()
    assert reader.read == [position for position, _ in stored]
    assert len(stored) == 1 + _PROCESSES * _THREADS * _TIMES

    superseded_at: dict[str, list[int]] = defaultdict(list)  # the n-th entry of a person is what made their count n
    for position, selector in stored[1:]:
        superseded_at[json.loads(selector)["sub"]].append(position)
    assert len(reader.tokens) > len(people)
    for person, count, azv in reader.tokens:
        hit_by = [position for position in superseded_at[person] if position > azv]
        assert hit_by == superseded_at[person][count:]


def test_whoever_saw_a_head_writes_above_it_whatever_others_do_meanwhile(app: Flask, people: list[str]) -> None:
    above: list[bool] = []

    def work(person: str) -> None:
        for _ in range(10):
            with app.app_context():
                before = positions.head()
                take_away(person)
                above.append(before < positions.head())

    workers = [threading.Thread(target=work, args=(person,)) for person in people]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(_PATIENCE)
    assert above == [True] * 10 * len(people)
