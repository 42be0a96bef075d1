"""Turns: first come, first served among threads; and no process takes every turn."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from idp.platform import turns
from idp.platform.turns import Line
from tests.architecture.tree import ROOT

_PATIENCE = 60.0


def _until(line: Line, waiting: int) -> None:
    began = time.monotonic()
    while len(line._waiting) < waiting:
        assert time.monotonic() - began < _PATIENCE
        time.sleep(0.001)


def test_who_came_first_is_served_first() -> None:
    line, served = Line(), list[int]()

    def come(number: int) -> None:
        assert line.join(_PATIENCE)
        served.append(number)
        line.leave()

    assert line.join(0)
    threads = [threading.Thread(target=come, args=(number,)) for number in range(8)]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        _until(line, number)
    line.leave()
    for thread in threads:
        thread.join(_PATIENCE)
    assert served == list(range(8))


def test_who_gives_up_is_not_waited_for() -> None:
    line = Line()
    assert line.join(0)
    assert not line.join(0.01)
    line.leave()
    assert line.join(0)


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Path]:
    """A file that a process writes to in turn after turn; the pen lies beside it."""
    script = (
        "import sys, time; from pathlib import Path; from idp.platform import turns\n"
        "pen, count = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "while True:\n"
        "    with turns.turn(pen, 60):\n"
        "        time.sleep(0.002)\n"
        "        with count.open('a') as file: file.write('.')\n"
    )
    count = tmp_path / "count"
    count.touch()
    hog = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "pen"), str(count)], cwd=ROOT)
    yield count
    hog.kill()
    hog.wait()


def test_a_process_that_wants_every_turn_does_not_get_it(busy: Path) -> None:
    began = time.monotonic()
    while busy.stat().st_size < 3:
        assert time.monotonic() - began < _PATIENCE
        time.sleep(0.01)
    meanwhile = 0
    for _ in range(50):
        before = busy.stat().st_size
        with turns.turn(busy.with_name("pen"), _PATIENCE):
            meanwhile += busy.stat().st_size - before
    assert meanwhile < 1_000  # about two a turn; some thousands where it takes the pen up again at once


def test_no_turn_in_time_is_refused_and_the_next_one_comes(tmp_path: Path) -> None:
    pen, refused = tmp_path / "pen", list[bool]()

    def try_in_vain() -> None:
        try:
            with turns.turn(pen, 0.01):
                refused.append(False)
        except TimeoutError:
            refused.append(True)

    with turns.turn(pen, 1):
        thread = threading.Thread(target=try_in_vain)
        thread.start()
        thread.join(_PATIENCE)
    assert refused == [True]
    with turns.turn(pen, 1):
        pass
