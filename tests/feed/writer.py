"""A node of its own that takes things away: `python -m tests.feed.writer URL THREADS TIMES PEOPLE`.

Every act adds one to a person's count (a job's `attempts` stands in for their roles) and says so in the feed, in one
transaction. Prints `go` when ready, begins when told so, and ends with what it did.
"""

import sys
import threading

from flask import Flask
from sqlalchemy import update

from idp.feed import losses
from idp.platform import database
from idp.platform.jobs import Job
from tests import databases
from tests.patience import come_back


def take_away(person: str) -> None:
    """One act, on the current application."""

    def act() -> None:
        database.session().execute(update(Job).where(Job.id == person).values(attempts=Job.attempts + 1))
        losses.record("grant", sub=person, org_id="org_1")

    come_back(act)


def _work(app: Flask, times: int, people: int, begin: int) -> None:
    for turn in range(times):
        with app.app_context():
            take_away(f"usr_{(begin + turn) % people}")


def main(url: str, threads: int, times: int, people: int) -> None:
    app = databases.app_on(url)
    print("go", flush=True)
    sys.stdin.readline()
    workers = [threading.Thread(target=_work, args=(app, times, people, begin)) for begin in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
