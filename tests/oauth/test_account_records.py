"""What services learn of an account: where it is now, in which mode and standing, nothing without serving an API."""

import base64

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.organizations import accounts
from idp.platform import database
from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.holding import ask, said
from tests.organizations.actors import ACME, BOX, DE, OSLO
from tests.traces import OPERATOR


@pytest.fixture
def payments(acme: Flask) -> RelyingParty:
    return relying_party(acme, "app_payments", serves=["https://payments.example.com"])


def look(api: RelyingParty, account_id: str) -> TestResponse:
    """What the endpoint says to the client, whose credentials stand in the header."""
    credentials = base64.b64encode(f"{api.id}:{api.secret}".encode()).decode()
    return api.app.test_client().get(
        f"/oauth2/accounts/{account_id}", headers={"Authorization": f"Basic {credentials}"}
    )


def test_an_api_learns_where_an_account_is_and_in_which_mode(payments: RelyingParty) -> None:
    answer = look(payments, DE)
    assert said(answer) == {"account_id": DE, "org_id": ACME, "livemode": True, "status": "active"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert said(look(payments, BOX))["livemode"] is False
    assert said(look(payments, OSLO))["org_id"] == "org_birch"
    assert said(ask(payments.app, f"/oauth2/accounts/{DE}", payments))["status"] == "active"


def test_a_suspended_account_is_told_to_be_one_from_then_on(payments: RelyingParty) -> None:
    with database.writing():
        accounts.suspend(ACME, DE, by=OPERATOR)
    assert said(look(payments, DE))["status"] == "suspended"
    assert said(look(payments, BOX))["status"] == "active"


@pytest.mark.parametrize("name", ["acct_nothing", "de", ACME, "%00", "a" * 300, "%F0%9F%92%B6"])
def test_what_is_no_account_is_not_found(payments: RelyingParty, name: str) -> None:
    answer = look(payments, name)
    assert answer.status_code in (400, 404)
    assert answer.status_code == 404 or name == "%00"
    assert "org_id" not in answer.text


@pytest.mark.rule("CLI-03")
def test_only_apis_are_told(acme: Flask, payments: RelyingParty) -> None:
    answer = look(relying_party(acme, "app_shop"), DE)
    assert (answer.status_code, said(answer)["error"]) == (403, "access_denied")
    public = relying_party(acme, "app_public", public=True, serves=["https://payments.example.com"])
    for refused in (look(RelyingParty(acme, payments.id, "wrong"), DE), ask(acme, f"/oauth2/accounts/{DE}", public)):
        assert (refused.status_code, said(refused)["error"]) == (401, "invalid_client")
    assert acme.test_client().get(f"/oauth2/accounts/{DE}").status_code == 401
