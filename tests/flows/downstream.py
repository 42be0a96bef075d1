"""A provider that runs as processes, a business whose people hold tokens, and services that watch what becomes of them.

The test's own process is one more node on the same database: what it takes away there, the processes have to hear of.
"""

import contextlib
import dataclasses
import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from flask import Flask
from sqlalchemy.exc import OperationalError

from idp.app import create_app
from idp.clients import apis, clients
from idp.clients import secrets as client_secrets
from idp.clients.apis import ApiSettings, ScopeSettings
from idp.clients.clients import ClientSettings
from idp.clients.registered import RegisteredClient
from idp.oauth import issuance
from idp.organizations import grants, memberships, organizations, scopes
from idp.organizations.effective import Context
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.platform import database
from idp.platform.database import DatabaseUnavailable, db
from idp.platform.settings import Settings
from idp.users import users
from idp.users.users import UserSettings
from idp_verifier import InvalidToken, Superseded, Unavailable, Verifier
from tests import databases
from tests.databases import SECRET_KEY
from tests.oauth import issuing
from tests.oauth.issuing import PAYMENTS, issuance_for
from tests.platform.serving import Service
from tests.traces import OPERATOR

SERVICE, ACME = "app_payments", "org_acme"
STALE_AFTER = 3.0
"""Seconds after which a service goes by nothing that it heard before."""
PATIENCE = 60.0
"""Seconds in which a machine that is busy elsewhere gets round to us."""
MOMENTS = 8

PASSES, SUPERSEDED, REFUSED, UNAVAILABLE = "passes", "superseded", "refused", "unavailable"


class Provider(Service):
    """`idp serve`, with several workers."""

    @property
    def issuer(self) -> str:
        """Where services find it."""
        return f"http://localhost:{self.port}"

    def command(self) -> list[str]:
        """The command itself."""
        main = "import sys; from idp.cli import main; sys.exit(main())"
        workers = ("--workers", str(self._workers))
        return [sys.executable, "-c", main, "serve", "--bind", f"127.0.0.1:{self.port}", *workers]

    def environment(self) -> dict[str, str]:
        """Nobody has to be let go gently."""
        return super().environment() | {"IDP_DRAIN_SECONDS": "0"}

    @contextlib.contextmanager
    def paused(self, act: Callable[[], None], *pids: int) -> Iterator[None]:
        """These processes (every one, if none is named) stand still inside; another node did `act` meanwhile.

        Where one stood still with the turn to write in its hand, they go on for a moment, long enough to let go of it.
        """
        stopped = pids or (self.pid, *self.workers())
        for moment in itertools.count(1):
            assert moment < MOMENTS, "somebody holds the turn to write all the time"
            _signal(stopped, signal.SIGSTOP)
            try:
                if _is_done(act):
                    yield
                    return
            finally:
                _signal(stopped, signal.SIGCONT)
            time.sleep(moment * random.random())


