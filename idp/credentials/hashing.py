"""Where passwords are hashed: on a few threads of their own, behind a gate.

A hash takes 19 MiB and tens of milliseconds on purpose. So a process does few at once, lets few more wait, and turns
the rest away at once with 503 and `Retry-After` (PWD-06): a flood of sign-ins costs neither the memory nor the
threads that other pages need. The threads of the gate yield to those of the pages (Linux).
"""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import ParamSpec, TypeVar

from idp.credentials import phc
from idp.platform import database
from idp.platform.errors import Unavailable

THREADS = max(1, min(4, (os.cpu_count() or 2) // 2))
"""Hashes that one process computes at once: half of the processors, so that pages find the other half free."""

WAITING = 8
"""Callers that may wait for their turn. Each holds one of the threads that serve pages."""

PATIENCE = 1.5
"""Seconds that a caller waits for their turn."""

_NICENESS = 5

Given = ParamSpec("Given")
Result = TypeVar("Result")


class TooBusy(Unavailable):
    """More passwords are to be checked than this process takes on."""

    code = "too_busy"
    title = "Too many people are signing in just now"
    remedy = "Try again in a few seconds."


class Gate:
    """`threads` at work, `waiting` in the queue, nobody else."""

    def __init__(self, threads: int, waiting: int, patience: float = PATIENCE) -> None:
        self._places = threading.BoundedSemaphore(threads + waiting)
        self._threads = ThreadPoolExecutor(threads, "hashing", _yield_to_pages)
        self._patience = patience

    def do(self, work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        """What `work` returns. Raises `TooBusy` when the queue is full or its turn does not come in time."""
        if not self._places.acquire(blocking=False):
            raise TooBusy
        doing = self._threads.submit(work, *args, **kwargs)
        doing.add_done_callback(self._leave)
        try:
            return doing.result(self._patience)
        except TimeoutError:
            if doing.cancel():
                raise TooBusy from None
        return doing.result()  # it had begun: on a slow machine people get in slowly, but in

    def require_room(self) -> None:
        """Raise `TooBusy` if nobody could enter now: asked before anything else is done for somebody in a flood."""
        if not self._places.acquire(blocking=False):
            raise TooBusy
        self._places.release()

    def _leave(self, _: Future[Result]) -> None:
        self._places.release()


def make(text: str) -> str:
    """The PHC string under which the password `text` is stored. Never inside a writing transaction; see `Gate.do`."""
    database.not_while_writing("hashing a password")
    return _gate().do(phc.make, text)


def check(stored: str, text: str) -> bool:
    """Whether `stored` (a PHC string of any scheme we read) was made of `text`. As `make`."""
    database.not_while_writing("checking a password")
    return _gate().do(phc.check, stored, text)


def require_room() -> None:
    """Raise `TooBusy` if no password could be checked now; whoever passes may still be turned away by `check`."""
    _gate().require_room()


def _yield_to_pages() -> None:
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)  # of this thread alone (setpriority(2))


@lru_cache(1)
def _gate() -> Gate:
    """The gate of this process: made when first needed, and anew after a fork, which threads do not survive."""
    return Gate(THREADS, WAITING)


os.register_at_fork(after_in_child=_gate.cache_clear)
