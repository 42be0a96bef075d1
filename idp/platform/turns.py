"""Whose turn it is: first come, first served among the threads of a process, and turn about among processes.

For SQLite, which has one writer at a time. Whoever merely tried again and again could try in vain for ever, while
somebody busy takes the pen up as soon as they have put it down.
"""

import contextlib
import fcntl
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from idp.platform import clock

_LONGEST_PAUSE = 0.01
_NEXT_PAUSE = 0.0005
"""Seconds between two tries of a process: of those in the queue, and of the one that is next, which is one alone."""


class Line:
    """A queue of threads: who came first is served first."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    def join(self, timeout: float) -> bool:
        """Wait for one's turn, for `timeout` seconds at most; whether it came. Then `leave` has to be called."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            called = threading.Event()
            self._waiting.append(called)
        if called.wait(timeout):
            return True
        with self._guard:
            if called.is_set():
                return True
            self._waiting.remove(called)
            return False

    def leave(self) -> None:
        """Let the next one go."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False


_line = Line()


@contextlib.contextmanager
def turn(file: Path, timeout: float) -> Iterator[None]:
    """Hold the pen `file` for the block, as the only one among all threads and processes.

    A process waits at a second file until it is next: who has just held the pen is behind whoever waits there. Raises
    `TimeoutError` when no turn came within `timeout` seconds.
    """
    deadline = clock.monotonic() + timeout
    if not _line.join(timeout):
        raise TimeoutError
    try:
        with file.with_name(f"{file.name}.next").open("ab") as door, file.open("ab") as pen:
            _wait_for(door.fileno(), deadline, _LONGEST_PAUSE)
            _wait_for(pen.fileno(), deadline, _NEXT_PAUSE)
            fcntl.flock(door.fileno(), fcntl.LOCK_UN)
            yield
    finally:
        _line.leave()


def _wait_for(place: int, deadline: float, longest: float) -> None:
    pause = _NEXT_PAUSE
    while True:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() > deadline:
                raise TimeoutError from None
            threading.Event().wait(pause)
            pause = min(pause * 2, longest)
        else:
            return
