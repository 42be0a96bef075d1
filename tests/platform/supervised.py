"""A supervisor whose one worker behaves as it is told: `python -m tests.platform.supervised ACT DRAIN`."""

import os
import signal
import sys
import threading

from idp.platform import logging, supervisor
from idp.platform.supervisor import Leash, Supervisor, Task


def _say(word: str) -> None:
    os.write(1, f"{word}\n".encode())


def _wait(leash: Leash) -> None:
    leash.follow()
    leash.when_stopping(lambda: os.write(2, b"stopping\n"))
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    _say("noise")
    leash.ready()
    told.wait()
    os.write(2, b"ended\n")


def _fail(_: Leash) -> None:
    raise ValueError("cannot begin")


def _die(leash: Leash) -> None:
    leash.ready()
    os.write(2, b"born\n")


def _hang(leash: Leash) -> None:
    leash.follow()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    leash.ready()
    threading.Event().wait(60)


def main(act: str, drain: str) -> int:
    """Supervise until told to stop."""
    logging.configure("json")
    supervisor.GRACE = 0.5
    task = Task(act, {"wait": _wait, "fail": _fail, "die": _die, "hang": _hang}[act])
    return Supervisor(
        [task],
        drain_seconds=float(drain),
        on_ready=lambda: _say("ready"),
        on_closing=lambda: _say("closing"),
        on_end=lambda _: _say("buried"),
    ).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
