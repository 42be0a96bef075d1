"""Our verifier in a service that stands beside a provider which really listens: whose call is refused, and when."""

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest
import time_machine
from flask import Flask

from idp.feed import follower, losses
from idp.feed.follower import Follower
from idp.keys import material, rotation
from idp.keys.material import SLOTS
from idp.oauth import issuance
from idp.organizations import accounts, grants, memberships, organizations, scopes
from idp.organizations.effective import Context
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.platform import clock, database
from idp.sessions import people
from idp_verifier import Clocks, Forbidden, InvalidToken, Superseded, Verifier, provider
from idp_verifier import follower as following
from idp_verifier.introspection import Introspection
from tests.login.conftest import made
from tests.oauth import issuing
from tests.oauth.actors import relying_party
from tests.oauth.issuing import PAYMENTS, PERMISSIONS, api, authorized, issuance_for
from tests.organizations.actors import ACME, DE, OSLO, account
from tests.traces import OPERATOR


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider and its verifier share a machine that may be busy elsewhere."""
    monkeypatch.setattr(provider, "TIMEOUT", 20.0)


@pytest.fixture
def grant(listening: Flask) -> str:
    """Acme, in which Vera is a developer: the id of that grant."""
    owner, vera = made("olga", password=False), made("vera", password=False, id="usr_vera")
    api(PAYMENTS, "payments", permissions=PERMISSIONS)
    with database.writing():
        organizations.found(OrganizationSettings("acme", "Acme"), owner, id=ACME, by=OPERATOR)
        accounts.open_account(ACME, account("de"), by=OPERATOR)
        memberships.add(ACME, NewMember(vera, id="mem_vera"), by=OPERATOR)
        wanted = Wanted(Grantee("member", "mem_vera"), "developer", scopes.named(ACME))
        return grants.grant(wanted, by=OPERATOR).id


@pytest.fixture
def renew(grant: str) -> Callable[[], str]:
    """Issues a token of Vera's for all of Acme, as of now."""
    shop = issuing.shop(first_party=True, resources=[PAYMENTS])
    decided = authorized(shop, "usr_vera", Context(ACME), scope="payments", resources=(PAYMENTS,))
    return lambda: str(issuance.issue(issuance_for(shop, issuing.live(decided.id)))["access_token"])


@pytest.fixture
def token(renew: Callable[[], str]) -> str:
    """One that she has had for a while."""
    return renew()


@pytest.fixture
def verifier(listening: Flask, issuer: str, grant: str) -> Iterator[Verifier]:
    """The service's, which follows the feed."""
    service = relying_party(listening, serves=[PAYMENTS])
    reading = Follower(listening)
    with listening.app_context():
        follower.appoint(reading)
    reading.start()
    with Verifier(issuer, PAYMENTS, client_id=service.id, client_secret=service.secret) as verifier:
        until(verifier.poll)
        yield verifier
    reading.stop()


def until(happens: Callable[[], bool], within: float = 30.0) -> float:
    """Seconds until that happens."""
    began = time.monotonic()
    while not happens():
        assert time.monotonic() - began < within
        time.sleep(0.02)
    return time.monotonic() - began


def is_superseded(verifier: Verifier, token: str) -> bool:
    try:
        verifier.verify(token)
    except Superseded:
        return True
    return False


@pytest.mark.rule("ORG-06")
def test_a_role_that_is_taken_away_is_refused_without_asking(verifier: Verifier, token: str, grant: str) -> None:
    principal = verifier.verify(token)
    principal.require("payments.read", scope="payments")
    assert not principal.may("refunds.write")
    with database.writing():
        grants.end(ACME, grant, by=OPERATOR)
    until(lambda: is_superseded(verifier, token))


@pytest.mark.rule("ORG-10")
def test_what_a_suspended_organization_let_anybody_do_is_refused(verifier: Verifier, token: str) -> None:
    own = issuing.shop("app_own", owner=ACME, resources=[PAYMENTS])
    decided = authorized(own, "usr_vera", scope="payments", resources=(PAYMENTS,))
    without = str(issuance.issue(issuance_for(own, decided))["access_token"])
    assert [verifier.verify(one).organization_id for one in (token, without)] == [ACME, ""]
    with database.writing():
        organizations.suspend(ACME, by=OPERATOR)
    until(lambda: all(is_superseded(verifier, one) for one in (token, without)))


