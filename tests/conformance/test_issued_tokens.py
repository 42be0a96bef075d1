"""What issued tokens say (RFC 9068 §2 and §3, RFC 8707 §2, OpenID Connect Core §2, §3.1.3, §5, §8): one test a MUST."""

import base64
import hashlib
import json
from typing import Any

import pytest
import time_machine
from flask import Flask

from idp.clients import apis
from idp.clients.apis import ApiSettings, ScopeSettings
from idp.oauth import subjects
from idp.oauth.claims import Wishes
from idp.oauth.claims_request import ClaimsRequest
from idp.platform import clock, database
from idp.platform.settings import settings
from tests.oauth.actors import RelyingParty, claims_of, relying_party
from tests.oauth.decisions import Person, code_for, decide, redemption, shop, somebody
from tests.oauth.issuing import client
from tests.traces import OPERATOR

PAYMENTS, LEDGER = "https://payments.example.com", "https://ledger.example.com"


@pytest.fixture
def alice(app: Flask) -> Person:
    with database.writing():
        for audience, scope in ((PAYMENTS, "payments"), (LEDGER, "book")):
            apis.declare(ApiSettings(audience, "An API", (ScopeSettings(scope),)), by=OPERATOR)
    return somebody()


def tokens(
    party: RelyingParty, person: Person, *, nonce: str = "n-1", resource: str = "", **decided: Any
) -> dict[str, Any]:
    """What the token endpoint answers to a code for that decision."""
    code = code_for(decide(person, party.id, **decided), party.id, nonce=nonce)
    answer = party.token(**redemption(code, resource=resource or None))
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def header_of(token: str) -> dict[str, Any]:
    header = token.partition(".")[0]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    return said


# RFC 9068


def test_rfc9068_2_1_access_tokens_are_signed_and_typed(app: Flask, alice: Person) -> None:
    header = header_of(tokens(shop(app), alice)["access_token"])
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")


