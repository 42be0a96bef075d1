"""What a node says about itself: that it lives, whether it can serve, what it counted, whom to tell of a hole."""

import contextvars
import hmac
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from flask import Flask, current_app
from sqlalchemy import text

from idp.platform import clock, lane, metrics, schema
from idp.platform.access import declare, public
from idp.platform.calls import TEXT, Answer, Call
from idp.platform.database import db
from idp.platform.errors import Unavailable
from idp.platform.http_refusals import Unauthenticated
from idp.platform.settings import settings

PATIENCE = 2.0
"""Seconds that the checks may take together."""

Check = Callable[[], None]

log = structlog.get_logger()


class NotReady(Unavailable):
    """This node cannot serve just now; load balancers ask another one."""

    code = "not_ready"
    title = "This node is not ready"


class Draining(NotReady):
    """This node has been told to stop and finishes what it has begun."""

    code = "draining"
    title = "This node is being stopped"


_draining = threading.Event()


def drain() -> None:
    """Say no to readiness from now on: the process has been told to stop."""
    _draining.set()


def serving() -> None:
    """Raise `Draining` once `drain` was called."""
    if _draining.is_set():
        raise Draining


def database_answers() -> None:
    """Raise unless the database answers a query."""
    with db.engine.connect() as connection:
        connection.execute(text("SELECT 1"))


class Readiness:
    """The checks of an application, run one after the other in a thread, so that a hanging one delays nobody.

    Questions that come while the checks run share their result.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._probe: _Probe | None = None
        self.checks: dict[str, Check] = {"serving": serving, "database": database_answers, "schema": schema.check}

    def failed(self) -> str | None:
        """The name of the first check that fails, or has not come back in time; `None` when all is well."""
        with self._lock:
            if self._probe is None or not self._probe.is_alive():
                self._probe = _Probe(self._app, dict(self.checks))
                self._probe.start()
            probe = self._probe
        probe.join(PATIENCE)
        return probe.failing


class _Probe(threading.Thread):
    """One run of the checks; `failing` names the one at hand until it has passed."""

    def __init__(self, app: Flask, checks: dict[str, Check]) -> None:
        super().__init__(name="readiness", daemon=True)
        self._app = app
        self._checks = checks
        self._origin = contextvars.copy_context()
        self.failing: str | None = next(iter(checks), None)

    def run(self) -> None:
        self._origin.run(self._check)

    def _check(self) -> None:
        with self._app.app_context():
            for name, check in self._checks.items():
                self.failing = name
                try:
                    check()
                except Exception as error:
                    log.warning("not ready", check=name, exc_info=error)
                    return
        self.failing = None


def init(app: Flask) -> None:
    """Mount what every node says about itself; rooms may add to `readiness(app).checks`."""
    app.extensions["canopy_readiness"] = Readiness(app)
    lane.mount(app, "/healthz", healthz)
    lane.mount(app, "/readyz", readyz)
    lane.mount(app, "/metrics", counted)
    lane.mount(app, "/.well-known/security.txt", security_txt)


def readiness(app: Flask) -> Readiness:
    """The checks of `app`."""
    found: Readiness = app.extensions["canopy_readiness"]
    return found


@public
def healthz(_: Call) -> Answer:
    """The process answers; nothing else is asked, so that a lost database restarts nobody."""
    return Answer.json({"status": "ok"})


@public
def readyz(_: Call) -> Answer:
    """Whether this node can serve: 200, or 503 with the name of the check that fails."""
    failing = readiness(current_app._get_current_object()).failed()  # type: ignore[attr-defined]
    if failing is None:
        return Answer.json({"status": "ready"})
    return Answer.json({"status": "not ready", "failed": failing}, 503, Retry_After=str(NotReady.retry_after))


def counted(call: Call) -> Answer:
    """The metrics, for this machine itself or for whoever shows `IDP_METRICS_TOKEN`."""
    if not (call.local or _shows_token(call)):
        raise Unauthenticated
    return Answer(200, metrics.exposition(), metrics.CONTENT_TYPE)


declare(counted, "metrics token or loopback")


def _shows_token(call: Call) -> bool:
    token = settings().metrics_token
    presented = f"Bearer {token.get_secret_value()}" if token else ""
    return bool(token) and hmac.compare_digest(call.header("Authorization").encode(), presented.encode())


@public
def security_txt(_: Call) -> Answer:
    """Whom to tell of a vulnerability (RFC 9116); the date moves along, so that the file never expires."""
    issuer = settings().issuer
    contact = settings().security_contact or f"mailto:security@{urlsplit(issuer).hostname}"
    until = clock.iso((clock.now() // clock.DAY + 180) * clock.DAY).replace(".000000", "")
    lines = (
        f"Contact: {contact}",
        f"Expires: {until}",
        "Preferred-Languages: en",
        f"Canonical: {issuer}/.well-known/security.txt",
    )
    return Answer(200, ("\n".join(lines) + "\n").encode(), TEXT, (("Cache-Control", "public, max-age=3600"),))
