"""The window of the change feed in memory: every loss that can still hit a token that lives."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

NAMES: Final = frozenset({"sub", "org_id", "account_id", "role", "client_id", "sid", "jti", "aud", "act"})
"""What entries match tokens by. (A `kid` is no matter of `azv`: see `keys`.)"""

_EVERY_ROLE = ""
"""Stands for the role of a token that does not say which ones it has. No role is called so."""

_Names = tuple[str, ...]
_Values = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A loss: tokens that agree with `match` in every name and have `azv` below `position` are superseded."""

    position: int
    match: Mapping[str, str]


class Snapshot:
    """Entries up to `head`, of those that match the same values the latest. One thread writes, any number asks.

    `size`: how many are kept. `floor`: entries up to there have left the window, and so has every token from before.
    `fresh_as_of`: the moment, in seconds of the monotonic clock, as of which nothing is missing; minus infinity as
    long as the window is not read to its end.
    """

    def __init__(self) -> None:
        self.head: int | None = None
        self.floor = 0
        self.fresh_as_of = float("-inf")
        self.size = 0
        self._tables: dict[_Names, dict[_Values, int]] = {}

    def take(self, entries: Iterable[Entry], head: int, floor: int) -> None:
        """Add `entries`, in order; with them everything above `floor` and up to `head` is known."""
        for entry in entries:
            self._add(entry)
        self.floor = max(floor, self.floor)
        self.head = max(head, self.head or 0)

    def hits(self, azv: int, said: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether an entry hits the token that was current up to `azv` and says `said` under the names of `NAMES`.

        A token that says nothing under `role` agrees with every role. One that is older than the floor counts as hit:
        it has expired, or would have, if it had been signed when its roles were asked for.
        """
        if azv < self.floor:
            return True
        for names, table in self._tables.items():
            for values in itertools.product(*(_agreeing(said, name) for name in names)):
                if table.get(values, -1) > azv:
                    return True
        return False

    def prune(self) -> None:
        """Let go of entries up to the floor: whatever they hit is older than that."""
        kept = {
            names: {values: position for values, position in table.items() if position > self.floor}
            for names, table in self._tables.items()
        }
        self._tables = {names: table for names, table in kept.items() if table}
        self.size = sum(_EVERY_ROLE not in values for table in self._tables.values() for values in table)

    def _add(self, entry: Entry) -> None:
        """Names that we do not know are left out: so the entry hits more tokens, never fewer."""
        names = tuple(sorted(entry.match.keys() & NAMES))
        self._put(names, tuple(entry.match[name] for name in names), entry.position)
        if "role" in names:
            values = tuple(_EVERY_ROLE if name == "role" else entry.match[name] for name in names)
            self._put(names, values, entry.position)

    def _put(self, names: _Names, values: _Values, position: int) -> None:
        table = self._tables.get(names)
        if table is None:
            table = {}
            self._tables = {**self._tables, names: table}  # never grows under whoever walks through it
        self.size += values not in table and _EVERY_ROLE not in values
        table[values] = max(position, table.get(values, position))


def _agreeing(said: Mapping[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    if name == "role":
        return said.get("role", (_EVERY_ROLE,))
    return said.get(name, ())
