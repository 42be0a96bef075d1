"""Things of one kind in one organization: what the file says of them beside what they are, by id and by key."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from idp.cli.apply.places import Faults, Place
from idp.cli.apply.steps import Ref
from idp.cli.apply.wanted import Said


class _Keyed(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def key(self) -> str: ...


class _WantedKeyed(_Keyed, Protocol):
    @property
    def place(self) -> Place: ...

    @property
    def is_absent(self) -> bool: ...


Wanted = TypeVar("Wanted", bound=_WantedKeyed)
Before = TypeVar("Before", bound=_Keyed)


@dataclass(frozen=True, slots=True)
class Pair(Generic[Wanted, Before]):
    """What the file says of something, and what that is now (`None`: it is new)."""

    wanted: Wanted
    before: Before | None
    ref: Ref


class Shelf(Generic[Wanted, Before]):
    """The accounts, groups, roles or teams of one organization. `prefix`: what their names begin with."""

    def __init__(
        self, kind: str, prefix: str, wanted: Iterable[Wanted], before: Mapping[str, Before], faults: Faults
    ) -> None:
        self._kind, self._prefix, self._faults = kind, prefix, faults
        self._one = "an account" if kind == "account" else f"a {kind}"
        self._by_id = {one.id: one for one in before.values()}
        self._by_key = {one.key: one for one in before.values()}
        self.pairs = [self._match(one) for one in wanted]
        self._require_distinct()
        self._require_free_keys()
        self._known = self._names()

    def find(self, said: Said) -> Ref | None:
        """What is meant, by id or key; nothing, or what the file removes, is a fault."""
        found = self._known.get(said.text)
        if found is None:
            self._faults.add(said.place, f"expected the key of {self._one} that exists, not {said.text[:80]!a}")
        elif found in self.leaving:
            self._faults.add(said.place, f"expected {self._one} that stays: {said.text!a} is absent in this file")
            return None
        return found

    def of_id(self, id: str) -> Ref:
        """What exists, by its id."""
        return self._known[id]

    def _match(self, wanted: Wanted) -> Pair[Wanted, Before]:
        """By id if the file says one, else by key."""
        before = self._by_id.get(wanted.id) if wanted.id else self._by_key.get(wanted.key)
        return Pair(wanted, before, self._ref(wanted.key, before.id if before else ""))

    def _ref(self, key: str, id: str) -> Ref:
        return Ref(self._kind, f"{self._prefix}{key}", id)

    def _require_distinct(self) -> None:
        stands: dict[str, Place] = {}
        for pair in self.pairs:
            place = pair.wanted.place
            for name, text in (("id", pair.ref.id or pair.wanted.id), ("key", pair.wanted.key)):
                if text and stands.setdefault(text, place) is not place:
                    line = stands[text].line
                    self._faults.add(place.of(name), f"expected once: {text!a} stands on line {line} already")

    def _require_free_keys(self) -> None:
        becomes = {pair.ref.id: pair.wanted for pair in self.pairs if pair.before is not None}
        for pair in self.pairs:
            holder = self._by_key.get(pair.wanted.key)
            if pair.wanted.is_absent or holder is None or holder.id == pair.ref.id:
                continue
            other = becomes.get(holder.id)
            if other is None or (other.key == holder.key and not other.is_absent):
                self._faults.add(pair.wanted.place.of("key"), f"expected a key that is free: {holder.id} has it")

    def _names(self) -> dict[str, Ref]:
        """Everything by id and by the key that it will have."""
        known: dict[str, Ref] = {}
        mentioned = {pair.ref.id for pair in self.pairs}
        for one in self._by_id.values():
            if one.id not in mentioned:
                known[one.id] = known[one.key] = self._ref(one.key, one.id)
        for pair in self.pairs:
            known |= dict.fromkeys((pair.ref.id, pair.wanted.id, pair.wanted.key), pair.ref)
        known.pop("", None)
        self.leaving = {pair.ref for pair in self.pairs if pair.wanted.is_absent}
        return known
