"""RFC 9700 (best current practice) §4.14.2, refresh tokens, and OpenID Connect Core §12: one test a MUST."""

import pytest
from flask import Flask

from idp.platform import clock
from idp.platform.settings import settings
from tests.oauth.actors import RelyingParty, claims_of
from tests.oauth.decisions import Person, code_for, decide, redemption, shop, somebody


@pytest.fixture
def alice(app: Flask) -> Person:
    return somebody()


def tokens(client: RelyingParty, person: Person) -> dict[str, str]:
    answer = client.token(**redemption(code_for(decide(person, client.id), client.id)))
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def refreshed(client: RelyingParty, token: str) -> dict[str, str]:
    return dict(client.token(grant_type="refresh_token", refresh_token=token).get_json())


@pytest.mark.parametrize("public", [True, False], ids=["public", "confidential"])
def test_rfc9700_4_14_2_refresh_tokens_rotate(app: Flask, alice: Person, public: bool) -> None:
    client = shop(app, public=public)
    first = tokens(client, alice)["refresh_token"]
    assert refreshed(client, first)["refresh_token"] != first


def test_rfc9700_4_14_2_an_invalidated_token_revokes_the_active_one(app: Flask, alice: Person) -> None:
    client = shop(app, public=True)
    first = tokens(client, alice)["refresh_token"]
    third = refreshed(client, refreshed(client, first)["refresh_token"])["refresh_token"]
    assert refreshed(client, first)["error"] == "invalid_grant"
    assert refreshed(client, third)["error"] == "invalid_grant"


def test_oidc_core_12_2_a_refreshed_id_token_speaks_of_the_same_sign_in(app: Flask, alice: Person) -> None:
    client = shop(app)
    given = tokens(client, alice)
    before, after = claims_of(given["id_token"]), claims_of(refreshed(client, given["refresh_token"])["id_token"])
    assert {name: after[name] for name in ("iss", "sub", "aud", "auth_time", "acr", "amr", "sid")} == {
        name: before[name] for name in ("iss", "sub", "aud", "auth_time", "acr", "amr", "sid")
    }
    assert after["iss"] == settings().issuer
    assert after["iat"] * clock.SECOND > clock.now() - clock.MINUTE
    assert (before["nonce"], after.get("nonce")) == ("n-1", None)
