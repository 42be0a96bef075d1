"""Requests and answers as values: what machine endpoints take and return, with Flask or without it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from idp.platform import forms, strict_json
from idp.platform.forms import BODY_LIMIT, Fields
from idp.platform.http_refusals import TooLarge, WrongMediaType
from idp.platform.strict_json import Json

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


class Readable(Protocol):
    """Where the bytes of a body come from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most `size`; none at the end."""
        ...


@dataclass(frozen=True)
class Call:
    """A request to a machine endpoint, each part parsed once and at its first use.

    `address` is that of the client behind our proxies; `local`: it came from this machine itself, through nothing.
    `environ` is WSGI's, for `header` and for adapters.
    """

    method: str
    path: str
    query: str
    address: str
    local: bool
    environ: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def of(cls, environ: Mapping[str, Any]) -> "Call":
        """The call that a WSGI environment amounts to, after the gate."""
        return cls(
            method=environ["REQUEST_METHOD"],
            path=environ["PATH_INFO"],
            query=environ.get("QUERY_STRING", ""),
            address=environ.get("REMOTE_ADDR", ""),
            local=environ.get("canopy.local", False),
            environ=environ,
        )

    def header(self, name: str) -> str:
        """The header `name`, empty when it was not sent."""
        key = name.upper().replace("-", "_")
        value: str = self.environ.get(key if key in _BARE else f"HTTP_{key}", "")
        return value

    @cached_property
    def parameters(self) -> Fields:
        """The query, as `forms.fields` reads it."""
        return forms.fields(self.query.encode("latin-1"))

    @cached_property
    def form(self) -> Fields:
        """The form in the body, as `forms.fields` reads it; raises `WrongMediaType` when it is none."""
        self._is(FORM)
        return forms.fields(self.body)

    @cached_property
    def json(self) -> Json:
        """The JSON in the body, as `strict_json.loads` reads it; raises `WrongMediaType` when it is none."""
        self._is(JSON)
        return strict_json.loads(self.body)

    @cached_property
    def body(self) -> bytes:
        """The bytes of the body; raises `TooLarge` above `BODY_LIMIT`.

        Behind as many as were announced a server need not say that nothing follows: it may wait for more (PEP 3333).
        """
        announced = self.environ.get("CONTENT_LENGTH")
        return read_all(self.environ["wsgi.input"], int(announced) if announced else BODY_LIMIT + 1)

    def _is(self, media_type: str) -> None:
        sent = self.header("Content-Type").partition(";")[0].strip().lower()
        if sent != media_type:
            raise WrongMediaType(f"Send the body as {media_type}.")


_BARE = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})


def read_all(stream: Readable, length: int = BODY_LIMIT + 1) -> bytes:
    """Everything that is in `stream`, or its first `length` bytes; raises `TooLarge` above `BODY_LIMIT`, before more is
    held in memory.
    """
    pieces, size, most = [], 0, min(length, BODY_LIMIT + 1)
    while size < most and (piece := stream.read(most - size)):
        pieces.append(piece)
        size += len(piece)
        if size > BODY_LIMIT:
            raise TooLarge
    return b"".join(pieces)


@dataclass(frozen=True)
class Answer:
    """What a machine endpoint says. `headers` come on top of those that every answer carries."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()

    def with_headers(self, *headers: tuple[str, str]) -> "Answer":
        """The same, with more headers."""
        return replace(self, headers=(*self.headers, *headers))

    @classmethod
    def json(cls, value: Mapping[str, Any], status: int = 200, **headers: str) -> "Answer":
        """`value` as JSON; `headers` by their names with `_` for `-`."""
        named = tuple((name.replace("_", "-"), text) for name, text in headers.items())
        return cls(status, json.dumps(value, separators=(",", ":")).encode(), headers=named)

    @classmethod
    def text(cls, value: str, status: int = 200) -> "Answer":
        """`value` as plain text."""
        return cls(status, value.encode(), TEXT)
