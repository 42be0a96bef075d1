"""Workers are killed under mixed load: whatever was acknowledged has happened, once, and whoever asks again is served.

Each client keeps a ledger of what it was told. Where no answer came, it asks again, as clients do.
"""

import http.client
import os
import random
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import func, select

from idp.audit.seal import seal_batch
from idp.audit.verify import verify
from idp.clients import clients
from idp.clients import secrets as client_secrets
from idp.oauth import codes, refresh_tokens
from idp.oauth.models import RefreshToken
from idp.organizations.models import RoleGrant
from idp.platform import database
from tests.flows import downstream
from tests.flows.downstream import ACME, Employee, House, Watch, beside
from tests.oauth import issuing
from tests.oauth.actors import CALLBACK, RelyingParty, challenge
from tests.oauth.calls import basic
from tests.oauth.decisions import VERIFIER
from tests.platform.serving import Answer, Service
from tests.traces import OPERATOR, entries

KILLS, EFFECTS = 4, 60
"""How often a worker is killed, and after how many more acknowledged effects."""
CODES, REVOKED = 80, 40

RETRY = 0.02


class Client(threading.Thread, ABC):
    """Acts until it is told to stop, or has nothing left to do. `wrong`: what it should never have been told."""

    def __init__(self, service: Service, secret: str, over: threading.Event) -> None:
        super().__init__()
        self._service, self._over = service, over
        self._authorization = basic("app_shop", secret)
        self.effects = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self._over.is_set() and self.act():
            self.effects += 1

    @abstractmethod
    def act(self) -> bool:
        """Do one thing; whether there was one to do."""

    def ask(self, path: str, **form: str) -> Answer | None:
        """The answer, or `None` where there is none: the worker is gone, or tells us to come back."""
        try:
            answer = self._service.post(path, urlencode(form), Authorization=self._authorization)
        except (OSError, http.client.HTTPException):
            return None
        return None if answer.status == 503 else answer

    def insist(self, path: str, **form: str) -> Answer:
        """Ask until there is an answer, which should be a good one."""
        while (answer := self.ask(path, **form)) is None:
            time.sleep(RETRY)
        if answer.status != 200:
            self.wrong.append(f"{path}: {answer.body.decode()}")
        return answer


class Redeemer(Client):
    """Redeems codes. Asking again for one whose answer was lost may be answered with no, and that ends what came of it.

    `redeemed`: the refresh tokens that came.
    """

    def start_with(self, ready: Sequence[str]) -> None:
        self._codes, self.redeemed, self.doubtful = list(ready), list[str](), 0
        self.start()

    def act(self) -> bool:
        if not self._codes:
            return False
        form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        form["code"] = self._codes.pop()
        answer = self.ask("/oauth2/token", **form)
        while answer is None:
            self.doubtful += 1
            time.sleep(RETRY)
            answer = self.ask("/oauth2/token", **form)
            if answer and answer.status == 400:
                return True
        if answer.status == 200:
            self.redeemed.append(answer.json["refresh_token"])
        else:
            self.wrong.append(answer.body.decode())
        return True


class Refresher(Client):
    """Refreshes, over and over; with the same token again where no answer came. `token`: the newest."""

    def start_with(self, token: str) -> None:
        self.token = token
        self.start()

    def act(self) -> bool:
        answer = self.insist("/oauth2/token", grant_type="refresh_token", refresh_token=self.token)
        if answer.status == 200:
            self.token = answer.json["refresh_token"]
        return answer.status == 200


class Revoker(Client):
    """Revokes refresh tokens. `revoked`: how many it was told are, from the first on."""

    def start_with(self, tokens: Sequence[str]) -> None:
        self._tokens, self.revoked = tokens, 0
        self.start()

    def act(self) -> bool:
        if self.revoked == len(self._tokens):
            return False
        self.insist("/oauth2/revoke", token=self._tokens[self.revoked])
        self.revoked += 1
        return True


class Granter(Client):
    """Gives a role and takes it away, over and over. `held`: the grant of now; `ended`: those of before."""

    def start_with(self, member: str) -> None:
        self.member, self.held, self.ended = member, "", list[str]()
        self.start()

    def act(self) -> bool:
        if self.held:
            self.insist("/grants/end", organization=ACME, grant=self.held)
            self.ended.append(self.held)
            self.held = ""
        else:
            self.held = self.insist("/grants", organization=ACME, member=self.member, role="analyst").json["grant"]
        return True


