"""Positions: where the change feed stands, and how long its entries are kept.

A token carries the position of the feed's head, read in the same statement as the roles that the token states. One
snapshot makes it true: whatever was taken away up to that position is gone from those roles, and whatever is taken
away later has a higher position.
"""

from sqlalchemy import func, select, text
from sqlalchemy.sql.selectable import ScalarSelect

from idp.feed.models import Change
from idp.platform import clock, database, memory

MARGIN = 120 * clock.SECOND
"""How much longer an entry is kept than any token lives that it may hit: clocks may differ by that much."""

LONGEST_TOKEN = clock.HOUR
"""No setting lets an access token live longer, and none ever did."""


_HEAD = select(func.max(Change.position))

head_of_feed: ScalarSelect[int] = _HEAD.scalar_subquery()
"""The head as part of another statement, beside the roles (`azv`). Migrations begin the feed, so it is never empty."""


def head() -> int:
    """The position of the newest entry that is committed."""
    return database.session().execute(_HEAD).scalar_one()


class _Seen:
    """What this process knows of the head without asking."""

    def __init__(self) -> None:
        self.head = 0


def seen(head: int) -> None:
    """Remember that the feed has come to `head`: what was read before is then read again before it is gone by."""
    memory.of(_Seen).head = head


def last_seen() -> int:
    """The head when this process last heard of it; 0 before."""
    return memory.of(_Seen).head


def now() -> int:
    """The instant on the clock that stamps entries: the database's own on PostgreSQL, this machine's on SQLite."""
    if database.is_sqlite():
        return clock.now()
    return int(database.session().execute(text("SELECT extract(epoch FROM clock_timestamp()) * 1000000")).scalar_one())


def clean_up(limit: int = 1_000) -> int:
    """Delete up to `limit` entries that are older than any token, the oldest first; how many it were.

    The newest of these stays: it is the head, or where the window begins. Call it inside `database.writing()`, again
    until it says 0.
    """
    changed = database.session().execute(
        text(
            "DELETE FROM change_feed WHERE position IN (SELECT position FROM change_feed WHERE written_at < :before"
            " AND position < (SELECT max(position) FROM change_feed WHERE written_at < :before)"
            " ORDER BY position LIMIT :limit)"
        ),
        {"before": now() - LONGEST_TOKEN - MARGIN, "limit": limit},
    )
    return int(changed.rowcount)  # type: ignore[attr-defined]


def leap(beyond: int = 0) -> int:
    """Begin an epoch at a position above every one that was ever handed out; that position. For restored backups.

    What was handed out after the backup is not known any more. It is above the clock of that time by little, and below
    `beyond`, if that is the head of the database that is being replaced. Call it inside `database.writing()`.
    """
    position = max(now() + MARGIN, head() + 1, beyond + 1)
    database.session().add(Change(position=position, kind="epoch", selector="{}", written_at=now()))
    database.session().flush()
    return position
