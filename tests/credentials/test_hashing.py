"""Hashing: on a few threads of its own, behind a gate that turns a flood away at once."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from flask import Flask

from idp.credentials import hashing, passwords
from idp.credentials.hashing import Gate, TooBusy
from idp.credentials.passwords import About
from idp.platform import database, phrasing
from tests.architecture.tree import ROOT
from tests.patience import takes

GOOD = "correct horse battery staple"


class Crowd:
    """Threads that pass a gate at once; `most` were inside together."""

    def __init__(self, gate: Gate, size: int) -> None:
        self.inside = self.most = 0
        self.refused: list[float] = []
        self.done = 0
        self.lock = threading.Lock()
        self.let_go = threading.Event()
        self.threads = [threading.Thread(target=self._pass, args=(gate,)) for _ in range(size)]
        for thread in self.threads:
            thread.start()

    def _work(self) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.let_go.wait(10)
        with self.lock:
            self.inside -= 1

    def _pass(self, gate: Gate) -> None:
        began = time.monotonic()
        try:
            gate.do(self._work)
        except TooBusy:
            self.refused.append(time.monotonic() - began)
        else:
            self.done += 1

    def leave(self) -> None:
        self.let_go.set()
        for thread in self.threads:
            thread.join(30)


@pytest.fixture
def crowds() -> Iterator[list[Crowd]]:
    made: list[Crowd] = []
    yield made
    for crowd in made:
        crowd.leave()


@pytest.mark.rule("PWD-06")
def test_no_more_than_the_threads_hash_at_once_and_no_more_than_the_queue_wait(crowds: list[Crowd]) -> None:
    gate = Gate(2, 3, patience=10)
    crowd = Crowd(gate, 40)
    crowds.append(crowd)
    deadline = time.monotonic() + 10
    while (len(crowd.refused), crowd.inside) != (35, 2) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (len(crowd.refused), crowd.inside) == (35, 2)
    with pytest.raises(TooBusy):
        gate.require_room()
    crowd.leave()
    gate.require_room()
    assert (crowd.done, crowd.most) == (5, 2)
    assert gate.do(lambda: "free again") == "free again"


@pytest.mark.rule("PWD-06")
def test_whoever_waits_is_told_within_two_seconds(crowds: list[Crowd]) -> None:
    assert hashing.PATIENCE < 2

    def wait_in_vain() -> None:
        crowd = Crowd(Gate(1, 4), 5)
        crowds.append(crowd)
        while len(crowd.refused) < 4:
            assert crowd.inside <= 1
            time.sleep(0.01)
        assert (len(crowd.refused), crowd.inside) == (4, 1)

    assert takes(wait_in_vain, less_than=2)
    crowds[-1].leave()
    assert crowds[-1].done == 1


@pytest.mark.rule("PWD-06")
def test_the_refusal_is_503_with_a_time_to_come_back(app: Flask) -> None:
    told = phrasing.answer(TooBusy(), "/login/password", "text/html")
    assert (told.status, dict(told.headers)["Retry-After"]) == (503, "2")


@pytest.mark.rule("PWD-06")
def test_passwords_are_made_and_checked_nowhere_else(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_gate", lambda: Gate(1, -1))
    with pytest.raises(TooBusy):
        passwords.hash(GOOD, About())
    with pytest.raises(TooBusy):
        passwords.verify(None, GOOD)


def test_what_goes_wrong_inside_comes_out_and_frees_the_place() -> None:
    gate = Gate(1, 0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            gate.do(lambda: 1 // 0)


def test_nothing_is_hashed_inside_a_writing_transaction(app: Flask) -> None:
    with pytest.raises(RuntimeError), database.writing():
        passwords.verify(None, GOOD)


def test_the_threads_yield_to_those_of_pages_and_only_they() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    inside = Gate(1, 0).do(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    assert inside > before
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


_FORK = """
import os
from idp.credentials.hashing import _gate
assert _gate().do(lambda: "parent") == "parent"
child = os.fork()
if child == 0:
    os._exit(0 if _gate().do(lambda: "child") == "child" else 1)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_process_that_was_forked_has_a_gate_of_its_own() -> None:
    program = [sys.executable, "-W", "ignore", "-c", _FORK]
    assert subprocess.run(program, timeout=60, check=False, cwd=ROOT).returncode == 0
