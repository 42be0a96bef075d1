"""The provider as this service reaches it: JSON over HTTP, soon or never, no redirects, no proxies."""

import base64
import http.client
import json
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import quote_plus, urlencode, urlsplit

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

TIMEOUT: Final = 1.0
"""Seconds that the provider has to be reached, to begin to answer, and for the whole body."""

LONGEST: Final = 8_000_000
"""Bytes of the longest answer that is read."""

_PIECE = 65_536
_MOST_IDLE = 4
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Away(Exception):
    """No node of the provider gave an answer that means anything. The reason is for logs."""


@dataclass(frozen=True)
class Answer:
    """What the provider said: the status, below 500, and the JSON object of the body (empty if it was none)."""

    status: int
    body: Mapping[str, Json]


class Provider:
    """Asks the provider as one client, by `client_secret_basic`. To be used by several threads at once.

    `addresses`: where its nodes are reached, `https` (or `http` on loopback) without a slash at the end. When one does
    not answer, or answers 5xx or 429, the next one is asked and stays the first. Raises `ValueError` for other ones.
    """

    def __init__(
        self, addresses: Sequence[str], client_id: str, client_secret: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self._nodes = [_Node(address, tls) for address in addresses]
        self._first = 0
        pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"  # RFC 6749 §2.3.1
        self._authorization = "Basic " + base64.b64encode(pair.encode()).decode()

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Answer:
        """The answer to a GET of `path`, authenticated. Raises `Away`."""
        return self._ask("GET", path + ("?" + urlencode(query) if query else ""), None)

    def post(self, path: str, form: Mapping[str, str]) -> Answer:
        """The answer to a POST of `form`, authenticated. Raises `Away`."""
        return self._ask("POST", path, urlencode(form).encode())

    def close(self) -> None:
        """Close what is open; the next question opens it again."""
        for node in self._nodes:
            node.close()

    def _ask(self, method: str, target: str, form: bytes | None) -> Answer:
        headers = {"Authorization": self._authorization, "Accept": "application/json", "Cache-Control": "no-cache"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        reasons = []
        begin = self._first
        for offset in range(len(self._nodes)):
            place = (begin + offset) % len(self._nodes)
            try:
                answer = self._nodes[place].ask(method, target, form, headers)
            except Away as error:
                reasons.append(str(error))
            else:
                self._first = place
                return answer
        raise Away("; ".join(reasons))


class _Node:
    """One address, with the connections to it that are open and unused."""

    def __init__(self, address: str, tls: ssl.SSLContext | None) -> None:
        parts = urlsplit(address)
        is_plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not (parts.scheme == "https" or is_plain) or not parts.hostname or parts.query or address.endswith("/"):
            raise ValueError(f"{address} is no https address (http on loopback) without a slash at the end")
        self._address, self._host, self._port, self._path = address, parts.hostname, parts.port, parts.path
        self._tls = None if is_plain else tls or ssl.create_default_context()
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def ask(self, method: str, target: str, form: bytes | None, headers: Mapping[str, str]) -> Answer:
        try:
            status, raw = self._exchange(method, self._path + target, form, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()  # what became of one connection may have become of all
            raise Away(f"{self._address}: {type(error).__name__} {error}".strip()) from None
        if status >= 500 or status == 429 or 300 <= status < 400:
            self.close()  # another connection may lead to another node
            raise Away(f"{self._address} answered {status}")
        return Answer(status, _object(raw) if status == 200 else {})

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(self, method: str, target: str, form: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Over a connection that is open, or over a new one when that was closed meanwhile: all we ask may repeat."""
        with self._lock:
            used = self._idle.pop() if self._idle else None
        if used is not None:
            try:
                return self._over(used, method, target, form, headers)
            except (ConnectionError, http.client.BadStatusLine):
                pass
        return self._over(self._opened(), method, target, form, headers)

    def _opened(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT, context=self._tls)

    def _over(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        form: bytes | None,
        headers: Mapping[str, str],
    ) -> tuple[int, bytes]:
        try:
            connection.request(method, target, form, dict(headers))
            response = connection.getresponse()
            raw = _whole(response)
        except BaseException:
            connection.close()
            raise
        self._give_back(connection, is_open=not response.will_close)
        return response.status, raw

    def _give_back(self, connection: http.client.HTTPConnection, *, is_open: bool) -> None:
        with self._lock:
            if is_open and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()


def _whole(response: http.client.HTTPResponse) -> bytes:
    """The body, however it comes. Raises `ValueError` if it is too long, and `OSError` if it takes too long."""
    ends, body = time.monotonic() + TIMEOUT, bytearray()
    while piece := response.read1(_PIECE):
        body += piece
        if len(body) > LONGEST:
            raise ValueError("the answer is too long")
        if time.monotonic() > ends:
            raise TimeoutError("the answer takes too long")
    if response.length:
        raise http.client.IncompleteRead(bytes(body), response.length)
    response.close()
    return bytes(body)


def _object(raw: bytes) -> Mapping[str, Json]:
    try:
        value: Json = json.loads(raw)
    except (ValueError, RecursionError):
        raise Away("the answer is no JSON") from None
    if not isinstance(value, dict):
        raise Away("the answer is no JSON object")
    return value
