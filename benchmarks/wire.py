"""HTTP/1.1 by hand: the bytes of a request, and as much of an answer as a client of ours looks at.

A client library would cost more than many of the answers do.
"""

import base64
import json
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

Steps = Generator[bytes, "Reply", None]
"""One act of a client, such as a refresh: requests, each of which is given its answer."""

NOTHING: Mapping[str, str] = {}


class Unexpected(Exception):
    """An answer that no load is meant to get."""


@dataclass(frozen=True)
class Reply:
    """An answer. `headers`: by their names in lower case; of several by one name the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """What the body says, of an answer that is expected to be 200. Raises `Unexpected`."""
        if self.status != 200:
            raise Unexpected(f"{self.status}: {self.body[:500]!r}")
        return json.loads(self.body)

    def location(self) -> str:
        """Where a redirect leads. Raises `Unexpected`."""
        if self.status not in (302, 303):
            raise Unexpected(f"{self.status}: {self.body[:500]!r}")
        return self.headers["location"]


def get(path: str, headers: Mapping[str, str] = NOTHING) -> bytes:
    """A GET of `path` (and query)."""
    return _head("GET", path, headers) + b"\r\n"


def post(path: str, form: Mapping[str, str], headers: Mapping[str, str] = NOTHING) -> bytes:
    """A POST of a form."""
    body = urlencode(form).encode()
    about = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
    return _head("POST", path, about | dict(headers)) + b"\r\n" + body


def basic(client_id: str, secret: str) -> dict[str, str]:
    """The header by which a client authenticates (RFC 6749 §2.3.1)."""
    pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: @HOST@", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n").encode()


def addressed(request: bytes, host: bytes) -> bytes:
    """`request` with the host that it goes to."""
    return request.replace(b"@HOST@", host, 1)


def reply_in(buffer: bytes) -> Reply | None:
    """The answer that `buffer` holds, once all of it has come. Every answer of the provider has a length."""
    head, end, body = buffer.partition(b"\r\n\r\n")
    if not end:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if len(body) < int(headers.get("content-length", "0")):
        return None
    return Reply(int(first.split(" ", 2)[1]), headers, body)


# Browsers


class Browser:
    """A browser without scripts: its cookies, and the forms of pages as they are shown."""

    def __init__(self) -> None:
        self._cookies: dict[str, str] = {}

    def visit(self, address: str) -> Generator[bytes, Reply, Reply]:
        """A page, redirects followed as far as they stay at the provider."""
        reply = yield from self._ask(get(_target(address), self._header()))
        return (yield from self._follow(reply, address))

    def send(self, page: Reply, field: str, **typed: str) -> Generator[bytes, Reply, Reply]:
        """What comes of the form of `page` that has `field`. Raises `Unexpected` where there is none."""
        action, fields = _form(page.body.decode(), field)
        reply = yield from self._ask(post(_target(action), fields | typed, self._header()))
        return (yield from self._follow(reply, action))

    def _ask(self, request: bytes) -> Generator[bytes, Reply, Reply]:
        reply = yield request
        if cookie := reply.headers.get("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return reply

    def _follow(self, reply: Reply, address: str) -> Generator[bytes, Reply, Reply]:
        while reply.status in (302, 303) and _is_at_home(reply.headers["location"], address):
            reply = yield from self._ask(get(_target(reply.headers["location"]), self._header()))
        return reply

    def _header(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}


def _target(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _is_at_home(location: str, _: str) -> bool:
    host = urlsplit(location).hostname
    return host is None or host == "localhost"


_FORM = re.compile(r"<form[^>]*\baction=\"([^\"]*)\"[^>]*>(.*?)</form>", re.DOTALL)
_INPUT = re.compile(r"<input[^>]*>")
_ATTRIBUTE = re.compile(r"\b(name|value)=\"([^\"]*)\"")


def _form(page: str, field: str) -> tuple[str, dict[str, str]]:
    """The address and the fields of the form with that field. Nothing of ours that stands in one has to be unescaped
    but `&`."""
    for action, inside in _FORM.findall(page):
        inputs = [dict(_ATTRIBUTE.findall(one)) for one in _INPUT.findall(inside)]
        fields = {one["name"]: one.get("value", "") for one in inputs if "name" in one}
        if field in fields:
            return action.replace("&amp;", "&"), fields
    raise Unexpected(f"no form with {field}: {page[:500]}")
