"""The follower: the window of the change feed in memory, never more than a moment behind the database.

One thread a process reads the table every 100 ms. Positions appear in commit order, so reading on from the head misses
nothing. Durations are measured on the monotonic clock, ages of entries on the clock that stamped them.
"""

import json
import threading
from bisect import bisect_right
from dataclasses import dataclass, replace

from sqlalchemy import BigInteger, bindparam, func, select

from idp.feed import positions
from idp.feed.models import Change
from idp.platform import clock, memory
from idp.platform.errors import Refusal, Unavailable
from idp.platform.prepared import Prepared
from idp.platform.rounds import Application, Rounds

EVERY = 0.1
"""Seconds between two reads."""

OLDEST_ANSWER = 1.0
"""Seconds after which what we know is no answer any more."""

MOST = 100_000
"""Entries kept in memory."""

_PAGE = 10_000


class CursorExpired(Refusal):
    """`since` lies outside of what is known: entries after it may be gone, or it is from a history that was undone."""

    code = "cursor_expired"
    status = 410
    title = "The change feed does not reach back to that position, or never was there"
    remedy = "Forget what was read and ask again without a position."


class Behind(Unavailable):
    """This node has not read the feed for too long to answer for it."""

    code = "feed_behind"
    title = "This node has lost sight of the change feed"
    retry_after = 1


@dataclass(frozen=True)
class Superseding:
    """An entry: every token that agrees with `match` (a JSON object) and has `azv` below `position` is superseded.

    `seen`: when we first read it, in seconds of the monotonic clock.
    """

    position: int
    kind: str
    match: str
    seen: float


@dataclass(frozen=True)
class Changes:
    """What a verifier learns: entries in order, and how old this knowledge is (`age_ms`, from the start of its read).

    With `more`, go on from the last entry's position; without, all up to `head` is known.
    """

    head: int
    floor: int
    age_ms: int
    window_s: int
    entries: tuple[Superseding, ...]
    more: bool


@dataclass(frozen=True)
class _Row:
    position: int
    kind: str
    selector: str


@dataclass(frozen=True)
class _Beginning:
    """`position`: where to read from; `first`: the oldest entry of the window, if there is one."""

    position: int
    first: int | None


class Follower:
    """Follows the feed for one process, reading every `every` seconds, with at most `most` entries in memory.

    `longest_token`: microseconds that an access token may live.
    """

    def __init__(
        self, app: Application, *, longest_token: int = 5 * clock.MINUTE, most: int = MOST, every: float = EVERY
    ) -> None:
        self._window = (longest_token + positions.MARGIN) / clock.SECOND
        self._most = most
        self._rounds = Rounds("feed follower", app, self.read, every=every)
        self._news = threading.Condition()
        self._entries: list[Superseding] = []
        self._head = 0
        self._floor = 0
        self._read_at = float("-inf")

    def start(self) -> None:
        """Begin to follow; answers come after the first read."""
        self._rounds.start()

    def stop(self) -> None:
        """Stop following; answers cease within a second."""
        self._rounds.stop()

    def changes_since(self, since: int | None = None, *, at_least: int = 0, limit: int = 1_000) -> Changes:
        """Up to `limit` entries after the position `since`; without it the whole window, from its beginning.

        When `since` or `at_least` (the `azv` of a token in hand) is above our head, the feed is read before answering.
        Raises `CursorExpired` when `since` is below the floor or still above the head, and `Behind` when the last read
        is more than a second old.
        """
        if max(since or 0, at_least) > self._head:
            self._await_a_read()
        with self._news:
            age = clock.monotonic() - self._read_at
            if age > OLDEST_ANSWER:
                raise Behind
            if since is not None and not self._floor <= since <= self._head:
                raise CursorExpired
            begin = 0 if since is None else bisect_right(self._entries, since, key=_position)
            return Changes(
                head=self._head,
                floor=self._floor,
                age_ms=int(age * 1000),
                window_s=int(self._window),
                entries=tuple(self._entries[begin : begin + limit]),
                more=len(self._entries) > begin + limit,
            )

    def read(self) -> bool:
        """Read on from the head (what the thread does every 100 ms); whether there is more to read."""
        began = clock.monotonic()
        rows = _FROM.all(position=self._head, limit=_PAGE)
        if not rows or rows[0].position != self._head:  # the newest row is never deleted: this is another history
            self._begin()
            return True
        is_all = len(rows) < _PAGE
        with self._news:
            self._entries.extend(_entry(row, began) for row in rows[1:])
            self._head = rows[-1].position
            self._let_go(began - self._window)
            self._entries = folded(self._entries, self._most)
            if is_all:
                self._read_at = began
                self._news.notify_all()
        positions.seen(rows[-1].position)
        return not is_all

    def _begin(self) -> None:
        """Forget all, and go to the beginning of the window."""
        since = positions.now() - int(self._window * clock.SECOND)
        beginning = _BEGINNING.all(since=since)[0]
        first = _FROM.all(position=beginning.position, limit=1)[0]
        with self._news:
            self._read_at = float("-inf")
            self._head = first.position
            is_inside = first.position == beginning.first  # nothing is before it: it is the first entry of all
            self._entries = [_entry(first, clock.monotonic())] if is_inside else []
            self._floor = first.position - 1 if is_inside else first.position  # readers let go of what is not above it

    def _let_go(self, before: float) -> None:
        """Drop what was seen before the window; from then on it is the floor."""
        gone = next((place for place, entry in enumerate(self._entries) if entry.seen >= before), len(self._entries))
        if gone:
            self._floor = self._entries[gone - 1].position
            del self._entries[:gone]

    def _await_a_read(self) -> None:
        """Wait for a read that began after now."""
        asked = clock.monotonic()
        self._rounds.wake()
        with self._news:
            if not self._news.wait_for(lambda: self._read_at >= asked, timeout=OLDEST_ANSWER):
                raise Behind


