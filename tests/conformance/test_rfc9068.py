"""RFC 9068 §4, access tokens as a resource server validates them (userinfo): one test a MUST, named by section."""

import pytest
from flask import Flask

from idp.platform.settings import settings
from tests.oauth import minting
from tests.oauth.actors import relying_party
from tests.oauth.holding import Held, hold
from tests.oauth.test_userinfo import ask, refusal


@pytest.fixture
def held(app: Flask) -> Held:
    minting.make_keys()
    return hold(relying_party(app))


def is_refused(app: Flask, token: str) -> bool:
    return refusal(ask(app, token)) == (401, "invalid_token")


def test_rfc9068_4_the_type_is_verified_and_others_are_rejected(app: Flask, held: Held) -> None:
    claims = minting.access_claims(
        sub=held.user_id,
        client_id=held.client.id,
        aud=settings().issuer,
        scope="openid",
        jti=f"{held.authorization_id}.x",
    )
    assert ask(app, minting.signed(claims, "access_token", "ES256", {"typ": "at+jwt"})).status_code == 200
    for typ in ("JWT", "jwt", None, "dpop+jwt"):
        assert is_refused(app, minting.signed(claims, "access_token", "ES256", {"typ": typ}))


def test_rfc9068_4_the_issuer_matches_exactly(app: Flask, held: Held) -> None:
    assert is_refused(app, held.access_token(iss=f"{settings().issuer}/"))


def test_rfc9068_4_the_audience_holds_the_resource(app: Flask, held: Held) -> None:
    assert is_refused(app, held.access_token(aud="https://payments.example.com"))


def test_rfc9068_4_the_signature_is_validated_and_none_rejected(app: Flask, held: Held) -> None:
    header, claims, _ = held.access_token().split(".")
    assert is_refused(app, f"{minting.segment({'alg': 'none', 'typ': 'at+jwt'})}.{claims}.")
    assert is_refused(app, f"{header}.{claims}.{minting.encoded(b'x' * 64)}")


def test_rfc9068_4_the_token_is_used_before_it_expires(app: Flask, held: Held) -> None:
    assert is_refused(app, held.access_token(exp=minting.seconds()))
