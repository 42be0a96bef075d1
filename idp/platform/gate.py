"""The gate: what every request passes, whichever door it knocks at.

It says who asks and under which id, refuses what cannot be a request of ours, lets nothing through that a stranger
could pass off as a proxy's word, and sees to headers, metrics and the access log of whatever is answered.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from flask import Flask

from idp.platform import (
    appearance,
    clock,
    cookies,
    correlation,
    forms,
    hosts,
    i18n,
    lane,
    logging,
    metrics,
    phrasing,
    security_headers,
)
from idp.platform.appearance import Appearance, looking
from idp.platform.calls import TEXT, Readable
from idp.platform.correlation import Origin
from idp.platform.errors import Refusal
from idp.platform.http_refusals import AddressTooLong, HeadersTooLarge, Malformed, TooLarge, WrongHost
from idp.platform.i18n import Wish
from idp.platform.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

TARGET_LIMIT = 16_000
"""Bytes of path and query together."""

HEADER_LIMIT = 32_000
"""Bytes of the header block without cookies."""

COOKIE_LIMIT = 64_000
"""Bytes of cookies: whatever shares a domain with us fills the same jar (SES-09)."""

PATIENCE_LIMIT = 32_000_000
"""Bytes of a refused body that are read and dropped, so that its sender gets to hear the refusal."""

USER_AGENT_LIMIT = 256
"""Characters of a user agent that are kept."""

LANGUAGE_COOKIE_AGE = 365 * 86_400
"""Seconds that a browser remembers a chosen language."""

_ANY_HOST = frozenset({"/healthz", "/readyz"})
_ANY_ADDRESS = frozenset({"/metrics"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_FORWARDING = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_FOR")
_HEARSAY = (
    *_FORWARDING,
    *(f"HTTP_X_FORWARDED_{about}" for about in ("HOST", "PORT", "PREFIX", "PROTO", "SCHEME", "SERVER", "SSL")),
    *(f"HTTP_X_{name}" for name in ("ORIGINAL_HOST", "ORIGINAL_URL", "REQUEST_ID", "REWRITE_URL")),
    *(f"HTTP_X_{name}" for name in ("HTTP_METHOD", "HTTP_METHOD_OVERRIDE", "METHOD_OVERRIDE")),
    "HTTP_FRONT_END_HTTPS",
)

log = structlog.get_logger()


# What cannot be a request of ours


def body_has_a_length(environ: "WSGIEnvironment", _: Settings) -> None:
    """A body in chunks is refused: only so can no two readers disagree about where it ends (HTT-08, RFC 9112 §6.3)."""
    if environ.get("HTTP_TRANSFER_ENCODING"):
        raise Malformed("Send the body with a Content-Length.")


def head_is_bounded(environ: "WSGIEnvironment", _: Settings) -> None:
    """Target, headers and cookies have their limits."""
    if len(environ["PATH_INFO"]) + len(environ.get("QUERY_STRING", "")) > TARGET_LIMIT:
        raise AddressTooLong
    if len(environ.get("HTTP_COOKIE", "")) > COOKIE_LIMIT:
        raise HeadersTooLarge
    headers = [len(name) + len(value) for name, value in environ.items() if name.startswith(("HTTP_", "CONTENT_"))]
    if sum(headers) - len(environ.get("HTTP_COOKIE", "")) > HEADER_LIMIT:
        raise HeadersTooLarge


def host_is_ours(environ: "WSGIEnvironment", settings: Settings) -> None:
    """One host, and that of the issuer (HTT-03). Probes may use any; metrics are read by address, too, which no page
    of somebody else's can do."""
    host, path = environ.get("HTTP_HOST", ""), environ["PATH_INFO"]
    if path in _ANY_HOST or (path in _ANY_ADDRESS and hosts.is_literal(host)):
        return
    if not hosts.is_well_formed(host):
        raise Malformed("Exactly one host must be named.")
    if not hosts.names(host, settings.issuer):
        raise WrongHost