def _signal(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        os.kill(pid, number)


def _is_done(act: Callable[[], None]) -> bool:
    try:
        act()
    except DatabaseUnavailable:
        return False
    except OperationalError as error:
        if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise
        db.session.remove()
        return False
    return True


@contextlib.contextmanager
def beside(service: Service) -> Iterator[Flask]:
    """A node of ours on the database of `service`, under the same issuer, its application context entered."""
    given = {"issuer": f"http://localhost:{service.port}", "database_url": service.url, "secret_key": (SECRET_KEY,)}
    app = create_app(Settings(**given))
    app.testing = True
    with app.app_context():
        try:
            yield app
        finally:
            databases.dispose()


@dataclass
class Employee:
    """Somebody who works for Acme: their `grant` of a role, and what they have let the shop do."""

    id: str
    grant: str
    shop: RegisteredClient
    authorization_id: str

    def token(self) -> str:
        """An access token as of now."""
        authorization = issuing.live(self.authorization_id)
        return str(issuance.issue(issuance_for(self.shop, authorization))["access_token"])

    def lose(self) -> float:
        """Take the role away; when that was committed, in seconds of the monotonic clock."""
        with database.writing():
            grants.end(ACME, self.grant, by=OPERATOR)
        return time.monotonic()


@dataclass
class House:
    """Acme, its shop, and the service that serves the API `PAYMENTS`, with its secret."""

    issuer: str
    secret: str
    shop: RegisteredClient
    hired: int = 0

    def hire(self, number: int) -> list[Employee]:
        """So many people, each with the role `developer`."""
        names = [f"e{self.hired + place}" for place in range(number)]
        self.hired += number
        with database.writing():
            made = [_hire(name) for name in names]
            decided = [self._let_in(f"usr_{name}") for name in names]
        return [
            Employee(f"usr_{name}", grant, self.shop, authorization_id)
            for name, grant, authorization_id in zip(names, made, decided, strict=True)
        ]

    def back(self, employee: Employee) -> Employee:
        """The same person, having signed in again."""
        with database.writing():
            return dataclasses.replace(employee, authorization_id=self._let_in(employee.id))

    def _let_in(self, user_id: str) -> str:
        return issuing.authorize(self.shop, user_id, Context(ACME), scope="payments", resources=(PAYMENTS,))

    def verifier(self, instance: str = "") -> Verifier:
        """A service's, which follows from `start` on."""
        return Verifier(self.issuer, PAYMENTS, client_id=SERVICE, client_secret=self.secret, instance=instance)


def found(issuer: str) -> House:
    """Make it, on the database of the current application."""
    with database.writing():
        apis.declare(ApiSettings(PAYMENTS, "Payments", (ScopeSettings("payments", "Payments"),), {}), by=OPERATOR)
        users.create(UserSettings("olivia"), id="usr_olivia", by=OPERATOR)
        organizations.found(OrganizationSettings("acme", "Acme"), "usr_olivia", id=ACME, by=OPERATOR)
        service = ClientSettings({"grant_types": ["client_credentials"], "serves": [PAYMENTS]})
        client = clients.create(service, id=SERVICE, by=OPERATOR)
        secret = client_secrets.add(client, by=OPERATOR).secret
    return House(issuer, secret, issuing.shop(first_party=True, resources=[PAYMENTS]))


def _hire(name: str) -> str:
    user, member = f"usr_{name}", f"mem_{name}"
    users.create(UserSettings(name), id=user, by=OPERATOR)
    memberships.add(ACME, NewMember(user, id=member), by=OPERATOR)
    wanted = Wanted(Grantee("member", member), "developer", scopes.named(ACME))
    return grants.grant(wanted, by=OPERATOR).id


def verdict(verifier: Verifier, token: str) -> str:
    """What a service makes of a token just now."""
    try:
        verifier.verify(token)
    except Superseded:
        return SUPERSEDED
    except InvalidToken:
        return REFUSED
    except Unavailable:
        return UNAVAILABLE
    return PASSES


@dataclass
class Lost:
    """A token that lost a role at `since` (monotonic clock), and the services that have not refused it yet."""

    token: str
    since: float
    open: list[Verifier]
    refused_after: list[float] = field(default_factory=list)


@dataclass
class Watch:
    """Services that look at tokens again and again: good ones that must never be refused, and lost ones."""

    services: list[Verifier]
    good: list[str]
    lost: list[Lost] = field(default_factory=list)
    unavailable_since: float | None = None
    longest_unavailable: float = 0.0

    def lose(self, token: str, since: float) -> None:
        """From `since` on the token counts for nothing."""
        self.lost.append(Lost(token, since, list(self.services)))

    def look(self) -> set[str]:
        """What the services made of the good tokens."""
        for one in self.lost:
            for service in list(one.open):
                self._look_at(one, service)
        found = {verdict(service, token) for service in self.services for token in self.good}
        assert found <= {PASSES, UNAVAILABLE}, "a good token was refused"
        self._note(UNAVAILABLE in found)
        return found

    def until(self, holds: Callable[[set[str]], bool]) -> float:
        """Look until that holds of what became of the good tokens; seconds that it took."""
        began = time.monotonic()
        while not holds(self.look()):
            assert time.monotonic() - began < PATIENCE
            time.sleep(0.02)
        return time.monotonic() - began

    def settle(self) -> float:
        """Look until good tokens pass and lost ones are refused everywhere; seconds that it took."""
        return self.until(lambda found: found <= {PASSES} and not any(one.open for one in self.lost))

    def _look_at(self, one: Lost, service: Verifier) -> None:
        began = time.monotonic()
        said = verdict(service, one.token)
        assert said != PASSES or began - one.since <= STALE_AFTER, "a superseded token was let through"
        if said in (SUPERSEDED, REFUSED):
            one.open.remove(service)
            one.refused_after.append(time.monotonic() - one.since)

    def _note(self, is_unavailable: bool) -> None:
        now = time.monotonic()
        self.unavailable_since = (self.unavailable_since or now) if is_unavailable else None
        self.longest_unavailable = max(self.longest_unavailable, now - (self.unavailable_since or now))


def running(url: str, folder: Path) -> Iterator[tuple[Provider, House]]:
    """The provider with the house, and a node of ours beside it."""
    with Provider(url, folder, workers=2).running() as provider, beside(provider):
        yield provider, found(provider.issuer)
