"""JSON as it must be when it decides something: one meaning for every reader (RFC 8259, RFC 7493)."""

import json
import math

from idp.platform.http_refusals import Malformed

DEPTH = 64
"""How deep arrays and objects may be nested."""

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class NotJson(Malformed):
    """The text is not JSON, or not JSON that every reader understands in the same way."""

    code = "malformed_json"
    title = "The body is not valid JSON"
    remedy = "Send one JSON value in UTF-8, without duplicate names and no more than 64 levels deep."


def loads(text: bytes | str) -> Json:
    """The value that `text` (bytes: UTF-8) spells.

    Raises `NotJson` for anything that readers disagree about: duplicate names, NaN and infinities, lone surrogates,
    NUL, byte order marks, and more than `DEPTH` levels.
    """
    try:
        value: Json = json.loads(
            text.decode("utf-8") if isinstance(text, bytes) else text,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_short,
        )
        _walk(value)
    except (ValueError, RecursionError) as error:
        raise NotJson(_reason(error)) from None
    return value


def _walk(value: Json) -> None:
    """Look at everything inside `value`, without recursion: whoever nests deeper than a stack has been refused."""
    level: list[Json] = [value]
    for _ in range(DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
    if any(isinstance(inner, list | dict) for inner in level):
        raise ValueError(f"more than {DEPTH} levels")
    for inner in level:
        _inside(inner)


def _inside(value: Json) -> list[Json]:
    if isinstance(value, str):
        value.encode("utf-8")  # a lone surrogate has no UTF-8
        if "\0" in value:
            raise ValueError("NUL in a text")
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _object(pairs: list[tuple[str, Json]]) -> Json:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return value


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not a JSON number")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("a number is out of range")
    return value


def _short(number: str) -> int:
    if len(number) > 32:
        raise ValueError("a number is out of range")
    return int(number)


def _reason(error: Exception) -> str:
    """What is wrong, without a word of what was sent."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    if isinstance(error, RecursionError):
        return f"more than {DEPTH} levels"
    return "text that is not UTF-8" if isinstance(error, UnicodeError) else str(error)