def target_is_text(environ: "WSGIEnvironment", _: Settings) -> None:
    """Path and query are UTF-8, and the path has no control characters (HTT-05)."""
    try:
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise Malformed("The address is not UTF-8.") from None
    forms.text(environ.get("QUERY_STRING", "").encode("latin-1"))
    if not path.startswith("/") or _CONTROL.search(path):
        raise Malformed("The address contains characters that no address has.")


def body_is_bounded(environ: "WSGIEnvironment", _: Settings) -> None:
    """A body that says it is too large is not even read."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdecimal()):
        raise Malformed("Content-Length is no number.")
    if len(length) > len(str(forms.BODY_LIMIT)) or int(length) > forms.BODY_LIMIT:
        raise TooLarge


ADMISSION = (body_has_a_length, head_is_bounded, host_is_ours, target_is_text, body_is_bounded)
"""The checks, in the order they run."""


# The gate


class Gate:
    """Stands in front of `inner` (Flask, and the lane before it) as the outermost layer of `app`."""

    def __init__(self, app: Flask, inner: "WSGIApplication", settings: Settings) -> None:
        self._app = app
        self._inner = inner
        self._settings = settings
        self._headers = security_headers.for_every_answer(settings)
        self._ours = _identity(settings.issuer)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request, whatever happens to it."""
        started = clock.monotonic()
        wish, looks = self._wish(environ), self._looks(environ)
        with correlation.working_for(self._origin(environ)) as origin, i18n.speaking(wish), looking(looks):
            headers = (*self._headers, ("X-Request-Id", origin.request_id))
            reply = _Reply(start_response, headers, self._settings, environ["REQUEST_METHOD"])
            try:
                with self._app.app_context():
                    body = self._pass(environ, reply)
            except Exception as error:
                body = _last_resort(error, reply)
            _note(environ, origin, reply.status, clock.monotonic() - started)
        return body

    def _pass(self, environ: "WSGIEnvironment", reply: "_Reply") -> Iterable[bytes]:
        try:
            for check in ADMISSION:
                check(environ, self._settings)
        except Refusal as refusal:
            environ["canopy.route"] = "refused"
            return _turn_away(refusal, environ, reply)
        self._rewrite(environ)
        return self._inner(environ, reply)

    def _origin(self, environ: "WSGIEnvironment") -> Origin:
        """Who asks, under which id: a proxy's word counts, a stranger's does not."""
        peer = environ.get("REMOTE_ADDR", "")
        offered = environ.get("HTTP_X_REQUEST_ID", "")
        taken_over = self._settings.trusted_proxies.include(peer) and _REQUEST_ID.fullmatch(offered)
        return Origin(
            **({"request_id": offered} if taken_over else {}),
            address=hosts.client_address(peer, environ, self._settings.trusted_proxies),
            user_agent=environ.get("HTTP_USER_AGENT", "")[:USER_AGENT_LIMIT],
        )

    def _wish(self, environ: "WSGIEnvironment") -> Wish:
        named = cookies.read(environ.get("HTTP_COOKIE", ""), cookies.name_of("locale", self._settings))
        return Wish(
            environ.get("QUERY_STRING", ""),
            named or "",
            environ.get("HTTP_ACCEPT_LANGUAGE", ""),
            pseudo=self._settings.development,
        )

    def _looks(self, environ: "WSGIEnvironment") -> Appearance:
        cookie = cookies.name_of(appearance.COOKIE, self._settings)
        return Appearance(appearance.theme_of(cookies.read(environ.get("HTTP_COOKIE", ""), cookie)))

    def _rewrite(self, environ: "WSGIEnvironment") -> None:
        """From here on the request has our scheme and host and the client's address, and carries no hearsay."""
        peer = environ.get("REMOTE_ADDR", "")
        environ["canopy.offered_request_id"] = environ.get("HTTP_X_REQUEST_ID", "")
        environ["canopy.local"] = hosts.is_loopback(peer) and not any(name in environ for name in _FORWARDING)
        for name in _HEARSAY:
            environ.pop(name, None)
        environ.update(self._ours, REMOTE_ADDR=correlation.current().address)