@pytest.mark.rule("INT-04")
def test_of_what_was_acknowledged_nothing_is_lost_and_nothing_doubled_when_workers_are_killed(
    database_url: str, tmp_path: Path
) -> None:
    with Service(database_url, tmp_path, workers=2).running() as service, beside(service) as node:
        house = downstream.found(f"http://localhost:{service.port}")
        secret = _secret("app_shop")
        buyers, leavers, regulars = house.hire(CODES), house.hire(REVOKED), house.hire(4)
        left = [one.token() for one in leavers]
        over = threading.Event()
        redeemer, revoker = Redeemer(service, secret, over), Revoker(service, secret, over)
        refreshers, granters = ([kind(service, secret, over) for _ in range(2)] for kind in (Refresher, Granter))
        everybody: list[Client] = [redeemer, revoker, *refreshers, *granters]
        with house.verifier() as verifier:
            watching = Watch([verifier], [regulars[2].token()])
            watching.settle()
            redeemer.start_with(_codes(buyers))
            revoker.start_with(_refresh_tokens(house, leavers))
            for refresher, token in zip(refreshers, _refresh_tokens(house, regulars[:2]), strict=True):
                refresher.start_with(token)
            for granter, one in zip(granters, regulars[2:], strict=True):
                granter.start_with(one.id.replace("usr_", "mem_"))
            _kill_now_and_then(service, everybody)
            over.set()
            for client in everybody:
                client.join()
            for token in left[: revoker.revoked]:
                watching.lose(token, time.monotonic())
            watching.good = [one.token() for one in (*leavers[revoker.revoked :], *regulars)]
            watching.settle()
        service.kill()
        print({type(one).__name__: one.effects for one in everybody}, f"{redeemer.doubtful} codes in doubt")
        assert [one.wrong for one in everybody if one.wrong] == []
        _require_tokens(RelyingParty(node, "app_shop", secret), redeemer, refreshers)
        _require_grants(granters)
        _require_whole_trail()


def _secret(client_id: str) -> str:
    with database.writing():
        return client_secrets.add(clients.named(client_id), by=OPERATOR).secret


def _codes(people: list[Employee]) -> list[str]:
    with database.writing():
        return [codes.issue(one.authorization_id, "app_shop", CALLBACK, challenge(VERIFIER), None) for one in people]


def _refresh_tokens(house: House, people: list[Employee]) -> list[str]:
    with database.writing():
        return [refresh_tokens.begin(issuing.live(one.authorization_id), house.shop) for one in people]


def _kill_now_and_then(service: Service, everybody: list[Client]) -> None:
    chance = random.Random(service.port)
    for _ in range(KILLS):
        _await_effects(service, everybody, EFFECTS)
        os.kill(chance.choice(service.workers()), signal.SIGKILL)
    _await_effects(service, everybody, EFFECTS)


def _await_effects(service: Service, everybody: list[Client], more: int) -> None:
    before = sum(one.effects for one in everybody)
    service.until(lambda: sum(one.effects for one in everybody) >= before + more, within=downstream.PATIENCE)


def _require_tokens(shop: RelyingParty, redeemer: Redeemer, refreshers: Sequence[Client]) -> None:
    """Whatever was handed out last is good, and no code and no refresh token was answered by two families."""
    newest = [*redeemer.redeemed, *(one.token for one in refreshers if isinstance(one, Refresher))]
    for token in newest:
        assert shop.token(grant_type="refresh_token", refresh_token=token).status_code == 200
    families = select(func.count()).where(RefreshToken.parent_digest.is_(None)).group_by(RefreshToken.authorization_id)
    assert set(database.session().scalars(families)) == {1}


def _require_grants(granters: Sequence[Client]) -> None:
    """Each person holds what they were last told, by one grant; and the trail tells of every grant once."""
    told = Counter((entry.event, entry.subject) for entry in entries())
    for granter in granters:
        assert isinstance(granter, Granter)
        held = select(RoleGrant).where(RoleGrant.member_id == granter.member, RoleGrant.role_id == "role_analyst")
        rows = list(database.session().scalars(held))
        live = [row.id for row in rows if row.ended_at is None]
        assert live == ([granter.held] if granter.held else [])
        assert sorted(row.id for row in rows) == sorted({*granter.ended, *live})
        assert len(granter.ended) == len(set(granter.ended))
        for row in rows:
            assert told["grant.made", row.id] == 1
            assert told["grant.ended", row.id] == (row.id not in live)


def _require_whole_trail() -> None:
    sealed = 1
    while sealed:
        with database.writing():
            sealed = seal_batch()
    assert verify().finding is None
