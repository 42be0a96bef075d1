"""Fields of a mapping, read by type: what was asked for is ticked off, and what nobody asked for is unknown.

Scalars are resolved as YAML 1.2's core schema says (`yes` and `NO` are texts); `null` and a missing field are the same:
nothing is said.
"""

import math
import re
from collections.abc import Iterator, Sequence

from idp.cli.apply.document import Mapping, Node, Scalar
from idp.cli.apply.document import Sequence as ListNode
from idp.cli.apply.places import Faults, Place
from idp.cli.apply.wanted import Json, Said, Secret
from idp.platform import clock

_NULL = frozenset(["", "~", "null", "Null", "NULL"])
_FLAGS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class Fields:
    """One mapping of the file, while it is read into a value."""

    def __init__(self, node: Node, place: Place, faults: Faults) -> None:
        self.faults = faults
        self._fields: dict[str, tuple[int, Node]] = {}
        if type(node) is Mapping:
            self._fields = node.fields
        else:
            faults.add(place, "expected a mapping")
        lines = {name: line for name, (line, _) in self._fields.items()}
        self.place = Place(place.line, place.name, place.parent, lines)
        self._asked: set[str] = set()

    def says(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self.node(name) is not None

    def text(self, name: str) -> str | None:
        """A text, without the spaces around it; `None` when nothing is said."""
        node = self.node(name)
        return None if node is None else _text(node, self.place.of(name), self.faults)

    def need(self, name: str) -> str:
        """A text that must be there."""
        if not self.says(name):
            self.faults.add(self.place.of(name), "expected: it is required")
        return self.text(name) or ""

    def said(self, name: str) -> Said | None:
        """A text with its place, for what is looked up later."""
        text = self.text(name)
        return None if text is None else Said(text, self.place.of(name))

    def secret(self, name: str) -> Secret | None:
        """A text exactly as it stands, spaces and all."""
        node, place = self.node(name), self.place.of(name)
        if node is None or _text(node, place, self.faults) is None or type(node) is not Scalar:
            return None
        return Secret(node.text, place)

    def is_null(self, name: str) -> bool:
        """Whether the field is there and says null, or an empty text: nothing, in so many words."""
        self._asked.add(name)
        node = self._fields.get(name, (0, None))[1]
        return type(node) is Scalar and (not node.text.strip() or _is_null(node))

    def text_of(self, node: Node, place: Place) -> str | None:
        """The text that an item of a list is."""
        return _text(node, place, self.faults)

    def flag(self, name: str) -> bool | None:
        """`true` or `false`."""
        node = self.node(name)
        if node is None:
            return None
        if type(node) is Scalar and node.is_plain and node.text in _FLAGS:
            return _FLAGS[node.text]
        self.faults.add(self.place.of(name), "expected true or false")
        return None

    def whole(self, name: str) -> int | None:
        """A whole number."""
        value = self.json(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        self.faults.add(self.place.of(name), "expected a whole number")
        return None

    def choice(self, name: str, *words: str) -> str | None:
        """One of `words`."""
        text = self.text(name)
        if text is None or text in words:
            return text
        self.faults.add(self.place.of(name), f"expected one of {', '.join(words)}")
        return None

    def instant(self, name: str) -> int | None:
        """A date or date-time of RFC 3339, as microseconds since 1970 UTC."""
        text = self.text(name)
        try:
            return None if text is None else clock.parse(text)
        except (ValueError, OverflowError):
            self.faults.add(self.place.of(name), "expected a date or time, like 2027-01-31T18:00:00Z")
            return None

    def json(self, name: str) -> Json:
        """Any value."""
        node = self.node(name)
        return None if node is None else json(node, self.place.of(name), self.faults)

    def nodes(self, name: str) -> list[tuple[Node, Place]] | None:
        """The items of a list, each with its place."""
        node = self.node(name)
        if node is None:
            return None
        place = self.place.of(name)
        if type(node) is not ListNode:
            self.faults.add(place, "expected a list")
            return []
        return [(item, Place(item.line, f"[{number}]", place)) for number, item in enumerate(node.items)]

    def names(self, name: str) -> tuple[Said, ...] | None:
        """A list of texts, each with its place; one that stands twice is a fault."""
        nodes = self.nodes(name)
        if nodes is None:
            return None
        found: dict[str, Said] = {}
        for node, place in nodes:
            text = _text(node, place, self.faults)
            if text in found:
                self.faults.add(place, f"expected once: {text!a} stands on line {found[text].place.line} already")
            elif text:
                found[text] = Said(text, place)
        return tuple(found.values())

    def each(self, name: str) -> "Iterator[Fields]":
        """The mappings of a list."""
        for node, place in self.nodes(name) or ():
            yield Fields(node, place, self.faults)

    def inside(self, name: str) -> "Fields | None":
        """A mapping."""
        node = self.node(name)
        return None if node is None else Fields(node, self.place.of(name), self.faults)

    def entries(self) -> list[tuple[Said, Node, Place]]:
        """Every field that nobody asked for, as name and value; they count as asked for now."""
        rest = [(name, line, node) for name, (line, node) in self._fields.items() if name not in self._asked]
        self._asked |= {name for name, _, _ in rest}
        places = [(name, node, Place(line, name, self.place)) for name, line, node in rest]
        return [(Said(name, place), node, place) for name, node, place in places]

    def not_yet(self, *names: str) -> None:
        """Refuse fields that a later release will know, unless they ask for nothing."""
        for name in names:
            node = self.node(name)
            if node is not None and not _is_empty(node):
                self.faults.add(self.place.of(name), "not available in this release")

    def done(self, known: Sequence[str] = ()) -> None:
        """Refuse whatever nobody asked for."""
        for name in self._fields.keys() - self._asked:
            expected = ", ".join(sorted(self._asked | set(known)))
            self.faults.add(self.place.of(name), f"unknown here; expected one of {expected}")

    def node(self, name: str) -> Node | None:
        """The value as it stands; `None` when nothing is said."""
        self._asked.add(name)
        found = self._fields.get(name)
        return None if found is None or _is_null(found[1]) else found[1]


def json(node: Node, place: Place, faults: Faults) -> Json:
    """The JSON value that `node` is."""
    if type(node) is Scalar:
        return _value(node, place, faults)
    if type(node) is ListNode:
        return [json(item, Place(item.line, f"[{n}]", place), faults) for n, item in enumerate(node.items)]
    if type(node) is Mapping:
        return {name: json(one, Place(line, name, place), faults) for name, (line, one) in node.fields.items()}
    return None


def _value(node: Scalar, place: Place, faults: Faults) -> Json:
    text = node.text
    if not node.is_plain:
        return text
    if text in _NULL:
        return None
    if text in _FLAGS:
        return _FLAGS[text]
    if _WHOLE.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _NUMBER.fullmatch(text):
        number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        if not math.isfinite(number):
            faults.add(place, "expected a number that is finite")
            return None
        return number
    return text


def _text(node: Node, place: Place, faults: Faults) -> str | None:
    if type(node) is not Scalar:
        faults.add(place, "expected a text, not a list or mapping")
        return None
    if node.is_plain and (node.text in _NULL or node.text in _FLAGS or _NUMBER.fullmatch(node.text)):
        faults.add(place, "expected a text: put it in quotes")
        return None
    if "\0" in node.text:
        faults.add(place, "expected a text without NUL")
        return None
    return node.text.strip()


def _is_null(node: Node) -> bool:
    return type(node) is Scalar and node.is_plain and node.text in _NULL


def _is_empty(node: Node) -> bool:
    if type(node) is ListNode:
        return not node.items
    return type(node) is Mapping and not node.fields
