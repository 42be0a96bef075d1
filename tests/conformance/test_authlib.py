"""Authlib's session, unmodified, as a relying party."""

import time
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from flask import Flask
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.oauth.actors import CALLBACK, Browser, RelyingParty, answer_in, relying_party


def metadata_of(issuer: str) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=5).json()
    return found


def session_of(shop: RelyingParty, issuer: str, **given: Any) -> OAuth2Session:
    return OAuth2Session(
        client_id=shop.id,
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        token_endpoint=metadata_of(issuer)["token_endpoint"],
        **{"client_secret": shop.secret, "scope": "openid email"} | given,
    )


def signed_in(session: OAuth2Session, issuer: str, person: Browser, **asked: str) -> dict[str, Any]:
    """The tokens that the session gets for Olivia."""
    metadata, verifier = metadata_of(issuer), generate_token(48)
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce="n-1", **asked
    )
    page = person.sign_in("olivia", path=url.removeprefix(issuer))
    if page.name == "consent":
        page = person.allow_all(page)
    told = answer_in(page)
    location = page.response.headers.get("Location") or f"{CALLBACK}?{urlencode(told)}"
    tokens: dict[str, Any] = session.fetch_token(
        metadata["token_endpoint"], authorization_response=location, state=state, code_verifier=verifier
    )
    return tokens


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_it_signs_in_verifies_the_id_token_and_reads_claims(
    listening: Flask, issuer: str, person: Browser, mode: str
) -> None:
    shop = relying_party(listening)
    session = session_of(shop, issuer)
    tokens = signed_in(session, issuer, person, response_mode=mode)
    keys = KeySet.import_key_set(requests.get(metadata_of(issuer)["jwks_uri"], timeout=5).json())
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": shop.id},
        nonce={"essential": True, "value": "n-1"},
        exp={"essential": True},
    )
    registry.validate(claims)
    told = session.get(metadata_of(issuer)["userinfo_endpoint"]).json()
    assert (told["sub"], told["email"]) == (claims["sub"], "olivia@northwind.test")


def test_it_refreshes_introspects_and_revokes(listening: Flask, issuer: str, person: Browser) -> None:
    session, metadata = session_of(relying_party(listening), issuer), metadata_of(issuer)
    first = dict(signed_in(session, issuer, person))
    second = dict(session.refresh_token(metadata["token_endpoint"], refresh_token=first["refresh_token"]))
    assert second["refresh_token"] != first["refresh_token"]
    told = session.introspect_token(metadata["introspection_endpoint"], token=second["access_token"]).json()
    assert told["active"] is True
    session.revoke_token(metadata["revocation_endpoint"], token=second["refresh_token"])
    told = session.introspect_token(metadata["introspection_endpoint"], token=second["access_token"]).json()
    assert told == {"active": False}
    with pytest.raises(OAuthError) as refused:
        session.refresh_token(metadata["token_endpoint"], refresh_token=second["refresh_token"])
    assert refused.value.error == "invalid_grant"


def test_machines_get_tokens_by_secret_and_by_key(listening: Flask, issuer: str) -> None:
    machine: dict[str, Any] = {"grant_types": ["client_credentials"], "response_types": []}
    metadata = metadata_of(issuer)
    robot = session_of(relying_party(listening, **machine), issuer, scope=None)
    assert robot.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")["access_token"]
    key = RSAKey.generate_key(2048, {"alg": "RS256"}, auto_kid=True)
    keyed = relying_party(
        listening,
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [key.as_dict(private=False)]},
        **machine,
    )
    session = session_of(
        keyed,
        issuer,
        scope=None,
        client_secret=key.as_pem(private=True).decode(),
        token_endpoint_auth_method=PrivateKeyJWT(metadata["token_endpoint"], claims={"exp": int(time.time()) + 60}),
    )
    assert session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")["access_token"]
