"""A provider with a few doors of its own, served as `idp serve` does it: what tests start as processes, and kill.

Run as a program (`python -m tests.platform.serving PORT WORKERS`) it is the server; imported, it is its controls.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, request
from sqlalchemy import select

from idp.audit import trail
from idp.audit.models import Entry
from idp.audit.trail import Actor
from idp.cli import serve, start
from idp.cli.door import create_app
from idp.feed.models import Change
from idp.organizations import accounts, grants, organizations, scopes
from idp.organizations.accounts import AccountSettings, NewAccount
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.models import Account, Organization
from idp.organizations.organizations import OrganizationSettings
from idp.platform import database, jobs
from idp.platform.access import for_programs, public
from idp.platform.jobs import Job
from idp.platform.settings import Settings
from idp.platform.web_server import Tls
from idp.users import lifecycle, users
from idp.users.models import User, UserDisablement
from idp.users.users import UserSettings
from tests.databases import SECRET_KEY

_TESTS = Actor("operator", "tests")
METRICS_TOKEN = "Zb7uLq2XwYtE9sKcVn4RjHf6MgPd8aTo1Ci5"

# The server


def main(port: str, workers: str, certificate: str = "", key: str = "") -> int:
    """Serve until told to stop."""
    settings = Settings.load(os.environ)
    start.forget_secrets()
    app = create_app(settings)
    _open_doors(app)
    tls = Tls(Path(certificate), Path(key)) if certificate else None
    return serve.run(app, settings, serve.Wishes("127.0.0.1", int(port), int(workers), tls))


def _open_doors(app: Flask) -> None:
    @app.get("/slow")
    @public
    def slow() -> str:
        threading.Event().wait(float(request.args["seconds"]))
        return "done"

    @app.get("/who")
    @public
    def who() -> dict[str, Any]:
        return {"pid": os.getpid(), "environ": {name: str(value) for name, value in request.environ.items()}}

    @app.post("/entries")
    @public
    @for_programs
    def write() -> dict[str, str]:
        with database.writing():
            trail.record("user.created", by=trail.SYSTEM, subject=request.form["subject"])
        return {"subject": request.form["subject"]}

    @app.post("/changes")
    @public
    @for_programs
    def change() -> dict[str, str]:
        with database.writing():
            _change(request.form["subject"])
        return {"subject": request.form["subject"]}

    @app.post("/grants")
    @public
    @for_programs
    def grant() -> dict[str, str]:
        with database.writing():
            return {"grant": grants.grant(_wanted(request.form), by=_TESTS).id}

    @app.post("/grants/end")
    @public
    @for_programs
    def end() -> dict[str, str]:
        with database.writing():
            grants.end(request.form["organization"], request.form["grant"], by=_TESTS)
        return {}

    @app.get("/entries")
    @public
    def read() -> list[str]:
        wanted = select(Entry.subject).where(Entry.event == "user.created")
        return list(database.session().scalars(wanted))


def _wanted(form: Mapping[str, str]) -> Wanted:
    return Wanted(Grantee("member", form["member"]), form["role"], scopes.named(form["organization"]))


def _change(name: str) -> None:
    """Makes a person called `<word>-<number>`; with every third an organization and an account, every third leaves."""
    by = _TESTS
    person = users.create(UserSettings(name), by=by)
    act = int(name.rpartition("-")[2]) % 3
    if act == 1:
        founded = organizations.found(OrganizationSettings(name, name), person.id, by=by)
        account = AccountSettings("shop", name, "DE")
        accounts.open_account(founded.id, NewAccount(account, livemode=True), by=by)
        jobs.add("greet", {"name": name})
    elif act == 2:
        lifecycle.disable(person, by=by)


def state() -> dict[str, list[str]]:
    """What there is of each change: the person, and `organization`, `account`, `job`, or `disabled` and `loss`."""
    session = database.session()
    people = {person.id: person.username for person in session.scalars(select(User))}
    found: dict[str, list[str]] = {name: [] for name in people.values()}
    for word, names in (
        ("organization", session.scalars(select(Organization.slug))),
        ("account", session.scalars(select(Account.name))),
        ("job", (json.loads(payload)["name"] for payload in session.scalars(select(Job.payload)))),
        ("disabled", (people[person] for person in session.scalars(select(UserDisablement.user_id)))),
        ("loss", _lost(people)),
    ):
        for name in names:
            found[name].append(word)
    return found


def _lost(people: dict[str, str]) -> Iterator[str]:
    for selector in database.session().scalars(select(Change.selector).where(Change.kind != "epoch")):
        if (match := json.loads(selector)).keys() == {"sub"}:
            yield people[match["sub"]]


WHOLE = {0: [], 1: ["organization", "account", "job"], 2: ["disabled", "loss"]}
"""What belongs to a change, by its number modulo 3."""


# Its controls


@dataclass(frozen=True)
class Answer:
    """What was answered; `seconds`: how long it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """A provider that runs as processes on `url`, at a port of its own."""

    def __init__(self, url: str, folder: Path, *, workers: int = 1, tls: Tls | None = None) -> None:
        self.url = url
        self.port = _free_port()
        self.log = folder / f"{self.port}.log"
        self._out = folder / f"{self.port}.out"
        self._workers = workers
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None
        self.first_start = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator["Service"]:
        """Started, and in the end gone, whatever happened."""
        try:
            self.first_start = self.start()
            yield self
        finally:
            self.kill()

    def start(self) -> float:
        """Start, and wait until it says that it is ready; how many seconds that took."""
        began = time.monotonic()
        with self._out.open("wb") as out, self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=out, stderr=log, env=self.environment())
        self.until(lambda: bool(self.said()), within=60)
        return time.monotonic() - began

    def command(self) -> list[str]:
        """What is run."""
        files = [str(self._tls.certificate), str(self._tls.key)] if self._tls else []
        return [sys.executable, "-m", "tests.platform.serving", str(self.port), str(self._workers), *files]

    def environment(self) -> dict[str, str]:
        """What the processes are given; they may keep what they compile, as any installation does."""
        without = ("IDP_", "PYTHONDONTWRITEBYTECODE")
        given = {name: value for name, value in os.environ.items() if not name.startswith(without)}
        return given | {
            "IDP_ISSUER": f"http{'s' if self._tls else ''}://localhost:{self.port}",
            "IDP_DATABASE_URL": self.url,
            "IDP_SECRET_KEY": SECRET_KEY,
            "IDP_METRICS_TOKEN": METRICS_TOKEN,
            "IDP_DRAIN_SECONDS": "2",
        }

    def said(self) -> str:
        """What stands on its standard output."""
        return self._out.read_text()

    @property
    def pid(self) -> int:
        """The supervisor."""
        assert self._process
        return self._process.pid

    def workers(self) -> list[int]:
        """The processes that the supervisor has, as many as there are just now."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def stop(self) -> int:
        """Tell it to stop, and wait; the exit status."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)

    def wait(self, seconds: float) -> int:
        """The exit status."""
        assert self._process
        return self._process.wait(seconds)

    def kill(self) -> None:
        """Kill every process at once, if there still is one."""
        if self._process is None or self._process.poll() is not None:
            return
        for pid in (*self.workers(), self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(5)

    # Requests

    def get(self, path: str, *, timeout: float = 5) -> Answer:
        return self._ask("GET", path, None, timeout)

    def post(self, path: str, body: str, *, timeout: float = 8, **headers: str) -> Answer:
        return self._ask("POST", path, body, timeout, **headers)

    def _ask(self, method: str, path: str, body: str | None, timeout: float, **headers: str) -> Answer:
        began = time.monotonic()
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        with contextlib.closing(self._connection(timeout)) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            body_of_answer = response.read()
        return Answer(response.status, response.headers, body_of_answer, time.monotonic() - began)

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls:
            trusting = ssl.create_default_context(cafile=str(self._tls.certificate))
            return http.client.HTTPSConnection("localhost", self.port, timeout=timeout, context=trusting)
        return http.client.HTTPConnection("localhost", self.port, timeout=timeout)

    def raw(self, sent: bytes, *, timeout: float = 5) -> tuple[bytes, bool]:
        """Send bytes as they are; what came back, and whether the connection was closed then."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as line:
            line.sendall(sent)
            while True:
                try:
                    piece = line.recv(65_536)
                except TimeoutError:
                    return received, False
                except ConnectionResetError:
                    return received, True
                if not piece:
                    return received, True
                received += piece

    @staticmethod
    def until(holds: Callable[[], bool], *, within: float) -> float:
        """Wait until `holds`; how many seconds that took. Fails after `within`."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < within, f"not within {within} seconds"
            time.sleep(0.02)
        return time.monotonic() - began

    def is_ready(self) -> bool:
        """Whether it answers, and says that it is ready."""
        try:
            return self.get("/readyz", timeout=2).status == 200
        except OSError:
            return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
