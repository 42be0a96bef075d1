"""Userinfo: what it takes, whom it refuses and how, and what it tells."""

import json
import warnings
from typing import Any

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import KeySet
from werkzeug.test import TestResponse

from idp.keys import jwks
from idp.keys.material import Slot
from idp.oauth.id_tokens import read_hint
from idp.platform import database
from idp.platform.settings import settings
from idp.sessions import people
from tests.oauth import minting
from tests.oauth.actors import relying_party
from tests.oauth.holding import Held, hold, said
from tests.traces import OPERATOR

USERINFO = "/oauth2/userinfo"


@pytest.fixture(autouse=True)
def keys(app: Flask) -> None:
    minting.make_keys()


@pytest.fixture
def held(app: Flask) -> Held:
    return hold(relying_party(app), given_name="Olivia", family_name="Lund", birthdate="1980-02-29")


def ask(app: Flask, token: str | None, method: str = "GET", path: str = USERINFO, **sent: Any) -> TestResponse:
    """What userinfo says to the token in the header."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return app.test_client().open(path, method=method, headers=headers, **sent)


def refusal(answer: TestResponse) -> tuple[int, str]:
    """Status and error of a challenge."""
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="canopy"')
    return answer.status_code, challenge.partition('error="')[2].partition('"')[0]


def test_the_claims_of_the_granted_scopes_are_told_and_no_others(app: Flask, held: Held) -> None:
    answer = ask(app, held.access_token(scope="openid profile"))
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    told = said(answer)
    assert (told["sub"], told["given_name"], told["family_name"]) == (held.user_id, "Olivia", "Lund")
    assert told["birthdate"] == "1980-02-29"
    assert said(ask(app, held.access_token(scope="openid"))) == {"sub": held.user_id}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_it_takes_get_and_post_with_the_token_in_the_header_or_in_a_form(app: Flask, held: Held, scheme: str) -> None:
    token, client = held.access_token(), app.test_client()
    expected = said(ask(app, token))
    for method in ("GET", "POST"):
        answer = client.open(USERINFO, method=method, headers={"Authorization": f"{scheme} {token}"})
        assert said(answer) == expected
    assert said(client.post(USERINFO, data={"access_token": token})) == expected
    assert said(ask(app, token, "POST", json={})) == expected


@pytest.mark.rule("INT-08")
def test_without_a_token_it_challenges_and_names_no_error(app: Flask) -> None:
    assert refusal(ask(app, None)) == (401, "")
    basic = app.test_client().get(USERINFO, headers={"Authorization": "Basic Og=="})
    assert refusal(basic) == (401, "")


@pytest.mark.rule("INT-08")
def test_a_token_in_the_address_is_not_looked_at(app: Flask, held: Held) -> None:
    token = held.access_token()
    assert refusal(ask(app, None, path=f"{USERINFO}?access_token={token}")) == (401, "")
    assert refusal(ask(app, token, path=f"{USERINFO}?access_token={token}")) == (400, "invalid_request")


@pytest.mark.rule("INT-08")
def test_a_token_that_is_sent_twice_is_refused(app: Flask, held: Held) -> None:
    token = held.access_token()
    assert refusal(ask(app, token, "POST", data={"access_token": token})) == (400, "invalid_request")


@pytest.mark.rule("INT-08")
def test_a_token_without_openid_is_told_so(app: Flask, held: Held) -> None:
    assert refusal(ask(app, held.access_token(scope="profile"))) == (403, "insufficient_scope")


@pytest.mark.rule("INT-08")
@pytest.mark.parametrize(
    "changed",
    [
        {"iat": 1_000, "exp": 1_300},
        {"aud": "https://payments.example.com"},
        {"aud": ["https://payments.example.com", "http://localhost:8000/"]},
    ],
    ids=["expired", "for another resource", "for what looks like us"],
)
def test_what_is_expired_or_for_somebody_else_is_refused(app: Flask, held: Held, changed: dict[str, Any]) -> None:
    assert ask(app, held.access_token(aud=["https://x.example", settings().issuer])).status_code == 200
    assert refusal(ask(app, held.access_token(**changed))) == (401, "invalid_token")


@pytest.mark.rule("JWT-02")
def test_an_id_token_is_no_credential(app: Flask, held: Held) -> None:
    claims = minting.access_claims(sub=held.user_id, client_id=held.client.id, aud=settings().issuer, scope="openid")
    claims |= {"jti": f"{held.authorization_id}.x"}
    for header in ({"typ": "JWT"}, {"typ": "at+jwt"}):
        assert refusal(ask(app, minting.signed(claims, "id_token", "ES256", header))) == (401, "invalid_token")
    assert refusal(ask(app, minting.signed(claims, "access_token", "ES256", {"typ": "JWT"}))) == (401, "invalid_token")
    assert ask(app, minting.signed(claims, "access_token", "ES256", {"typ": "at+jwt"})).status_code == 200


def test_a_machine_s_token_speaks_for_nobody(app: Flask) -> None:
    machine = relying_party(app, "app_machine", grant_types=["client_credentials"])
    token = minting.access_token(sub=machine.id, client_id=machine.id, aud=settings().issuer, scope="openid")
    assert refusal(ask(app, token)) == (401, "invalid_token")


@pytest.mark.rule("INT-03")
def test_after_signing_out_nothing_more_is_told(app: Flask, held: Held) -> None:
    token = held.access_token()
    assert ask(app, token).status_code == 200
    with database.writing():
        people.end(held.session_id, because="signed_out", by=OPERATOR)
    assert refusal(ask(app, token)) == (401, "invalid_token")


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_a_client_that_is_registered_for_it_gets_a_signed_answer(app: Flask, alg: str) -> None:
    minting.make_keys(Slot("id_token", alg))
    held = hold(relying_party(app, userinfo_signed_response_alg=alg), "bob")
    answer = ask(app, held.access_token(scope="openid"))
    assert answer.content_type == "application/jwt"
    published = KeySet.import_key_set(json.loads(jwks.document().body))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # EdDSA goes by names of its curves since RFC 9864
        told = jwt.decode(answer.text, published, algorithms=[alg]).claims
    assert told == {"sub": held.user_id, "iss": settings().issuer, "aud": held.client.id}
    assert read_hint(answer.text) is None
