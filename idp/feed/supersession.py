"""Supersession: whether an entry of the change feed hits a token, asked for at every token and never answered late.

What is remembered is every entry that can hit a token that still lives, by the keys that it matches and their values.
Each question first reads on from the remembered head, one statement that usually finds nothing new: so a loss counts
from its commit on, on every node (INT-03), and the question costs the same however much was lost.
"""

import itertools
import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, bindparam, func, select

from idp.feed import positions
from idp.feed.models import Change
from idp.platform import clock, database, memory
from idp.platform.prepared import Prepared

MOST = 100_000
"""Entries remembered; of more, each organization's become one, and the oldest of the rest one that hits everything."""

_PAGE = 5_000
_PRUNED_EVERY = 60.0
_KEY = ("kid",)
_ROLE = "role"


@dataclass(frozen=True)
class Said:
    """What of a token entries are compared with.

    `azv`: the position up to which it was current; `kid`: the key that signed it. `values`: what it says under the
    names that entries match by, `role` being each of its roles. A token without `role` agrees with every role.
    """

    azv: int
    kid: str
    values: Mapping[str, tuple[str, ...]]


def is_superseded(token: Said) -> bool:
    """Whether an entry hits `token`: it agrees with the entry in every key, and is older. Entries with `kid` hit
    whatever that key signed. A token from beyond the head is from a history that was undone, and counts as hit; so does
    one from before all that is remembered, however long it has still to live by the clock of whoever signed it.
    """
    database.not_while_writing("asking the change feed")
    remembered = memory.of(_Memory)
    rows = _FROM.all(position=remembered.head, limit=_PAGE)
    while remembered.take(rows) or len(rows) == _PAGE:
        rows = _FROM.all(position=remembered.head, limit=_PAGE)
    return remembered.hits(token)


@dataclass(frozen=True)
class _Row:
    position: int
    selector: str


_Names = tuple[str, ...]
_Values = tuple[str, ...]


class _Memory:
    """Of one application: entries up to `head`, by the names they match by, then by the values; the latest of each.

    `_floor`: up to there they are forgotten.
    """

    def __init__(self) -> None:
        self.head = 0
        self._floor = 0
        self._size = 0
        self._pruned_at = float("-inf")
        self._entries: dict[_Names, dict[_Values, int]] = {}
        self._lock = threading.Lock()

    def take(self, rows: Sequence[_Row]) -> bool:
        """Remember `rows`, which begin with the head; whether they did not and everything has to be read again.

        None at all are those of a transaction that began before another thread read on: we know more than it.
        """
        with self._lock:
            if rows and rows[0].position > self.head:
                self._begin()
                return True
            for row in rows:
                if row.position > self.head:
                    self._add(json.loads(row.selector), row.position)
                    self.head = row.position
            if clock.monotonic() - self._pruned_at > _PRUNED_EVERY or self._size > MOST:
                self._prune()
        return False

    def hits(self, token: Said) -> bool:
        """Whether an entry hits `token`."""
        with self._lock:
            return not self._floor <= token.azv <= self.head or any(
                position > token.azv or names == _KEY
                for names, by_values in self._entries.items()
                for position in _agreeing(names, by_values, token)
            )

    def _begin(self) -> None:
        """Go to the last entry that is too old to hit anything, or to the first one that there is."""
        before = _too_old()
        first = _FIRST.all(position=before)[0]
        self._floor = first.position if first.position < before else 0
        self._entries, self._size = {}, 0
        self._add(json.loads(first.selector), first.position)
        self.head = first.position

    def _add(self, match: dict[str, str], position: int) -> None:
        names = tuple(sorted(match))
        by_values = self._entries.setdefault(names, {})
        values = tuple(match[name] for name in names)
        self._size += values not in by_values
        by_values[values] = max(position, by_values.get(values, 0))

    def _prune(self) -> None:
        """Forget what is too old to hit anything; of what is still too much keep less that hits more."""
        self._pruned_at = clock.monotonic()
        before = _too_old()
        found = [
            (dict(zip(names, values, strict=True)), position)
            for names, by_values in self._entries.items()
            for values, position in by_values.items()
        ]
        self._floor = max(self._floor, *(position for _, position in found if position < before), 0)
        self._entries, self._size = {}, 0
        for match, position in _bounded([one for one in found if one[1] >= before]):
            self._add(match, position)


def _bounded(found: list[tuple[dict[str, str], int]]) -> Iterable[tuple[dict[str, str], int]]:
    """`found`, or fewer that hit at least the same: what names an organization hits all of it, then all hit all."""
    if len(found) <= MOST:
        return found
    wider = {json.dumps(_widened(match)): position for match, position in sorted(found, key=_position)}
    if len(wider) <= MOST:
        return ((json.loads(match), position) for match, position in wider.items())
    keys = [(match, position) for match, position in found if tuple(match) == _KEY]
    return [*keys, ({}, max(position for _, position in found))]


def _widened(match: dict[str, str]) -> dict[str, str]:
    return {"org_id": match["org_id"]} if "org_id" in match else match


def _position(entry: tuple[dict[str, str], int]) -> int:
    return entry[1]


def _agreeing(names: _Names, by_values: Mapping[_Values, int], token: Said) -> Iterator[int]:
    """The positions of the entries that match by `names` and agree with `token`."""
    said = {**token.values, "kid": (token.kid,)}
    if _ROLE in names and _ROLE not in said:
        place = names.index(_ROLE)
        said[_ROLE] = tuple({values[place] for values in by_values})
    for values in itertools.product(*(said.get(name, ()) for name in names)):
        if values in by_values:
            yield by_values[values]


def _too_old() -> int:
    """Below this position no entry hits a token that lives: positions are never behind the clock."""
    return clock.now() - positions.LONGEST_TOKEN - 2 * positions.MARGIN


_FROM = Prepared(
    select(Change.position, Change.selector)
    .where(Change.position >= bindparam("position", type_=BigInteger))
    .order_by(Change.position)
    .limit(bindparam("limit", type_=BigInteger)),
    _Row,
)

_before = select(func.max(Change.position)).where(Change.position < bindparam("position", type_=BigInteger))
_first = func.coalesce(_before.scalar_subquery(), select(func.min(Change.position)).scalar_subquery())
_FIRST = Prepared(select(Change.position, Change.selector).where(Change.position == _first), _Row)
