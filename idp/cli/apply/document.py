"""Reading YAML into a tree that knows its lines, within bounds: whoever wrote the file, it cannot exhaust the machine.

libyaml's events, not its objects: the file of a large installation has a million of them. Scalars stay text until a
field says what it expects, so that `NO` is Norway where a country is wanted. Tags are refused, and so are duplicate
keys; what an alias repeats counts as often as it is repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from idp.cli.apply.places import NOWHERE, Fault, Faults, FileRefused, Place

LARGEST = 128 * 1024 * 1024
"""Bytes of a file."""

MOST = 5_000_000
"""Values in a file, those included that aliases repeat."""

DEEPEST = 32
"""Lists and mappings within each other."""

_OFTEN = 10_000
"""Events of the parser between two times that somebody is told how far it has come."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text as it stands in the file. `is_plain`: without quotes, so it may also be a number, a flag or nothing."""

    text: str
    line: int
    is_plain: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: "list[Node]"
    line: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Values by their names, each with the line on which its name stands."""

    fields: "dict[str, tuple[int, Node]]"
    line: int


Node = Scalar | Sequence | Mapping


Told: TypeAlias = Callable[[int, int], None]
"""Told how much is done, of how much."""


def quietly(done: int, total: int) -> None:
    """Tell nobody."""


def read(name: str, content: bytes, told: Told = quietly) -> Node:
    """The document in the file `name`; `told` how many characters were read.

    Raises `FileRefused`: not UTF-8, not YAML, too large, too deep, keys twice.
    """
    if len(content) > LARGEST:
        raise FileRefused(name, [Fault(1, "the file", f"expected at most {LARGEST // 1024**2} MB")])
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileRefused(name, [Fault(line, "the file", "expected UTF-8")]) from None
    reading = _Reading(Faults())
    try:
        for number, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
            reading.take(event)
            if not number % _OFTEN:
                told(getattr(event.start_mark, "index", 0), len(text))
    except _Beyond as beyond:
        raise FileRefused(name, [Fault(beyond.line, "the file", str(beyond))]) from None
    except YAMLError as error:
        raise FileRefused(name, [Fault(_line_of(error, text), "the file", f"expected YAML: {_said(error)}")]) from None
    reading.faults.settle(name)
    if reading.root is None:
        raise FileRefused(name, [Fault(1, "the file", "expected a mapping that begins with `version: 1`")])
    return reading.root


class _Beyond(Exception):
    """A bound is passed."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been read. `size`: values in it so far, itself included."""

    node: Sequence | Mapping
    anchor: str | None
    size: int = 1
    key: Scalar | None = None


@dataclass(slots=True)
class _Reading:
    """The tree as far as it has been read."""

    faults: Faults
    root: Node | None = None
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Node, int]] = field(default_factory=dict)
    documents: int = 0

    def take(self, event: Any) -> None:
        """Put what `event` says into the tree."""
        kind = type(event)
        if kind is ScalarEvent:
            _refuse_tag(event)
            plain = event.implicit[0] and not event.style
            line = event.start_mark.line + 1
            self._put(Scalar(event.value, line, plain), 1, event.anchor, line)
        elif kind is MappingStartEvent:
            self._begin(Mapping({}, event.start_mark.line + 1), event)
        elif kind is SequenceStartEvent:
            self._begin(Sequence([], event.start_mark.line + 1), event)
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            ended = self.open.pop()
            self._put(ended.node, ended.size, ended.anchor, ended.node.line)
        elif kind is AliasEvent:
            self._repeat(event)
        elif kind is DocumentStartEvent:
            self.documents += 1
            if self.documents > 1:
                raise _Beyond(event.start_mark.line + 1, "expected one document")

    def _begin(self, node: Sequence | Mapping, event: Any) -> None:
        _refuse_tag(event)
        if len(self.open) >= DEEPEST:
            raise _Beyond(node.line, f"expected at most {DEEPEST} lists and mappings within each other")
        self.open.append(_Open(node, event.anchor))

    def _repeat(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if event.anchor not in self.anchors:
            raise _Beyond(line, f"expected an anchor &{event.anchor} that ends before its alias")
        node, size = self.anchors[event.anchor]
        self._put(node, size, None, line)

    def _put(self, node: Node, size: int, anchor: str | None, line: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = (node, size)
        if not self.open:
            self.root = node
            return
        holder = self.open[-1]
        if type(holder.node) is Sequence:
            holder.node.items.append(node)
        elif type(holder.node) is Mapping:
            self._put_in_mapping(holder, holder.node, node)
        holder.size += size
        if holder.size > MOST:
            raise _Beyond(line, f"expected at most {MOST:,} values, those included that aliases repeat")

    def _put_in_mapping(self, holder: _Open, mapping: Mapping, node: Node) -> None:
        if holder.key is not None:
            key, holder.key = holder.key, None
            if key.text in mapping.fields:
                first = mapping.fields[key.text][0]
                self.faults.add(Place(key.line, key.text, NOWHERE), f"expected once: it stands on line {first} already")
            else:
                mapping.fields[key.text] = (key.line, node)
        elif type(node) is Scalar:
            holder.key = node
        else:
            raise _Beyond(node.line, "expected the name of a field, not a list or mapping")


def _refuse_tag(event: Any) -> None:
    if event.tag is not None:
        raise _Beyond(event.start_mark.line + 1, f"expected a value without a tag, not {event.tag[:80]!a}")


def _line_of(error: YAMLError, text: str) -> int:
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        return int(error.problem_mark.line) + 1
    return text.count("\n", 0, getattr(error, "position", None) or 0) + 1


def _said(error: YAMLError) -> str:
    """What libyaml says is wrong; nothing of the text, which may be a secret."""
    if isinstance(error, MarkedYAMLError):
        return ", ".join(part for part in (error.context, error.problem) if part)
    return str(getattr(error, "reason", "characters that cannot stand in it"))
