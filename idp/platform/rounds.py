"""Rounds: what a process does again and again in the background, in one thread of its own, whatever happens."""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from idp.platform import clock

_LONGEST_PAUSE = 1.0
"""Seconds to wait at most after failures in a row: when the database is back, so are we, soon after."""

log = logging.getLogger(__name__)


class Application(Protocol):
    """What work needs around it: the settings, the database, a session of its own."""

    def app_context(self) -> AbstractContextManager[object]:
        """A fresh context."""
        ...


class Rounds:
    """Calls `work` every `every` seconds, each time in a fresh context of `app`, from `start()` to `stop()`.

    `work` says whether there is more to do: then the next round begins after `breath` seconds. A round that fails is
    logged (the first of several in a row) and tried again, after a pause that grows up to a second.
    """

    def __init__(
        self, name: str, app: Application, work: Callable[[], bool], *, every: float, breath: float = 0.02
    ) -> None:
        self._name = name
        self._app = app
        self._work = work
        self._every = every
        self._breath = breath
        self._failures = 0
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, in this process; a process that was forked begins its own."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._go, name=self._name, daemon=True)
            self._thread.start()

    def stop(self, patience: float = 5.0) -> None:
        """End after the round in hand; wait for that at most `patience` seconds."""
        self._stopping.set()
        self._awake.set()
        if self._thread is not None:
            self._thread.join(patience)
            self._thread = None

    def wake(self) -> None:
        """Let the next round begin at once (not while rounds fail: that would only hammer what is down)."""
        self._awake.set()

    def _go(self) -> None:
        while not self._stopping.is_set():
            began = clock.monotonic()
            pause = self._round()
            if self._failures:
                self._stopping.wait(pause)
            else:
                self._awake.wait(max(0.0, pause - (clock.monotonic() - began)))
            self._awake.clear()

    def _round(self) -> float:
        """Do it once; how many seconds after its beginning the next one is due."""
        try:
            with self._app.app_context():
                more = self._work()
        except Exception as error:  # whatever it was, the next round is tried
            self._failures += 1
            if self._failures == 1:
                log.warning("%s: %s, will be tried again", self._name, type(error).__name__, exc_info=True)
            return min(_LONGEST_PAUSE, self._every * float(2 ** min(self._failures, 10)))
        if self._failures:
            log.info("%s: works again after %d failures", self._name, self._failures)
        self._failures = 0
        return self._breath if more else self._every