@pytest.mark.rule("ORG-05")
def test_a_token_for_one_organization_opens_no_account_of_another(verifier: Verifier, token: str) -> None:
    with database.writing():
        organizations.found(OrganizationSettings("birch", "Birch"), "usr_vera", id="org_birch", by=OPERATOR)
        accounts.open_account("org_birch", account("oslo"), by=OPERATOR)
    principal = verifier.verify(token)
    assert principal.may("payments.read", account=DE)
    assert not principal.may("payments.read", account=OSLO)


@pytest.mark.rule("JWT-08")
def test_what_a_withdrawn_key_signed_is_refused_and_its_successors_tokens_are_not(
    verifier: Verifier, token: str, renew: Callable[[], str]
) -> None:
    verifier.verify(token)
    replacements = material.generate(SLOTS)
    with database.writing():
        rotation.withdraw(rotation.in_use(), replacements, by=OPERATOR)
    until(lambda: is_superseded(verifier, token))
    verifier.verify(renew())


def test_cut_off_from_the_feed_for_an_hour_it_asks_and_afterwards_has_missed_nothing(
    issuer: str, listening: Flask, grant: str, renew: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, reading, service = Later(), Follower(listening), relying_party(listening, serves=[PAYMENTS])
    follower.appoint(reading)
    monkeypatch.setattr(clock, "monotonic", now.monotonic)
    monkeypatch.setattr(following.Follower, "start", lambda _: None)
    cut_off = Verifier(
        issuer, PAYMENTS, client_id=service.id, client_secret=service.secret, clocks=Clocks(now.monotonic)
    )
    old = renew()
    _catch_up(reading, cut_off)
    cut_off.verify(old)
    with now.moved_to(minutes=10), database.writing():
        losses.record("session", sid="of somebody")
    _read(reading)
    with now.moved_to(minutes=59):
        lost = renew()
        with database.writing():
            grants.end(ACME, grant, by=OPERATOR)
            grants.grant(Wanted(Grantee("member", "mem_vera"), "view_only", scopes.named(ACME)), by=OPERATOR)
        good = renew()
        _read(reading)
    with now.moved_to(minutes=60):
        assert cut_off.verify(good).roles == {"view_only"}
        for one in (old, lost):
            with pytest.raises(InvalidToken):
                cut_off.verify(one)
        _catch_up(reading, cut_off)
        monkeypatch.setattr(Introspection, "is_active", None)
        cut_off.verify(good)
        with pytest.raises(Superseded):
            cut_off.verify(lost)
        with pytest.raises(InvalidToken, match="expired"):
            cut_off.verify(old)
    cut_off.close()


class Later:
    """The clocks of everybody, moved ahead together."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._began = time.time()

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    @contextlib.contextmanager
    def moved_to(self, *, minutes: int) -> Iterator[None]:
        """That long after the beginning; durations go on from there."""
        self._ahead = minutes * 60.0
        with time_machine.travel(self._began + self._ahead):
            yield


def _read(reading: Follower) -> None:
    while reading.read():
        database.session().rollback()


def _catch_up(reading: Follower, verifier: Verifier) -> None:
    """Let the provider read its feed, and the service what the provider knows."""

    def both() -> bool:
        _read(reading)
        return verifier.poll()

    until(both)


def test_accounts_are_looked_up_and_forgotten_when_they_change(verifier: Verifier, token: str) -> None:
    principal = verifier.verify(token)
    principal.require("payments.read", account=DE)
    with pytest.raises(Forbidden):
        principal.require("payments.read", account="acct_none")
    with database.writing():
        accounts.suspend(ACME, DE, by=OPERATOR)
    until(lambda: not principal.may("payments.read", account=DE))


def test_before_it_follows_it_asks(issuer: str, listening: Flask, token: str) -> None:
    service = relying_party(listening, serves=[PAYMENTS])
    verifier = Verifier(issuer, PAYMENTS, client_id=service.id, client_secret=service.secret)
    try:
        assert not verifier.poll(), "nothing follows the feed in this process of the provider"
        assert verifier.verify(token).roles == {"developer"}
        with database.writing():
            people.end_all_of("usr_vera", because="signed_out", by=OPERATOR)
        other = Verifier(issuer, PAYMENTS, client_id=service.id, client_secret=service.secret)
        with pytest.raises(InvalidToken):
            other.verify(token)
        other.close()
    finally:
        verifier.close()
