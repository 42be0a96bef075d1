"""What the specifications demand of clients that authenticate: one test a MUST, at the token endpoint."""

from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from idp.clients import clients, secrets
from idp.clients.clients import ClientSettings
from idp.clients.metadata import Json
from idp.oauth.client_assertions import TYPE
from idp.platform import database
from tests.oauth import minting
from tests.oauth.calls import basic
from tests.oauth.test_client_assertions import ISSUER, claims, public, seconds, signed
from tests.traces import OPERATOR

MACHINE: dict[str, Json] = {"grant_types": ["client_credentials"], "response_types": []}


@pytest.fixture(autouse=True)
def keys(app: Flask) -> None:
    minting.make_keys()


@pytest.fixture
def app_with_secret(app: Flask) -> str:
    """The secret of the machine `shop`."""
    with database.writing():
        return secrets.add(clients.create(ClientSettings(MACHINE), by=OPERATOR, id="shop"), by=OPERATOR).secret


@pytest.fixture
def app_with_keys(app: Flask) -> None:
    """The machine `shop` signs with `ES256`."""
    method: dict[str, Json] = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [public()]}}
    with database.writing():
        clients.create(ClientSettings({**MACHINE, **method}), by=OPERATOR, id="shop")


def ask(app: Flask, authorization: str = "", **form: str) -> TestResponse:
    headers = {"Authorization": authorization} if authorization else {}
    return app.test_client().post("/oauth2/token", data={"grant_type": "client_credentials", **form}, headers=headers)


def assert_by(app: Flask, assertion: str, **form: str) -> TestResponse:
    return ask(app, client_assertion=assertion, client_assertion_type=TYPE, **form)


def is_refused(answer: TestResponse, error: str = "invalid_client") -> None:
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    assert answer.get_json()["error"] == error
    assert answer.headers["Cache-Control"] == "no-store"


# RFC 6749


def test_rfc6749_2_3_not_more_than_one_method_in_a_request(app: Flask, app_with_secret: str) -> None:
    is_refused(ask(app, basic("shop", app_with_secret), client_secret=app_with_secret), "invalid_request")


def test_rfc6749_2_3_1_http_basic_is_supported(app: Flask, app_with_secret: str) -> None:
    assert ask(app, basic("shop", app_with_secret)).status_code == 200
    assert ask(app, basic("shop", app_with_secret).replace("Basic", "bAsIc")).status_code == 200


def test_rfc6749_2_3_1_credentials_are_not_taken_from_the_address(app: Flask, app_with_secret: str) -> None:
    path = f"/oauth2/token?client_id=shop&client_secret={app_with_secret}"
    is_refused(app.test_client().post(path, data={"grant_type": "client_credentials"}), "invalid_request")


def test_rfc6749_3_2_1_a_confidential_client_authenticates(app: Flask, app_with_secret: str) -> None:
    is_refused(ask(app, client_id="shop"))
    is_refused(ask(app))


def test_rfc6749_5_2_the_scheme_that_was_tried_is_named_in_the_challenge(app: Flask, app_with_secret: str) -> None:
    answer = ask(app, basic("shop", "wrong"))
    is_refused(answer)
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


# RFC 7521 and RFC 7523


def test_rfc7521_4_2_type_and_assertion_are_both_required(app: Flask, app_with_keys: None) -> None:
    is_refused(ask(app, client_assertion=signed()), "invalid_request")
    is_refused(ask(app, client_id="shop", client_assertion_type=TYPE), "invalid_request")


def test_rfc7521_4_2_client_id_is_unnecessary_and_names_the_same_client(app: Flask, app_with_keys: None) -> None:
    assert assert_by(app, signed()).status_code == 200
    assert assert_by(app, signed(), client_id="shop").status_code == 200
    is_refused(assert_by(app, signed(), client_id="other"), "invalid_request")


def test_rfc7521_4_2_no_other_method_beside_an_assertion(app: Flask, app_with_keys: None) -> None:
    is_refused(assert_by(app, signed(), client_secret="x"), "invalid_request")


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp"])
def test_rfc7523_3_iss_sub_aud_and_exp_are_required(app: Flask, app_with_keys: None, name: str) -> None:
    is_refused(assert_by(app, signed(claims(**{name: None}))))


def test_rfc7523_3_sub_is_the_client_id(app: Flask, app_with_keys: None) -> None:
    is_refused(assert_by(app, signed(claims(sub="other"))))


@pytest.mark.parametrize("audience", [ISSUER, f"{ISSUER}/oauth2/token"])
def test_rfc7523_3_the_audience_is_the_authorization_server(app: Flask, app_with_keys: None, audience: str) -> None:
    assert assert_by(app, signed(claims(aud=audience))).status_code == 200
    is_refused(assert_by(app, signed(claims(aud=f"https://elsewhere.example.com{audience[len(ISSUER) :]}"))))


@pytest.mark.parametrize("other", [{"exp": -1}, {"nbf": 60}])
def test_rfc7523_3_expired_and_not_yet_valid_assertions_are_rejected(
    app: Flask, app_with_keys: None, other: dict[str, int]
) -> None:
    is_refused(assert_by(app, signed(claims(**{name: seconds(after) for name, after in other.items()}))))


def test_rfc7523_3_the_signature_is_validated(app: Flask, app_with_keys: None) -> None:
    is_refused(assert_by(app, signed(key=ECKey.generate_key("P-256"))))


# OpenID Connect Core


def test_oidc_core_9_an_assertion_has_an_identifier_that_serves_once(app: Flask, app_with_keys: None) -> None:
    is_refused(assert_by(app, signed(claims(jti=None))))
    once: Any = signed()
    assert assert_by(app, once).status_code == 200
    is_refused(assert_by(app, once))


def test_oidc_core_9_an_assertion_stays_spent_though_the_grant_was_refused(app: Flask, app_with_keys: None) -> None:
    once = signed()
    is_refused(assert_by(app, once, resource="https://unknown.example.com"), "invalid_target")
    is_refused(assert_by(app, once))
