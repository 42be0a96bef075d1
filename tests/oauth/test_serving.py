"""The endpoints that are for services: who is let in, and that what a request says twice has to agree."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.clients import clients
from idp.clients.clients import ClientSettings
from idp.clients.metadata import InvalidMetadata
from idp.feed import follower
from idp.feed.follower import Follower
from idp.oauth.errors import InvalidRequest
from idp.oauth.views.authentication import authenticate_server
from idp.platform import database
from tests import clocks
from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.calls import basic, posted
from tests.oauth.holding import said
from tests.oauth.test_evaluation import PAYMENTS, question
from tests.organizations.actors import ACME, BIRCH, DE, ROBOT, US, VERA
from tests.traces import OPERATOR

ASKED = question(VERA.id, "view_only", DE, is_role=True)
ENDPOINTS: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/oauth2/changes", None),
    ("GET", f"/oauth2/accounts/{DE}", None),
    ("POST", "/access/v1/evaluation", ASKED),
    ("POST", "/access/v1/evaluations", {"evaluations": [ASKED]}),
)

every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=[path for _, path, _ in ENDPOINTS])


@pytest.fixture
def payments(acme: Flask, monkeypatch: pytest.MonkeyPatch) -> RelyingParty:
    """A service that serves an API, beside a provider that follows its feed and has just read it."""
    clocks.stopped(monkeypatch)
    following = Follower(acme)
    while following.read():
        pass
    follower.appoint(following)
    return relying_party(acme, "app_payments", serves=[PAYMENTS])


def ask(app: Flask, endpoint: tuple[str, str, Any], authorization: str = "", query: str = "") -> TestResponse:
    method, path, body = endpoint
    headers = {"Authorization": authorization} if authorization else {}
    return app.test_client().open(path + query, method=method, json=body, headers=headers)


@every_endpoint
def test_a_service_is_let_in(payments: RelyingParty, endpoint: tuple[str, str, Any]) -> None:
    assert ask(payments.app, endpoint, basic(payments.id, payments.secret)).status_code == 200


@pytest.mark.rule("CLI-01")
@every_endpoint
def test_wrong_unknown_and_disabled_services_are_told_the_same(
    payments: RelyingParty, endpoint: tuple[str, str, Any]
) -> None:
    app = payments.app
    answers = [ask(app, endpoint, basic(*pair)) for pair in ((payments.id, "wrong"), ("nobody", payments.secret))]
    with database.writing():
        clients.disable(clients.named(payments.id), by=OPERATOR)
    answers.append(ask(app, endpoint, basic(payments.id, payments.secret)))
    for answer in answers:
        assert (answer.status_code, answer.data) == (401, answers[0].data)
        assert said(answer)["error"] == "invalid_client"
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.rule("CLI-02")
def test_a_service_that_shows_two_ways_or_names_is_refused(payments: RelyingParty) -> None:
    header = basic(payments.id, payments.secret)
    for form in ({"client_secret": payments.secret}, {"client_id": "app_other"}):
        with pytest.raises(InvalidRequest):
            authenticate_server(posted(form, path="/oauth2/changes", authorization=header))


@pytest.mark.rule("CLI-03")
@every_endpoint
def test_a_service_uses_the_registered_method_alone(payments: RelyingParty, endpoint: tuple[str, str, Any]) -> None:
    public = relying_party(payments.app, "app_public", public=True, serves=[PAYMENTS])
    signing = relying_party(
        payments.app,
        "app_signing",
        serves=[PAYMENTS],
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri="https://payments.example.com/jwks",
    )
    for asker in (public, signing):
        assert ask(payments.app, endpoint, basic(asker.id, payments.secret)).status_code == 401
    assert ask(payments.app, endpoint, "", f"?client_id={public.id}").status_code in (400, 401)


@pytest.mark.rule("CLI-04")
@every_endpoint
def test_malformed_credentials_are_wrong_ones(payments: RelyingParty, endpoint: tuple[str, str, Any]) -> None:
    for credentials in ("Basic", "Basic !", "Basic eA==", "Basic /////w==", "Basic JTowJTo=", f"Basic {'QQ' * 4_000}"):
        assert ask(payments.app, endpoint, credentials).status_code in (400, 401)


@every_endpoint
def test_a_client_that_serves_nothing_is_turned_away(payments: RelyingParty, endpoint: tuple[str, str, Any]) -> None:
    shop = relying_party(payments.app, "app_shop")
    answer = ask(payments.app, endpoint, basic(shop.id, shop.secret))
    assert (answer.status_code, said(answer)["error"]) == (403, "access_denied")


def test_what_a_client_serves_is_the_operators_word(payments: RelyingParty) -> None:
    wanted = ClientSettings({"grant_types": ["client_credentials"], "serves": [PAYMENTS]})
    with pytest.raises(InvalidMetadata), database.writing():
        clients.create(wanted, owner=ACME, by=OPERATOR)
    with pytest.raises(InvalidMetadata), database.writing():
        clients.reconfigure(clients.named(ROBOT), wanted, by=OPERATOR)


@pytest.mark.rule("ORG-02")
@pytest.mark.parametrize(
    ("resource", "answered"),
    [
        ({"type": "account", "id": DE, "properties": {"org_id": BIRCH}}, (200, False)),
        ({"type": "account", "id": US, "properties": {"org_id": ACME}}, (200, True)),
        ({"type": "organization", "id": ACME, "properties": {"org_id": BIRCH}}, (400, None)),
        ({"type": "organization", "id": ACME, "properties": {"org_id": ACME}}, (200, True)),
    ],
)
def test_a_question_that_names_two_organizations_is_not_answered_with_yes(
    payments: RelyingParty, resource: dict[str, Any], answered: tuple[int, bool | None]
) -> None:
    asked = {**ASKED, "resource": resource}
    answer = ask(payments.app, ("POST", "/access/v1/evaluation", asked), basic(payments.id, payments.secret))
    assert (answer.status_code, said(answer).get("decision")) == answered


@pytest.mark.rule("ORG-02")
def test_what_is_not_in_the_path_names_no_account(payments: RelyingParty) -> None:
    header = basic(payments.id, payments.secret)
    answer = ask(payments.app, ("GET", f"/oauth2/accounts/{DE}", None), header, f"?account_id={US}&id={US}")
    assert said(answer)["account_id"] == DE
