"""RFC 6749 at the token endpoint: one test a MUST, named by section."""

import json
import re

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.oauth.errors import InvalidRequest
from idp.oauth.views.phrase import phrase
from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.calls import posted
from tests.oauth.decisions import Person, code_for, decide, redemption, shop, somebody


@pytest.fixture
def alice(app: Flask) -> Person:
    return somebody()


@pytest.fixture
def client(app: Flask) -> RelyingParty:
    return shop(app)


@pytest.fixture
def code(alice: Person, client: RelyingParty) -> str:
    return code_for(decide(alice, client.id), client.id)


@pytest.fixture
def machine(app: Flask, alice: Person) -> RelyingParty:
    return relying_party(app, "robot", grant_types=["client_credentials"])


def error(answer: TestResponse) -> str:
    assert answer.status_code == 400, answer.text
    return str(answer.get_json()["error"])


def refresh(client: RelyingParty, token: str, **more: str) -> TestResponse:
    return client.token(grant_type="refresh_token", refresh_token=token, **more)


def test_rfc6749_3_2_requests_are_posted(app: Flask) -> None:
    answer = app.test_client().get("/oauth2/token", query_string={"grant_type": "client_credentials"})
    assert answer.status_code == 405


def test_rfc6749_3_2_a_parameter_without_a_value_was_not_sent(client: RelyingParty, code: str) -> None:
    assert error(client.token(grant_type="authorization_code", code="")) == "invalid_request"
    assert client.token(**redemption(code, scope="", resource="")).status_code == 200


def test_rfc6749_3_2_unknown_parameters_are_ignored(client: RelyingParty, code: str) -> None:
    assert client.token(**redemption(code, colour="green")).status_code == 200


def test_rfc6749_3_2_parameters_do_not_repeat(client: RelyingParty, code: str) -> None:
    form = {name: [value] for name, value in redemption(code).items()} | {"code": [code, code]}
    answer = client.app.test_client().post("/oauth2/token", data=form, auth=(client.id, client.secret))
    assert error(answer) == "invalid_request"


def test_rfc6749_3_2_1_confidential_clients_authenticate(client: RelyingParty, code: str) -> None:
    nameless = RelyingParty(client.app, client.id)
    assert nameless.token(**redemption(code)).status_code == 401


def test_rfc6749_4_1_2_a_code_is_not_used_twice(client: RelyingParty, code: str) -> None:
    assert client.token(**redemption(code)).status_code == 200
    assert error(client.token(**redemption(code))) == "invalid_grant"


def test_rfc6749_4_1_3_a_code_is_for_the_client_that_it_was_issued_to(client: RelyingParty, code: str) -> None:
    assert error(shop(client.app, "other").token(**redemption(code))) == "invalid_grant"


def test_rfc6749_4_1_3_a_public_client_says_who_it_is(app: Flask, alice: Person) -> None:
    public = shop(app, "public", public=True)
    code = code_for(decide(alice, public.id), public.id)
    answer = app.test_client().post("/oauth2/token", data=redemption(code))
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert public.token(**redemption(code)).status_code == 200


def test_rfc6749_4_1_3_the_redirect_uri_is_the_same(client: RelyingParty, code: str) -> None:
    elsewhere = redemption(code, redirect_uri="https://shop.example.com/other")
    assert error(client.token(**elsewhere)) == "invalid_grant"


def test_rfc6749_4_4_3_machines_get_no_refresh_token(machine: RelyingParty) -> None:
    answer = machine.token(grant_type="client_credentials")
    assert answer.status_code == 200, answer.text
    assert "refresh_token" not in answer.get_json()


def test_rfc6749_4_5_unknown_grant_types_are_unsupported(client: RelyingParty) -> None:
    assert error(client.token(grant_type="urn:example:unknown")) == "unsupported_grant_type"


def test_rfc6749_5_1_tokens_are_json_that_is_not_stored(client: RelyingParty, code: str) -> None:
    answer = client.token(**redemption(code))
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    assert answer.get_json()["token_type"] == "Bearer"
    assert answer.get_json()["expires_in"] == 300


def test_rfc6749_5_1_the_scope_is_told(client: RelyingParty, code: str) -> None:
    assert client.token(**redemption(code)).get_json()["scope"] == "openid offline_access"


def test_rfc6749_5_2_an_attempt_with_the_header_is_answered_with_a_challenge(client: RelyingParty) -> None:
    answer = RelyingParty(client.app, client.id, "wrong").token(grant_type="refresh_token")
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_rfc6749_5_2_a_client_uses_the_grants_that_it_is_registered_for(
    client: RelyingParty, machine: RelyingParty
) -> None:
    assert error(client.token(grant_type="client_credentials")) == "unauthorized_client"
    assert error(machine.token(grant_type="authorization_code", code="x")) == "unauthorized_client"


def test_rfc6749_5_2_descriptions_keep_to_the_signs_that_are_allowed(app: Flask) -> None:
    told = json.loads(phrase(InvalidRequest('name "\u00e9" or \\ \n'), posted()).body)
    assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", told["error_description"])


def test_rfc6749_6_a_refresh_token_is_bound_to_its_client(client: RelyingParty, code: str) -> None:
    token = client.token(**redemption(code)).get_json()["refresh_token"]
    assert error(refresh(shop(client.app, "other"), token)) == "invalid_grant"


def test_rfc6749_6_the_scope_does_not_grow(client: RelyingParty, code: str) -> None:
    token = client.token(**redemption(code)).get_json()["refresh_token"]
    assert error(refresh(client, token, scope="openid profile")) == "invalid_scope"


def test_rfc6749_6_without_a_scope_it_is_that_of_the_grant(client: RelyingParty, code: str) -> None:
    token = client.token(**redemption(code)).get_json()["refresh_token"]
    narrow = refresh(client, token, scope="openid").get_json()
    assert narrow["scope"] == "openid"
    assert refresh(client, narrow["refresh_token"]).get_json()["scope"] == "openid offline_access"
