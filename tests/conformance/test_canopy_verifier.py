"""Our verifier in a service that stands beside a provider which really listens: whose call is refused, and when."""

import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from idp.feed import follower
from idp.feed.follower import Follower
from idp.oauth import issuance
from idp.organizations import accounts, grants, memberships, organizations, scopes
from idp.organizations.effective import Context
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.platform import database
from idp.sessions import people
from idp_verifier import Forbidden, InvalidToken, Superseded, Verifier
from tests.login.conftest import made
from tests.oauth import issuing
from tests.oauth.actors import relying_party
from tests.oauth.issuing import PAYMENTS, PERMISSIONS, api, authorized, issuance_for
from tests.organizations.actors import ACME, DE, account
from tests.traces import OPERATOR


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
def token(grant: str) -> str:
    """Vera's, for all of Acme."""
    shop = issuing.shop(first_party=True, resources=[PAYMENTS])
    decided = authorized(shop, "usr_vera", Context(ACME), scope="payments", resources=(PAYMENTS,))
    return str(issuance.issue(issuance_for(shop, decided))["access_token"])


@pytest.fixture
def verifier(listening: Flask, issuer: str, grant: str) -> Iterator[Verifier]:
    """The service's, which follows the feed."""
    service = relying_party(listening, serves=[PAYMENTS])
    following = Follower(listening)
    with listening.app_context():
        follower.appoint(following)
    following.start()
    with Verifier(issuer, PAYMENTS, client_id=service.id, client_secret=service.secret) as verifier:
        until(verifier.poll)
        yield verifier
    following.stop()


def until(happens: Callable[[], bool], within: float = 5.0) -> float:
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


def test_a_role_that_is_taken_away_is_refused_without_asking(verifier: Verifier, token: str, grant: str) -> None:
    principal = verifier.verify(token)
    principal.require("payments.read", scope="payments")
    assert not principal.may("refunds.write")
    with database.writing():
        grants.end(ACME, grant, by=OPERATOR)
    assert until(lambda: is_superseded(verifier, token)) < 2


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
