"""The time: the only module that asks the system for it.

Every instant in this house is an `int`: microseconds since 1970-01-01T00:00:00 UTC. Integers compare the same in
Python, SQLite and PostgreSQL, need no type conversion on hot paths, and never carry a forgotten zone.
"""

import time
from datetime import UTC, datetime

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

FOREVER = 2**63 - 2
"""Later than every instant that can be stored: the horizon of questions about what is true *now*.

An edge that was ended is ended for every node, however far the clocks of two nodes are apart; so "now" asks for
edges without an end, and only questions about the past compare ends with a time.
"""


def now() -> int:
    """The current instant: microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def monotonic() -> float:
    """Seconds on a clock that never jumps: for durations and deadlines, never stored."""
    return time.monotonic()


def iso(instant: int) -> str:
    """`instant` as RFC 3339 in UTC with microseconds, e.g. `2026-11-22T16:20:41.000250Z`."""
    moment = datetime.fromtimestamp(instant // SECOND, UTC).replace(microsecond=instant % SECOND)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse(text: str) -> int:
    """The instant that an RFC 3339 date or date-time names; without an offset it is read as UTC.

    Raises `ValueError` when the text is none.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds
