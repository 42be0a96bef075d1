"""The sealer: in the order of writing, one at a time, whoever is killed and whatever goes away."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from idp.audit import seal, trail
from idp.audit.models import Entry, Seal, Unsealed
from idp.audit.seal import Sealer
from idp.audit.trail import SYSTEM
from idp.audit.verify import verify
from idp.platform import clock, database
from idp.platform.database import db
from tests.architecture.tree import ROOT
from tests.outage import outage
from tests.patience import come_back, takes

_PATIENCE = 60


def _write(subject: str = "usr_1", organization: str | None = "org_1") -> None:
    with database.writing():
        _write_one(subject, organization)


def _write_one(subject: str, organization: str | None = "org_1") -> None:
    trail.record("user.changed", by=SYSTEM, subject=subject, organization=organization)


def _count(table: type[Seal] | type[Unsealed] | type[Entry]) -> int:
    database.session().rollback()
    return database.session().scalar(select(func.count()).select_from(table)) or 0


def _seal(limit: int = seal.BATCH) -> int:
    with database.writing():
        return seal.seal_batch(limit)


def _until(happens: Callable[[], bool], seconds: float = _PATIENCE) -> float:
    began = clock.monotonic()
    while not happens():
        assert clock.monotonic() - began < seconds
        time.sleep(0.01)
    return clock.monotonic() - began


class Node:
    """A process of `tests.audit.node`."""

    def __init__(self, url: str, work: str, size: int) -> None:
        command = [sys.executable, "-m", "tests.audit.node", url, work, str(size)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _says(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()

    def await_start(self) -> None:
        assert self._says() == "go\n"

    def begin(self, name: str = "node") -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()

    def await_end(self) -> None:
        assert self._says() == "done\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def node(database_url: str) -> Iterator[Callable[[str, int], Node]]:
    """Starts a process; they are waited for where they are needed, so that they start beside one another."""
    started: list[Node] = []

    def start(work: str, size: int) -> Node:
        started.append(Node(database_url, work, size))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def test_entries_are_chained_in_the_order_of_writing_even_when_the_clock_is_set_back(app: Flask) -> None:
    _write("usr_1")
    with time_machine.travel((clock.now() - clock.HOUR) / clock.SECOND):
        _write("usr_2")
    with database.writing():
        for subject in ("usr_3", "usr_4", "usr_5"):
            trail.record("user.changed", by=SYSTEM, subject=subject)
    assert _seal() == 5
    chained = database.session().scalars(
        select(Entry.subject).join(Seal, Seal.entry_id == Entry.id).order_by(Seal.number)
    )
    assert list(chained) == ["usr_1", "usr_2", "usr_3", "usr_4", "usr_5"]


def test_a_batch_is_bounded_and_the_rest_waits(app: Flask) -> None:
    for number in range(5):
        _write(organization=f"org_{number % 2}")
    assert [_seal(2) for _ in range(4)] == [2, 2, 1, 0]
    numbers = select(Seal.number, Seal.organization_id, Seal.organization_number).order_by(Seal.number)
    assert [tuple(row) for row in database.session().execute(numbers)] == [
        (1, "org_0", 1),
        (2, "org_1", 1),
        (3, "org_0", 2),
        (4, "org_1", 2),
        (5, "org_0", 3),
    ]
    assert verify().finding is None


@pytest.mark.rule("AUD-05")
def test_while_one_seals_another_passes(app: Flask) -> None:
    """On PostgreSQL by a lock that is tried, not waited for; on SQLite there is one writer anyway."""
    for _ in range(3):
        _write()
    inside, over = threading.Event(), threading.Event()
    sealed: list[int] = []

    def hold() -> None:
        with app.app_context(), database.writing():
            sealed.append(seal.seal_batch(2))
            inside.set()
            over.wait(10)

    def try_too() -> None:
        with app.app_context():
            sealed.append(_seal())

    first, second = threading.Thread(target=hold), threading.Thread(target=try_too)
    first.start()
    assert inside.wait(10)
    second.start()
    if not database.is_sqlite():
        second.join(5)
        assert sealed == [2, 0]
    over.set()
    first.join()
    second.join()
    _seal()
    assert _count(Seal) == 3
    assert verify().finding is None


def test_the_sealer_chains_within_a_second_and_ends_when_told(app: Flask) -> None:
    sealer = Sealer(app)
    sealer.start()
    try:
        assert takes(_sealed, less_than=1)
    finally:
        sealer.stop()
    _write()
    time.sleep(0.5)
    assert _count(Unsealed) == 1


def _sealed() -> None:
    """Wait until what is written now has its seal."""
    _write()
    _until(lambda: _count(Unsealed) == 0)


def test_a_sealer_catches_up_after_the_database_was_away(app: Flask, database_url: str) -> None:
    sealer = Sealer(app)
    sealer.start()
    try:
        _write()
        _until(lambda: _count(Seal) == 1)
        with outage(database_url):
            time.sleep(0.6)
        db.engine.dispose()
        _write()
        assert _until(lambda: _count(Seal) == 2) < 10
    finally:
        sealer.stop()
    assert verify().finding is None


@pytest.mark.rule("AUD-05")
def test_with_several_nodes_writing_and_sealing_the_chain_has_no_gap(
    app: Flask, node: Callable[[str, int], Node]
) -> None:
    nodes = [node("write", 100) for _ in range(2)]
    for one in nodes:
        one.await_start()
    sealer = Sealer(app, every=0.02, batch=20)
    sealer.start()
    began = clock.monotonic()
    for number, one in enumerate(nodes):
        one.begin(f"node{number}")
    for number in range(100):
        come_back(partial(_write_one, f"own_{number}"))
    for one in nodes:
        one.await_end()
    took = clock.monotonic() - began
    _until(lambda: _count(Unsealed) == 0)
    sealer.stop()
    print(f"{300 / took:.0f} entries a second, each a transaction, written and sealed by three processes")
    assert _count(Entry) == _count(Seal) == 300
    report = verify()
    assert report.finding is None
    assert report.head
    assert report.head.number == 300


@pytest.mark.rule("AUD-02")
@pytest.mark.rule("AUD-05")
def test_sealers_that_are_killed_in_the_middle_leave_a_valid_chain(
    app: Flask, node: Callable[[str, int], Node]
) -> None:
    busy, hanging = node("seal", 1), node("hang", 50)
    for _ in range(4):
        with database.writing():
            for number in range(100):
                trail.record("user.changed", by=SYSTEM, subject=f"usr_{number}", organization=f"org_{number % 3}")
    busy.await_start()
    busy.begin()
    _until(lambda: _count(Seal) >= 5)
    time.sleep(random.random() * 0.05)
    busy.kill()
    sealed = _count(Seal)
    assert sealed < 400
    hanging.await_start()
    hanging.begin()
    hanging.await_end()
    hanging.kill()
    assert _count(Seal) == sealed
    report = verify()
    assert report.finding is None
    assert (report.head and report.head.number, report.unsealed) == (sealed, 400 - sealed)
    while _seal():
        pass
    assert verify().finding is None
    assert _count(Seal) == 400