def appoint(follower: Follower) -> None:
    """Let `follower` answer for this process from now on."""
    memory.of(_Appointed).follower = follower


def of_this_process() -> Follower:
    """The follower that answers for this process. Raises `Behind` where none does."""
    follower = memory.of(_Appointed).follower
    if follower is None:
        raise Behind
    return follower


class _Appointed:
    """Of one application in this process: who follows the feed."""

    def __init__(self) -> None:
        self.follower: Follower | None = None


def folded(entries: list[Superseding], most: int) -> list[Superseding]:
    """`entries`, or at most `most` that hit at least the same tokens (withdrawn keys apart).

    Of too many the newer half stays as it is. Of the older, what names an organization becomes one entry for all of
    it; if that is still too much, one that hits every token as old, which has to be renewed soon anyway.
    """
    if len(entries) <= most:
        return entries
    old, new = entries[: -(most // 2)], entries[-(most // 2) :]
    wider = [replace(entry, match=_widened(entry)) for entry in old]
    newest_of_each = {entry.match: entry for entry in wider}
    if len(newest_of_each) + len(new) > most:
        newest_of_each = {entry.match: entry for entry in wider if _is_key(entry)}
        newest_of_each["{}"] = replace(old[-1], kind="epoch", match="{}")
    return [*sorted(newest_of_each.values(), key=_position), *new]


def _widened(entry: Superseding) -> str:
    organization = json.loads(entry.match).get("org_id")
    return json.dumps({"org_id": organization}) if organization else entry.match


def _is_key(entry: Superseding) -> bool:
    return entry.kind == "key"


def _entry(row: _Row, seen: float) -> Superseding:
    return Superseding(row.position, row.kind, row.selector, seen)


def _position(entry: Superseding) -> int:
    return entry.position


_FROM = Prepared(
    select(Change.position, Change.kind, Change.selector)
    .where(Change.position >= bindparam("position", type_=BigInteger))
    .order_by(Change.position)
    .limit(bindparam("limit", type_=BigInteger)),
    _Row,
)

_first = select(func.min(Change.position)).where(Change.written_at >= bindparam("since", type_=BigInteger))
_before = select(func.max(Change.position)).where(Change.position < _first.scalar_subquery())
_BEGINNING = Prepared(
    select(
        func.coalesce(_before.scalar_subquery(), _first.scalar_subquery(), positions.head_of_feed),
        _first.scalar_subquery(),
    ),
    _Beginning,
)
