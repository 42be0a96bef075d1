"""A PostgreSQL server that writes to the disk what it acknowledges."""

import contextlib
from collections.abc import Iterator

from tests import postgresql
from tests.postgresql import Server


def settle(address: str) -> None:
    """Let the planner see what was written, as autovacuum does within a minute."""
    postgresql.administer(address, "VACUUM ANALYZE")


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A server, gone afterwards with everything in it."""
    running = postgresql.start()
    try:
        yield running
    finally:
        running.stop()
