"""Forms as they arrive: names and values of a query or a body, read strictly, each name once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from idp.platform.http_refusals import Malformed, TooLarge

BODY_LIMIT = 1_000_000
"""Bytes that a request body may have."""

FIELD_LIMIT = 1_000
"""Fields that a form or a query may have; also the parts of a multipart body."""

MAY_REPEAT = frozenset({"resource", "audience"})
"""The parameters that may be sent more than once (RFC 8707 §2, RFC 8693 §2.1)."""


@dataclass(frozen=True)
class Fields:
    """Names and values in the order they were sent; every name once, but for `MAY_REPEAT`."""

    pairs: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """The value of `name`, or `None` when it was not sent."""
        return next(self._of(name), None)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of `name`."""
        return tuple(self._of(name))

    def _of(self, name: str) -> Iterator[str]:
        return (value for key, value in self.pairs if key == name)


def fields(encoded: bytes) -> Fields:
    """The fields of `encoded` (`application/x-www-form-urlencoded`).

    Raises `Malformed` for a name that stands twice, for bytes that are not UTF-8 and for NUL, and `TooLarge` for more
    than `FIELD_LIMIT` fields.
    """
    pairs = tuple(decode(encoded))
    refuse_repeated(name for name, _ in pairs)
    return Fields(pairs)


def decode(encoded: bytes) -> Iterator[tuple[str, str]]:
    """The pairs that `encoded` spells, repeated names and all; refuses what is not text."""
    if encoded.count(b"&") >= FIELD_LIMIT:
        raise TooLarge(f"More than {FIELD_LIMIT} fields were sent.")
    for pair in encoded.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            yield text(name.replace(b"+", b" ")), text(value.replace(b"+", b" "))


def text(escaped: bytes) -> str:
    """What `escaped` (percent-encoded) says; raises `Malformed` unless it is UTF-8 without NUL."""
    try:
        found = unquote_to_bytes(escaped).decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("Something that was sent is not UTF-8.") from None
    refuse_nul(found)
    return found


def refuse_nul(*texts: str) -> None:
    """Raise `Malformed` when one of `texts` contains NUL, which databases and C libraries take for an end."""
    if any("\0" in text for text in texts):
        raise Malformed("Something that was sent contains NUL.")


def refuse_repeated(names: Iterable[str]) -> None:
    """Raise `Malformed` when a name stands twice that may not."""
    seen: set[str] = set()
    for name in names:
        if name in seen and name not in MAY_REPEAT:
            raise Malformed("A parameter was sent twice.")
        seen.add(name)