def _identity(issuer: str) -> dict[str, Any]:
    """The part of WSGI's environment that says who we are: the issuer, and nobody's header (HTT-03, HTT-04)."""
    parts = urlsplit(issuer)
    return {
        "wsgi.url_scheme": parts.scheme,
        "HTTP_HOST": hosts.authority(issuer),
        "SERVER_NAME": parts.hostname or "",
        "SERVER_PORT": str(parts.port or (443 if parts.scheme == "https" else 80)),
        "SCRIPT_NAME": "",
    }


class _Reply:
    """WSGI's `start_response` that adds what every answer carries, and remembers the status."""

    def __init__(
        self, start_response: "StartResponse", headers: tuple[tuple[str, str], ...], settings: Settings, method: str
    ) -> None:
        self._start = start_response
        self._headers = headers
        self._settings = settings
        self._is_asked = method == "GET"
        self.status = 0

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status = int(status[:3])
        given = {name.lower(): value for name, value in headers}
        sent = [*headers, *((name, value) for name, value in self._headers if name.lower() not in given)]
        if remembered := self._language(given.get("content-type", "")):
            sent.append(("Set-Cookie", remembered))
        return self._start(status, sent, *(() if exc_info is None else (exc_info,)))

    def _language(self, content_type: str) -> str | None:
        """A language that was chosen on one of our pages stays chosen; a POST may come from anywhere (SES-03)."""
        chosen = i18n.wish().named
        if not chosen or not self._is_asked or not content_type.startswith("text/html"):
            return None
        return cookies.written("locale", chosen, self._settings, max_age=LANGUAGE_COOKIE_AGE)


def _turn_away(refusal: Refusal, environ: "WSGIEnvironment", reply: _Reply) -> list[bytes]:
    """Refuse without having taken the body in, and so end the connection: nobody knows what is still to come."""
    if isinstance(refusal, TooLarge) and not environ.get("HTTP_EXPECT"):
        _let_pass(environ["wsgi.input"])
    told = phrasing.answer(refusal, environ["PATH_INFO"], environ.get("HTTP_ACCEPT", ""))
    closing = (("Connection", "close"),) if environ.get("SERVER_PROTOCOL", "").startswith("HTTP/1") else ()
    return lane.send(told.with_headers(*closing), environ["REQUEST_METHOD"], reply)


def _let_pass(stream: Readable) -> None:
    """Read past a body that is too large, within bounds: most clients listen only once they have sent all of it."""
    deadline, left = clock.monotonic() + 0.5, PATIENCE_LIMIT
    while left > 0 and clock.monotonic() < deadline and (piece := stream.read(64_000)):
        left -= len(piece)


def _last_resort(error: Exception, reply: _Reply) -> list[bytes]:
    """The answer when even phrasing fails."""
    log.critical("the gate caught an error", exc_info=error)
    reference = correlation.current().request_id
    again = (type(error), error, error.__traceback__) if reply.status else None
    reply("500 Internal Server Error", [("Content-Type", TEXT)], again)
    return [f"Something went wrong. Reference: {reference}\n".encode()]


def _note(environ: "WSGIEnvironment", origin: Origin, status: int, seconds: float) -> None:
    """Count the request, and write its line: the route and not the path, since paths carry tokens (AUD-03)."""
    route, method = environ.get("canopy.route", "unmatched"), environ["REQUEST_METHOD"]
    method = method if method in _METHODS else "other"
    metrics.request(route, method, status, seconds)
    logging.request(method=method, route=route, status=status, ms=round(seconds * 1000, 2), address=origin.address)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
