"""RFC 7662, token introspection: one test a MUST, named by section."""

import pytest
from flask import Flask

from tests.oauth import minting
from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.holding import Held, ask, hold, said
from tests.oauth.test_introspection import INACTIVE, PAYMENTS, introspect


@pytest.fixture
def held(app: Flask) -> Held:
    minting.make_keys()
    return hold(relying_party(app))


@pytest.fixture
def payments(app: Flask) -> RelyingParty:
    return relying_party(app, "app_payments", serves=[PAYMENTS])


def test_rfc7662_2_1_the_endpoint_takes_post_and_nothing_else(app: Flask, held: Held) -> None:
    assert app.test_client().get("/oauth2/introspect").status_code == 405


def test_rfc7662_2_1_token_is_required(app: Flask, held: Held) -> None:
    assert ask(app, "/oauth2/introspect", held.client).status_code == 400


def test_rfc7662_2_1_callers_are_authorized(app: Flask, held: Held) -> None:
    assert introspect(app, None, held.access_token()).status_code == 401


def test_rfc7662_2_1_a_hint_that_is_wrong_or_unknown_changes_nothing(app: Flask, held: Held) -> None:
    for hint in ("refresh_token", "x"):
        assert said(introspect(app, held.client, held.access_token(), token_type_hint=hint))["active"] is True


def test_rfc7662_2_2_active_is_a_boolean_beside_the_claims_of_the_token(
    app: Flask, held: Held, payments: RelyingParty
) -> None:
    told = said(introspect(app, payments, held.access_token(aud=PAYMENTS)))
    assert told["active"] is True
    assert isinstance(told["exp"], int)
    assert isinstance(told["scope"], str)
    assert told["iss"] == "http://localhost:8000"


def test_rfc7662_2_2_of_an_inactive_token_nothing_more_is_said(app: Flask, held: Held) -> None:
    expired = held.access_token(exp=minting.seconds(-1))
    answer = introspect(app, held.client, expired)
    assert (answer.status_code, said(answer)) == (200, INACTIVE)


def test_rfc7662_2_2_a_protected_resource_that_may_not_know_is_told_inactive(
    app: Flask, held: Held, payments: RelyingParty
) -> None:
    assert said(introspect(app, payments, held.access_token(aud="https://stock.example.com"))) == INACTIVE


def test_rfc7662_2_3_wrong_credentials_are_answered_with_401(app: Flask, held: Held) -> None:
    answer = introspect(app, RelyingParty(app, held.client.id, "wrong"), held.access_token())
    assert (answer.status_code, said(answer)["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_rfc7662_4_expired_not_yet_valid_and_forged_tokens_are_inactive(app: Flask, held: Held) -> None:
    token = held.access_token()
    forged = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBA")
    for bad in (held.access_token(exp=minting.seconds()), held.access_token(nbf=minting.seconds(60)), forged):
        assert said(introspect(app, held.client, bad)) == INACTIVE
