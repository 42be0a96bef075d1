"""The intake between sockets and application: bodies come in whole, turns are bounded, what is too much is turned away.

Whatever the number of connections, so many requests are worked on, so many wait a moment for their turn, and so many
wait for the rest of their body; one more is answered at once that it should come back. Health checks pass by.
"""

import io
import secrets
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from idp.platform import metrics
from idp.platform.forms import BODY_LIMIT

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

WORKING = 32
"""Requests that are worked on at once; the database has a connection for each (`connecting.POOL_SIZE`)."""

WAITING = 256
"""Requests that wait for their turn at once; they hold nothing but a thread."""

PATIENCE = 1.0
"""Seconds that a request waits for its turn."""

READING = 32
"""Requests whose body is still coming in."""

THREADS = WORKING + WAITING + READING + 16
"""Threads that the server needs: some are always free to turn requests away and to answer health checks."""

_PASSES = frozenset({"/healthz", "/readyz"})

_COME_BACK = b'{"title":"The service is busy","status":503,"code":"overloaded","detail":"Try again in a moment."}'
_INCOMPLETE = b'{"title":"The request was not complete","status":400,"code":"malformed_request"}'


class Intake:
    """Stands in front of `inner`, in a server that has `THREADS` threads."""

    def __init__(self, inner: "WSGIApplication") -> None:
        self._inner = inner
        self._turns = threading.Semaphore(WORKING)
        self._seats = threading.Semaphore(WAITING + WORKING)
        self._readers = threading.Semaphore(READING)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request, in turn."""
        if environ["PATH_INFO"] in _PASSES:
            return self._inner(environ, start_response)
        if refused := self._read_body(environ, start_response):
            return refused
        if not self._seats.acquire(blocking=False):
            return _turn_away(start_response)
        try:
            if not self._turns.acquire(timeout=PATIENCE):
                return _turn_away(start_response)
            try:
                return self._inner(environ, start_response)
            finally:
                self._turns.release()
        finally:
            self._seats.release()

    def _read_body(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes] | None:
        """Put the whole body where the application reads it. What is too large or has no length is for the gate."""
        length = environ.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdecimal() and 0 < int(length) <= BODY_LIMIT):
            return None
        if not self._readers.acquire(blocking=False):
            return _turn_away(start_response)
        try:
            body = environ["wsgi.input"].read(int(length))
        finally:
            self._readers.release()
        if len(body) < int(length):
            return _answer(start_response, "400 Bad Request", _INCOMPLETE, ("Connection", "close"))
        environ["wsgi.input"] = io.BytesIO(body)
        return None


def _turn_away(start_response: "StartResponse") -> list[bytes]:
    metrics.TURNED_AWAY.labels("overloaded").inc()
    return _answer(start_response, "503 Service Unavailable", _COME_BACK, ("Retry-After", "1"))


def _answer(start_response: "StartResponse", status: str, body: bytes, header: tuple[str, str]) -> list[bytes]:
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Request-Id", secrets.token_hex(12)),
        header,
    ]
    start_response(status, headers)
    return [body]