def test_rfc9068_2_2_the_required_claims_are_there(app: Flask, alice: Person) -> None:
    said = claims_of(tokens(shop(app), alice)["access_token"])
    assert said.keys() >= {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"}
    assert (said["iss"], said["sub"], said["client_id"]) == (settings().issuer, alice.id, "shop")
    assert said["iat"] < said["exp"]


def test_rfc9068_2_2_sub_is_the_client_where_nobody_is_involved(app: Flask, alice: Person) -> None:
    machine = relying_party(app, "robot", grant_types=["client_credentials"])
    said = claims_of(machine.token(grant_type="client_credentials").get_json()["access_token"])
    assert said["sub"] == said["client_id"] == "robot"


def test_rfc9068_2_2_1_authentication_is_that_of_the_authorization_after_a_refresh_too(
    app: Flask, alice: Person
) -> None:
    party = shop(app)
    first = tokens(party, alice)
    with time_machine.travel(clock.now() / clock.SECOND + 120, tick=False):
        second = party.token(grant_type="refresh_token", refresh_token=first["refresh_token"]).get_json()
    before, after = claims_of(first["access_token"]), claims_of(second["access_token"])
    for name in ("auth_time", "acr", "amr"):
        assert before[name] == after[name]
    assert after["iat"] > before["iat"]


def test_rfc9068_2_2_3_the_scope_is_that_of_this_token(app: Flask, alice: Person) -> None:
    party = shop(app)
    answer = tokens(party, alice, scope=("openid", "email", "offline_access"))
    said = claims_of(answer["access_token"])
    assert said["scope"] == answer["scope"] == "openid email offline_access"
    narrower = party.token(grant_type="refresh_token", refresh_token=answer["refresh_token"], scope="email").get_json()
    assert claims_of(narrower["access_token"])["scope"] == narrower["scope"] == "email"


def test_rfc9068_3_the_audience_is_the_resource_or_a_default(app: Flask, alice: Person) -> None:
    party = shop(app, resources=[PAYMENTS, LEDGER])
    for resources, asked, audience in (
        ((), "", settings().issuer),
        ((PAYMENTS,), "", PAYMENTS),
        ((PAYMENTS, LEDGER), LEDGER, LEDGER),
    ):
        answer = tokens(party, alice, resource=asked, resources=resources, scope=("email",))
        assert claims_of(answer["access_token"])["aud"] == audience


def test_rfc9068_3_scopes_are_those_of_the_audience(app: Flask, alice: Person) -> None:
    party = shop(app, resources=[PAYMENTS, LEDGER])
    answer = tokens(party, alice, resource=PAYMENTS, resources=(PAYMENTS, LEDGER), scope=("openid", "payments", "book"))
    assert claims_of(answer["access_token"])["scope"] == answer["scope"] == "openid payments"


# RFC 8707


@pytest.mark.parametrize("resource", ["https://other.example.com", LEDGER, f"{PAYMENTS}/", "payments"])
def test_rfc8707_2_2_a_resource_that_was_not_granted_is_an_invalid_target(
    app: Flask, alice: Person, resource: str
) -> None:
    party = shop(app, resources=[PAYMENTS, LEDGER])
    code = code_for(decide(alice, party.id, resources=(PAYMENTS,)), party.id)
    answer = party.token(**redemption(code, resource=resource))
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_target")


# OpenID Connect Core


def test_oidc_core_2_the_required_claims_of_an_id_token_are_there(app: Flask, alice: Person) -> None:
    said = claims_of(tokens(shop(app), alice)["id_token"])
    assert (said["iss"], said["sub"], said["aud"]) == (settings().issuer, alice.id, "shop")
    assert said["iat"] < said["exp"]
    assert len(said["sub"]) <= 255
    assert said["auth_time"] <= said["iat"]


def test_oidc_core_2_the_nonce_is_passed_through_unmodified(app: Flask, alice: Person) -> None:
    party = shop(app)
    for nonce in ("n-1", " %20+/é", "x" * 500):
        assert claims_of(tokens(party, alice, nonce=nonce)["id_token"])["nonce"] == nonce
    assert "nonce" not in claims_of(tokens(party, alice, nonce="")["id_token"])


def test_oidc_core_2_id_tokens_name_no_keys_and_have_a_signature(app: Flask, alice: Person) -> None:
    token = tokens(shop(app), alice)["id_token"]
    assert header_of(token).keys() == {"typ", "alg", "kid"}
    assert header_of(token)["alg"] == "ES256"
    assert len(token.split(".")) == 3
    assert token.split(".")[2]


def test_oidc_core_3_1_3_6_at_hash_is_the_left_half_of_the_digest(app: Flask, alice: Person) -> None:
    answer = tokens(shop(app), alice)
    left = hashlib.sha256(answer["access_token"].encode()).digest()[:16]
    assert claims_of(answer["id_token"])["at_hash"] == base64.urlsafe_b64encode(left).decode().rstrip("=")


def test_oidc_core_5_4_claims_of_scopes_stand_at_userinfo_where_there_is_an_access_token(
    app: Flask, alice: Person
) -> None:
    answer = tokens(shop(app), alice, scope=("openid", "profile"))
    assert "preferred_username" not in claims_of(answer["id_token"])
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    told = app.test_client().get("/oauth2/userinfo", headers=bearer).get_json()
    assert told["preferred_username"] == "alice"


def test_oidc_core_5_5_unknown_claims_and_unmet_wishes_cause_no_error(app: Flask, alice: Person) -> None:
    asked = ClaimsRequest(id_token={"website": {"essential": True}, "shoe_size": {"values": [43]}})
    said = claims_of(tokens(shop(app), alice, claims_json=Wishes(asked).dump())["id_token"])
    assert not said.keys() & {"website", "shoe_size"}


def test_oidc_core_8_1_a_pairwise_subject_is_the_same_for_a_sector_and_unlike_others(app: Flask, alice: Person) -> None:
    def name_at(id: str, host: str) -> str:
        party = shop(app, id, subject_type="pairwise", redirect_uris=[f"https://{host}/cb"])
        with database.writing():
            return subjects.of(alice.id, client(party.id))

    one, same, other = (
        name_at("one", "one.example.com"),
        name_at("same", "one.example.com"),
        name_at("two", "two.example.com"),
    )
    assert one == same
    assert len({one, other, alice.id}) == 3


def test_oidc_core_12_2_a_refreshed_id_token_is_of_the_same_person_and_sign_in(app: Flask, alice: Person) -> None:
    party = shop(app)
    first = tokens(party, alice)
    with time_machine.travel(clock.now() / clock.SECOND + 60, tick=False):
        second = party.token(grant_type="refresh_token", refresh_token=first["refresh_token"]).get_json()
    before, after = claims_of(first["id_token"]), claims_of(second["id_token"])
    for name in ("iss", "sub", "aud", "auth_time"):
        assert before[name] == after[name]
    assert after["iat"] > before["iat"]
    assert "nonce" not in after
