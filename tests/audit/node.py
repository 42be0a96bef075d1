"""A node of its own, to be killed: `python -m tests.audit.node URL WORK SIZE`. Prints `go`, begins when given its name.

`write`: writes SIZE entries while a sealer runs beside, then prints `done`. `seal`: seals batches of SIZE until it is
killed. `hang`: seals one batch of SIZE, prints `done` just before its commit, and never comes to it.
"""

import sys
import time
from functools import partial

from idp.audit import seal, trail
from idp.audit.seal import Sealer
from idp.audit.trail import Actor
from idp.platform import correlation, database
from idp.platform.correlation import Origin
from tests import databases
from tests.patience import come_back


def write(times: int, name: str) -> None:
    """Entries of three organizations in turn, a transaction each."""
    for number in range(times):
        origin = Origin("req-12345678", "203.0.113.7", "agent")
        actor, organization = Actor("user", "usr_alice"), f"org_{number % 3}"
        subject = f"{name}_{number}"
        with correlation.working_for(origin):
            come_back(partial(trail.record, "user.changed", by=actor, subject=subject, organization=organization))


def keep_sealing(batch: int) -> None:
    while True:
        with database.writing():
            seal.seal_batch(batch)


def hang() -> None:
    print("done", flush=True)
    time.sleep(60)


def main(url: str, work: str, size: int) -> None:
    app = databases.app_on(url)
    print("go", flush=True)
    name = sys.stdin.readline().strip()
    if work == "write":
        Sealer(app, every=0.02, batch=20).start()
    if work == "hang":
        database.before_commit(lambda _: hang())
    with app.app_context():
        if work == "write":
            write(size, name)
        else:
            keep_sealing(size)
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
