"""Machine endpoints: functions from a `Call` to an `Answer`, mounted in Flask and, for exact paths, in front of it.

Both ways lead through `Endpoint`, so the same methods are allowed and the same refusals are told; and both lie behind
the gate, so request ids, metrics, headers and limits wrap both. The lane saves Flask's routing and request context.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from flask import Flask, Response, request
from werkzeug.datastructures import Headers

from idp.platform import access, database, phrasing
from idp.platform.calls import Answer, Call
from idp.platform.errors import Refusal
from idp.platform.http_refusals import Bug, WrongMethod

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Rule = Callable[[Call], Answer]
Phrase = Callable[[Refusal, Call], Answer]

log = structlog.get_logger()


def as_elsewhere(refusal: Refusal, call: Call) -> Answer:
    """Phrase `refusal` as the rest of the house does."""
    return phrasing.answer(refusal, call.path, call.header("Accept"), retryable=call.method == "GET")


@dataclass(frozen=True)
class Endpoint:
    """A rule with the methods it takes and the way its refusals are told."""

    rule: Rule
    methods: tuple[str, ...]
    phrase: Phrase

    def __call__(self, call: Call) -> Answer:
        """The answer to `call`, whatever happens."""
        try:
            if call.method not in self.methods:
                raise WrongMethod(self.methods)
            return self.rule(call)
        except Refusal as refusal:
            return self.phrase(refusal, call)
        except Exception as error:
            return self.phrase(unexpected(error), call)


def unexpected(error: Exception) -> Refusal:
    """What the caller is told of `error`, which no rule meant to raise: come back later, or only the reference."""
    away = database.refusal_for(error)
    if away:
        log.warning("database away", exc_info=error)
        return away
    log.error("unexpected error", exc_info=error)
    return Bug()


class Lane:
    """A table of exact paths in front of another WSGI application."""

    def __init__(self, behind: "WSGIApplication") -> None:
        self.behind = behind
        self.endpoints: dict[str, Endpoint] = {}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer by the endpoint of this very path, else by the application behind."""
        endpoint = self.endpoints.get(environ["PATH_INFO"])
        if endpoint is None:
            return self.behind(environ, start_response)
        environ["canopy.route"] = environ["PATH_INFO"]
        return send(endpoint(Call.of(environ)), environ["REQUEST_METHOD"], start_response)


def send(answer: Answer, method: str, start_response: "StartResponse") -> list[bytes]:
    """`answer` the way WSGI wants it; without its body for HEAD."""
    length = () if answer.status in _BODILESS else (("Content-Length", str(len(answer.body))),)
    headers = [("Content-Type", answer.content_type), *length, *answer.headers]
    start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
    return [] if method == "HEAD" else [answer.body]


_BODILESS = frozenset({204, 304})
"""Answers that have no length (RFC 9110 §8.6)."""


def response(answer: Answer) -> Response:
    """`answer` as Flask wants it."""
    return _Verbatim(answer.body, answer.status, list(answer.headers), content_type=answer.content_type)


class _Verbatim(Response):
    """A response whose `Location` is sent as it is. Werkzeug would spell it anew, or fail: on the way back to a client
    that asked for another letter case, brackets, or a host that is no name of the DNS.
    """

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        location = self.headers.pop("Location", None)
        headers = super().get_wsgi_headers(environ)
        if location is not None:
            self.headers["Location"] = headers["Location"] = location
        return headers


def mount(
    app: Flask, path: str, rule: Rule, *, methods: tuple[str, ...] = ("GET", "HEAD"), phrase: Phrase = as_elsewhere
) -> None:
    """Serve `rule` at `path`; it declares what it needs as every view does (`access`)."""
    endpoint = Endpoint(rule, methods, phrase)

    @access.for_programs
    def view(**_: str) -> Response:
        return response(endpoint(Call.of(request.environ)))

    if needs := access.needs_of(rule):
        access.declare(view, needs)
    app.add_url_rule(path, f"{rule.__module__}.{rule.__qualname__}", view, methods=methods)
    lane: Lane = app.extensions["canopy_lane"]
    if "<" not in path:
        lane.endpoints[path] = endpoint
