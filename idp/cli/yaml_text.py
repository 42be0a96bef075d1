"""Writing values as YAML that every reader reads alike, whichever version of YAML it speaks.

Objects and lists of objects stand in blocks, what is short and flat on one line. A text stands bare only if no reader
takes it for anything else (`NO`, `12:30` and `1e3` do not); otherwise in double quotes.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from idp.cli.output import Json

_WIDTH = 120
_BARE = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*(?:://[A-Za-z0-9_./@+-]+)?|<[a-z]+>")
_TAKEN = frozenset(["true", "false", "null", "yes", "no", "on", "off", "y", "n"])


def lines(value: Mapping[str, Json]) -> Iterator[str]:
    """The lines of a document, each with its end."""
    for line in _mapping(value, ""):
        yield line + "\n"


def _mapping(value: Mapping[str, Json], margin: str) -> Iterator[str]:
    for name, one in value.items():
        head = f"{margin}{_scalar(name)}:"
        short = _flow(one, _WIDTH - len(head) - 1)
        if short is not None:
            yield f"{head} {short}"
        elif isinstance(one, Mapping):
            yield head
            yield from _mapping(one, margin + "  ")
        elif isinstance(one, Sequence):
            yield head
            yield from _items(one, margin)


def _items(value: Sequence[Json], margin: str) -> Iterator[str]:
    for one in value:
        short = _flow(one, _WIDTH - len(margin) - 2) if _is_flat(one) else None
        if short is not None or not isinstance(one, Mapping):
            yield f"{margin}- {short if short is not None else _flow(one)}"
            continue
        for number, line in enumerate(_mapping(one, margin + "  ")):
            yield line if number else f"{margin}- {line[len(margin) + 2 :]}"


def _is_flat(value: Json) -> bool:
    """Whether nothing in it is a list of objects."""
    if not isinstance(value, Mapping):
        return True
    return not any(
        isinstance(one, Sequence) and not isinstance(one, str) and any(isinstance(item, Mapping) for item in one)
        for one in value.values()
    )


def _flow(value: Json, room: int = 2**31) -> str | None:
    """`value` on one line; `None` if it does not fit, or is a list of objects, which never does."""
    if isinstance(value, Mapping):
        parts = [f"{_scalar(name)}: {_flow(one)}" for name, one in value.items()]
        text = "{" + ", ".join(parts) + "}"
    elif isinstance(value, Sequence) and not isinstance(value, str):
        if room < 2**31 and any(isinstance(one, Mapping) for one in value):
            return None
        text = "[" + ", ".join(_flow(one) or "" for one in value) + "]"
    else:
        return _scalar(value)
    return text if len(text) <= room else None


def _scalar(value: Json) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if _BARE.fullmatch(value) and value.lower() not in _TAKEN:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return quoted if quoted.isprintable() else "".join(map(_escaped, quoted))


def _escaped(letter: str) -> str:
    if letter.isprintable():
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 2**16 else f"\\U{ord(letter):08x}"
