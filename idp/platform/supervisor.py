"""The supervisor: one process that keeps its workers alive, and lets them go in good order when it is told to stop.

Workers are forked: they hold what the supervisor has read (settings, keys) without its being handed around, and one
that was killed is back within moments. The supervisor runs no threads and leaves no connection open when it begins.

It speaks to its workers by closing lines, which reaches every worker, late ones too, and cannot be missed: it closes
one to say that a stop is coming; the other closes by itself when the supervisor is gone.
"""

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import structlog

from idp.platform import clock

GRACE = 10.0
"""Seconds that running work has to end after it was told to."""

CALM = 5.0
"""Seconds a worker has to live for its death to be an accident, which is answered by another worker at once."""

LONGEST_PAUSE = 4.0
"""Seconds between two attempts at most, when workers die as soon as they begin."""

_STOPS = frozenset({signal.SIGTERM, signal.SIGINT})
_SIGNALS = _STOPS | {signal.SIGCHLD}

log = structlog.get_logger()


@dataclass(frozen=True)
class Leash:
    """A worker's lines to its supervisor."""

    _hears_stop: socket.socket
    _hears_end: socket.socket
    _says_ready: socket.socket

    def ready(self) -> None:
        """Say that this worker does its work from now on."""
        self._says_ready.send(b".")

    def when_stopping(self, act: Callable[[], None]) -> None:
        """Call `act`, in a thread of its own, once a stop is coming: readiness ends, work goes on."""
        _when_closed(self._hears_stop, act)

    def follow(self) -> None:
        """End as on SIGTERM when the supervisor is gone, so that its successor finds the way free."""
        _when_closed(self._hears_end, _end)


def _when_closed(line: socket.socket, act: Callable[[], None]) -> None:
    def wait() -> None:
        line.recv(1)
        act()

    threading.Thread(target=wait, name="leash", daemon=True).start()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE)
    os._exit(1)


@dataclass(frozen=True)
class Task:
    """What a worker does: `run` is called in a process of its own, and returns after SIGTERM, when all is done."""

    name: str
    run: Callable[[Leash], None]


@dataclass(frozen=True)
class _Worker:
    task: Task
    born: float
    pause: float


