"""Where something stands in the file, and what is wrong there: file, line, field, and what was expected."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from idp.platform.errors import Invalid, Refusal

MOST = 200
"""Faults that are told; a file with more is another kind of file."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A place in the file: its line (from 1), its name in what holds it, and the lines of the fields that it has."""

    line: int
    name: str
    parent: "Place | None" = None
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The way to it, e.g. `organizations[0].accounts[2].key`."""
        if self.parent is None or not self.parent.name:
            return self.name
        return f"{self.parent.path}{self.name}" if self.name.startswith("[") else f"{self.parent.path}.{self.name}"

    def of(self, field: str) -> "Place":
        """The place of one of its fields; of one that is missing, the line of the whole."""
        return Place(self.lines.get(field, self.line), field, self)


NOWHERE = Place(1, "")
"""The file as a whole."""


@dataclass(frozen=True, order=True)
class Fault:
    """Something that cannot be applied: the line (from 1), the field, and what was expected instead."""

    line: int
    field: str
    expected: str


class FileRefused(Refusal):
    """The file cannot be applied; nothing was. `faults` says why, in the order of their lines."""

    code = "file_refused"
    status = 422
    title = "The file cannot be applied; nothing has changed"
    remedy = "Correct the named lines and apply the file again."

    def __init__(self, name: str, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        listed = [{"line": one.line, "field": one.field, "expected": one.expected} for one in self.faults]
        self.particulars = {"file": name, "applied": False, "faults": listed}
        told = [f"{name}:{one.line}: {one.field}: {one.expected}" for one in self.faults[:MOST]]
        if len(self.faults) > MOST:
            told.append(f"and {len(self.faults) - MOST} more")
        super().__init__("\n".join(told))


class Faults:
    """The faults that were found so far; reading goes on after one, so that a file's faults are told together."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, place: Place, expected: str) -> None:
        """Say what was expected at `place`."""
        self.found.append(Fault(place.line, place.path or "the file", expected))

    def refused(self, place: Place, refusal: Refusal) -> None:
        """Say at `place`, or at the field of it that the refusal names, what a rule said."""
        field = refusal.field if isinstance(refusal, Invalid) else ""
        self.add(place.of(field) if field in place.lines else place, refusal.message)

    def settle(self, name: str) -> None:
        """Raise `FileRefused` if anything was found in the file `name`."""
        if self.found:
            raise FileRefused(name, self.found)
