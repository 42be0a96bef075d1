"""A plan while it is drawn: its steps, what the file leaves as it is, and what cannot be."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from idp.cli.apply.places import Faults, Place
from idp.cli.apply.steps import Step
from idp.platform.errors import Refusal

Value = TypeVar("Value")


@dataclass(frozen=True, order=True)
class Note:
    """Something that is not done although it could be taken for wanted: line, field, and why."""

    line: int
    field: str
    said: str


@dataclass
class Drawing:
    """Steps and notes so far."""

    faults: Faults
    steps: list[Step] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def add(self, *steps: Step) -> None:
        """Plan these."""
        self.steps.extend(steps)

    def note(self, place: Place, said: str) -> None:
        """Say that something is not done, and why."""
        self.notes.append(Note(place.line, place.path, said))

    def made(self, place: Place, make: Callable[[], Value]) -> Value | None:
        """What `make` makes; `None`, and a fault at the field it names, when it refuses."""
        try:
            return make()
        except Refusal as refusal:
            self.faults.refused(place, refusal)
            return None

    def need(self, place: Place, field: str, value: Value | None) -> bool:
        """Whether something new has what it cannot be made without; a fault if not."""
        if value is None:
            self.faults.add(place.of(field), "expected: it is new, and cannot be made without")
        return value is not None


def difference(before: Any, after: Any) -> str:
    """What differs between two frozen dataclasses of one kind, in words."""
    was, becomes = asdict(before), asdict(after)
    return differing(was, becomes)


def differing(was: dict[str, Any], becomes: dict[str, Any]) -> str:
    """What differs between two mappings, in words."""
    names = [name for name in sorted(was.keys() | becomes.keys()) if was.get(name) != becomes.get(name)]
    return ", ".join(f"{name} {_shown(was.get(name))} → {_shown(becomes.get(name))}" for name in names)


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, frozenset | set | list | tuple):
        return ", ".join(sorted(map(str, value))) or "nothing"
    return str(value)
