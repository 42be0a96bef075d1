"""The supervisor: who cannot begin, who dies at once, who hangs, and who is in a hurry."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from idp.platform.supervisor import LONGEST_PAUSE


@contextmanager
def _supervised(act: str, drain: float = 0) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.platform.supervised", act, str(drain)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def _read(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    """What stood on standard output, line by line, and on standard error; waits for the end."""
    out, err = process.communicate(timeout=30)
    return out.splitlines(), err


def _await_line(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout
    assert process.stdout.readline() == f"{line}\n"


def _await_report(process: subprocess.Popen[str], line: str) -> None:
    """Wait for a line among others on standard error."""
    assert process.stderr
    while (said := process.stderr.readline()) != f"{line}\n":
        assert said, "it ended"


def test_workers_are_told_that_a_stop_is_coming_and_later_to_end() -> None:
    with _supervised("wait", drain=0.3) as process:
        _await_line(process, "ready")
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = _read(process)
        assert time.monotonic() - began > 0.3
        assert (out, process.returncode) == (["closing", "buried"], 0)
        assert err.index("stopping\n") < err.index("ended\n")


def test_a_second_signal_is_in_a_hurry() -> None:
    with _supervised("wait", drain=60) as process:
        _await_line(process, "ready")
        process.send_signal(signal.SIGINT)
        _await_report(process, "stopping")
        process.send_signal(signal.SIGINT)
        assert _read(process)[0] == ["closing", "buried"]
        assert process.returncode == 0


def test_a_worker_that_cannot_begin_fails_the_start() -> None:
    with _supervised("fail") as process:
        out, err = _read(process)
        assert (out, process.returncode) == (["buried"], 1)
        assert "ValueError" in err


def test_workers_that_die_at_once_are_replaced_with_growing_pauses() -> None:
    with _supervised("die") as process:
        _await_line(process, "ready")
        began = time.monotonic()
        for _ in range(4):  # after 0.1, 0.2, 0.4 seconds
            _await_report(process, "born")
        assert time.monotonic() - began > 0.6
        process.send_signal(signal.SIGTERM)
        _read(process)
        assert LONGEST_PAUSE < 5


def test_who_does_not_end_in_time_is_killed() -> None:
    with _supervised("hang") as process:
        _await_line(process, "ready")
        process.send_signal(signal.SIGTERM)
        assert _read(process)[0] == ["closing", "buried"]
        assert process.returncode == 0