class Supervisor:
    """Runs every task in a worker of its own until SIGTERM or SIGINT.

    `on_ready` is called once, when every worker has said that it is ready. From then on a worker that ends is
    replaced: at once, or after a growing pause when it did not live long. `drain_seconds` after the signal
    `on_closing` is called and the workers are told to end, with `GRACE` to do so; a second signal makes that now.
    `on_end` is told the process id of every worker that has ended.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        drain_seconds: float,
        on_ready: Callable[[], None],
        on_closing: Callable[[], None],
        on_end: Callable[[int], None],
    ) -> None:
        self._drain_seconds = drain_seconds
        self._on_ready = on_ready
        self._on_closing = on_closing
        self._on_end = on_end
        self._due = dict.fromkeys(tasks, (0.0, 0.0))  # tasks without a worker: when to begin, after which pause
        self._workers: dict[int, _Worker] = {}
        self._awaited = len(tasks)
        self._stops = 0
        self._has_failed = False

    def run(self) -> int:
        """Do it; the exit status: 0 after a stop that was asked for, 1 when a worker ended before all were ready."""
        with self._lines():
            try:
                while not (self._stops or self._has_failed):
                    self._begin_what_is_due()
                    self._wait(self._until_next())
                if not self._has_failed:
                    self._drain()
            finally:
                self._end_workers()
        return int(self._has_failed)

    # Lines

    @contextlib.contextmanager
    def _lines(self) -> Iterator[None]:
        """Open what the supervisor hears by (signals, workers that are ready) and speaks by."""
        gc.freeze()  # workers share this memory as long as nobody touches it
        before = {name: signal.getsignal(name) for name in _SIGNALS}
        with contextlib.ExitStack() as lines:
            self._hears_ready, self._says_ready = _line(lines)
            self._hears_stop, self._says_stop = _line(lines)
            self._hears_end, self._says_end = _line(lines)
            self._bell, ring = _line(lines)
            ring.setblocking(False)
            self._events = lines.enter_context(selectors.DefaultSelector())
            self._events.register(self._bell, selectors.EVENT_READ, self._hear_signals)
            self._events.register(self._hears_ready, selectors.EVENT_READ, self._hear_ready)
            signal.set_wakeup_fd(ring.fileno(), warn_on_full_buffer=False)
            for name in _SIGNALS:
                signal.signal(name, lambda *_: None)  # the bell tells us
            try:
                yield
            finally:
                signal.set_wakeup_fd(-1)
                for name, handler in before.items():
                    signal.signal(name, handler)

    def _wait(self, seconds: float | None) -> None:
        """Until something is heard, at most `seconds`."""
        for key, _ in self._events.select(seconds):
            key.data()

    def _hear_signals(self) -> None:
        heard = self._bell.recv(1024)
        self._stops += sum(name in _STOPS for name in heard)
        if signal.SIGCHLD in heard:
            self._bury()

    def _hear_ready(self) -> None:
        heard = len(self._hears_ready.recv(1024))
        if self._awaited:
            self._awaited = max(0, self._awaited - heard)
            if not self._awaited:
                self._on_ready()

    # Workers

    def _begin_what_is_due(self) -> None:
        now = clock.monotonic()
        for task, (due, pause) in list(self._due.items()):
            if due <= now:
                del self._due[task]
                self._workers[self._fork(task)] = _Worker(task, now, pause)

    def _until_next(self) -> float | None:
        """Seconds until a task is due, `None` when every task has its worker."""
        return min((max(0.0, due - clock.monotonic()) for due, _ in self._due.values()), default=None)

    def _fork(self, task: Task) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            self._become(task)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        return pid

    def _become(self, task: Task) -> NoReturn:
        """Be the worker. It has a process group of its own, so that Ctrl-C is the supervisor's to answer, and says on
        stderr whatever it says: standard output belongs to the one line that tells of readiness.
        """
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for name in _SIGNALS:
                signal.signal(name, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            os.setpgid(0, 0)
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
            self._events.close()
            for line in (self._hears_ready, self._says_stop, self._says_end):
                line.close()
            task.run(Leash(self._hears_stop, self._hears_end, self._says_ready))
            status = 0
        except BaseException as error:
            log.critical("worker failed", worker=task.name, exc_info=error)
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _bury(self) -> None:
        """Take note of every worker that has ended, and see to its successor."""
        for pid, worker in list(self._workers.items()):
            buried, status = os.waitpid(pid, os.WNOHANG)
            if buried:
                del self._workers[pid]
                self._on_end(pid)
                self._succeed(worker, os.waitstatus_to_exitcode(status))

    def _succeed(self, worker: _Worker, status: int) -> None:
        """Plan the successor of `worker`, which ended with `status` (minus the signal that killed it)."""
        if self._stops:
            return
        self._has_failed = self._awaited > 0
        now = clock.monotonic()
        lived = now - worker.born
        pause = 0.0 if lived > CALM else min(worker.pause * 2 or 0.1, LONGEST_PAUSE)
        self._due[worker.task] = (now + pause, pause)
        log.error("worker ended", worker=worker.task.name, status=status, lived_seconds=round(lived, 1))

    # The end

    def _drain(self) -> None:
        log.info("stopping", drain_seconds=self._drain_seconds)
        self._says_stop.close()
        self._listen_until(clock.monotonic() + self._drain_seconds, lambda: self._stops > 1)
        self._on_closing()

    def _end_workers(self) -> None:
        self._tell_workers(signal.SIGTERM)
        self._listen_until(clock.monotonic() + GRACE, lambda: not self._workers)
        if self._workers:
            log.warning("workers did not end in time", workers=[worker.task.name for worker in self._workers.values()])
            self._tell_workers(signal.SIGKILL)
            self._listen_until(clock.monotonic() + 1, lambda: not self._workers)

    def _tell_workers(self, name: signal.Signals) -> None:
        for pid in self._workers:
            os.kill(pid, name)  # not yet buried, so the number is still theirs

    def _listen_until(self, deadline: float, is_enough: Callable[[], bool]) -> None:
        while not is_enough() and (left := deadline - clock.monotonic()) > 0:
            self._wait(left)


def _line(lines: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    """The ends of a new line, closed with `lines` if not before."""
    one, other = socket.socketpair()
    return lines.enter_context(one), lines.enter_context(other)
