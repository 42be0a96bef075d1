"""The payments API beside the provider of the demo: what its people may do where, and until when."""

import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from examples.payments.__main__ import verifier as made_verifier
from examples.payments.app import create_app
from idp.cli.apply import command, parsing
from idp.feed import follower
from idp.feed.follower import Follower
from idp.oauth import issuance
from idp.organizations import accounts, grants, memberships, organizations, teams
from idp.organizations.effective import Context
from idp.platform import clock, database, resources
from idp.sessions.proofs import Proof
from idp.users import users
from idp_verifier import Verifier
from tests.oauth import issuing
from tests.oauth.issuing import authorized, issuance_for, issuance_for_machine
from tests.traces import OPERATOR

EU, FR, US, SANDBOX = (f"acct_northwind_{key}" for key in ("eu", "fr", "us", "sandbox"))
FABRIKAM = "acct_fabrikam"
ALL = ""
"""Instead of an account: a token for the whole organization."""
AUDIENCE = "http://localhost:8002"

CALLS = ("GET /balance", "GET /payments", "POST /charges", "POST /refunds", "GET /payouts", "POST /payouts")
ANYTHING = set(CALLS)
LOOK = {"GET /balance", "GET /payments", "GET /payouts"}


@pytest.fixture
def northwind(listening: Flask, issuer: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The demo, with an application for its people: the id of Northwind."""
    command.run(parsing.read_file(resources.folder("config") / "demo.yaml"), by=OPERATOR)
    issuing.shop(first_party=True, resources=[AUDIENCE])
    monkeypatch.setenv("PAYMENTS_ISSUER", issuer)
    return organizations.find("northwind").id


@pytest.fixture
def verifier(listening: Flask, northwind: str) -> Iterator[Verifier]:
    """As the program makes it, following the feed."""
    following = Follower(listening)
    with listening.app_context():
        follower.appoint(following)
    following.start()
    with made_verifier() as verifier:
        until(verifier.poll)
        yield verifier
    following.stop()


@pytest.fixture
def api(verifier: Verifier) -> FlaskClient:
    return create_app(verifier).test_client()


def until(happens: Callable[[], bool], within: float = 10.0) -> None:
    began = time.monotonic()
    while not happens():
        assert time.monotonic() - began < within
        time.sleep(0.02)


def token(username: str, account: str = ALL, *, organization: str = "northwind", acr: str = "aal1") -> str:
    """An access token for somebody of the demo, who has just proven as much as `acr` says."""
    shop, person = issuing.client("app_shop"), users.by_username(username)
    assert person is not None
    context = Context(organizations.find(organization).id, account)
    proofs = tuple(Proof(method, clock.now()) for method in {"aal1": ["password"], "aal2": ["password", "totp"]}[acr])
    decided = authorized(shop, person.id, context, scope="payments", resources=(AUDIENCE,), acr=acr, proofs=proofs)
    return str(issuance.issue(issuance_for(shop, decided))["access_token"])


def call(api: FlaskClient, token: str, what: str, account: str = "") -> TestResponse:
    """What is answered to a call that means nothing: 400 where it is allowed and has a body."""
    method, path = what.split()
    headers = {"Authorization": f"Bearer {token}"} | ({"Canopy-Account": account} if account else {})
    return api.open(path, method=method, headers=headers, json={} if method == "POST" else None)


def allowed(api: FlaskClient, token: str, account: str = "") -> set[str]:
    """The calls that are allowed with the token."""
    answers = {what: call(api, token, what, account).status_code for what in CALLS}
    assert set(answers.values()) <= {200, 400, 401, 403}
    return {what for what, status in answers.items() if status in (200, 400)}


def test_people_may_do_what_their_roles_allow_where_they_hold_them(api: FlaskClient) -> None:
    desk = {*LOOK, "POST /refunds"}
    assert allowed(api, token("olivia", EU, acr="aal2")) == ANYTHING
    assert allowed(api, token("otto", SANDBOX, acr="aal2")) == ANYTHING
    assert allowed(api, token("bob", EU)) == allowed(api, token("bob", FR)) == desk
    assert allowed(api, token("bob", US)) == LOOK
    assert allowed(api, token("dana", EU, acr="aal2")) == allowed(api, token("dana", SANDBOX, acr="aal2")) == ANYTHING
    assert allowed(api, token("dana", US, acr="aal2")) == set()
    assert allowed(api, token("frank", US)) == LOOK
    assert allowed(api, token("frank", FABRIKAM, organization="fabrikam", acr="aal2")) == ANYTHING


def test_without_a_second_factor_all_but_payouts(api: FlaskClient) -> None:
    olivia = token("olivia", EU)
    assert allowed(api, olivia) == ANYTHING - {"POST /payouts"}
    answer = call(api, olivia, "POST /payouts")
    assert (answer.status_code, answer.get_json()["error"]) == (401, "insufficient_user_authentication")
    assert answer.headers["WWW-Authenticate"].endswith('acr_values="aal2", max_age="300"')


@pytest.mark.rule("ORG-05")
def test_a_token_for_an_organization_works_in_its_live_accounts_alone(api: FlaskClient) -> None:
    bob = token("bob")
    assert [allowed(api, bob, account) for account in (EU, FR, US)] == [LOOK] * 3
    assert [allowed(api, bob, account) for account in (SANDBOX, FABRIKAM, "acct_none")] == [set[str]()] * 3


def test_the_machine_of_the_demo_looks_everywhere_and_writes_in_the_sandbox(api: FlaskClient, northwind: str) -> None:
    machine = issuing.client("app_nightly-reports")
    whole = str(issuance.issue(issuance_for_machine(machine))["access_token"])
    assert allowed(api, whole, EU) == LOOK
    sandbox = issuance.issue(issuance_for_machine(machine, Context(northwind, SANDBOX)))["access_token"]
    assert allowed(api, str(sandbox)) == ANYTHING - {"POST /payouts"}


@pytest.mark.rule("ORG-06")
def test_a_role_that_is_taken_away_is_refused_and_the_next_token_lacks_it(api: FlaskClient, northwind: str) -> None:
    bob = token("bob", EU)
    assert "POST /refunds" in allowed(api, bob)
    lead = [one for one in grants.of_grantee(northwind, teams.find(northwind, "finance").id) if one.account_group_id]
    with database.writing():
        grants.end(northwind, lead[0].id, by=OPERATOR)
    until(lambda: call(api, bob, "POST /refunds").status_code == 401)
    assert call(api, bob, "GET /balance").get_json() == {
        "error": "invalid_token",
        "error_description": "superseded",
    }
    after = token("bob", EU)
    assert call(api, after, "POST /refunds").get_json()["permission"] == "refunds.write"
    assert allowed(api, after) == LOOK


def test_a_suspended_account_is_closed_to_tokens_for_the_organization(api: FlaskClient, northwind: str) -> None:
    otto = token("otto")
    assert allowed(api, otto, US) == ANYTHING - {"POST /payouts"}
    with database.writing():
        accounts.suspend(northwind, US, by=OPERATOR)
    until(lambda: call(api, otto, "GET /balance", US).status_code != 200)
    assert allowed(api, token("otto"), US) == set()
    assert "GET /balance" in allowed(api, token("otto"), EU)


def test_who_is_suspended_is_out_everywhere(api: FlaskClient, northwind: str) -> None:
    dana = token("dana", SANDBOX)
    member = memberships.of_user(northwind, users.named("dana").id)
    with database.writing():
        memberships.suspend(northwind, member.id, by=OPERATOR)
    until(lambda: call(api, dana, "GET /balance").status_code == 401)
