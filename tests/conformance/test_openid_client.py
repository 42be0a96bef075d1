"""openid-client, unmodified, as a relying party: everything that the issue of a provider promises it."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey

from tests.oauth.actors import CALLBACK, Browser, RelyingParty, answer_in, relying_party
from tests.peers import openid_client
from tests.peers.openid_client import OpenidClient, Refused


@pytest.fixture
def library() -> Iterator[OpenidClient]:
    with openid_client.running() as client:
        yield client


def told_back(browser: Browser, url: str, issuer: str) -> dict[str, Any]:
    """Sign in and agree at `url`; what the browser brings to the relying party, as the library takes it."""
    page = browser.sign_in("olivia", path=url.removeprefix(issuer))
    if page.name == "consent":
        page = browser.allow_all(page)
    if page.response.headers.get("Location"):
        return {"url": page.response.location}
    return {"url": CALLBACK, "form": answer_in(page)}


def discovered(library: OpenidClient, issuer: str, shop: RelyingParty) -> dict[str, Any]:
    metadata: dict[str, Any] = library(
        "discover", issuer=issuer, client_id=shop.id, method="client_secret_basic", secret=shop.secret
    )
    return metadata


def test_it_discovers_signs_in_reads_claims_refreshes_and_signs_out(
    listening: Flask, issuer: str, library: OpenidClient, person: Browser
) -> None:
    shop = relying_party(listening, post_logout_redirect_uris=[CALLBACK])
    metadata = discovered(library, issuer, shop)
    assert metadata["issuer"] == issuer
    asked = library("authorize", redirect_uri=CALLBACK, scope="openid email profile offline_access", prompt="consent")
    tokens = library("callback", **told_back(person, asked["url"], issuer))
    assert tokens["claims"]["iss"] == issuer
    told = library("userinfo", access_token=tokens["access_token"], subject=tokens["claims"]["sub"])
    assert told["email"] == "olivia@northwind.test"
    assert told["email_verified"] is True
    assert told["family_name"] == "Lund"
    renewed = library("refresh", refresh_token=tokens["refresh_token"])
    assert renewed["claims"]["sub"] == tokens["claims"]["sub"]
    assert renewed["claims"]["auth_time"] == tokens["claims"]["auth_time"]
    assert renewed["refresh_token"] != tokens["refresh_token"]
    leaving = library("logout", id_token_hint=renewed["id_token"], post_logout_redirect_uri=CALLBACK, state="bye")
    page = person.get(leaving["url"].removeprefix(issuer))
    if page.name == "logout":
        page = person.send(page, "logout-confirm")
    assert page.response.location == f"{CALLBACK}?state=bye"


def test_it_takes_the_answer_from_a_posted_form(
    listening: Flask, issuer: str, library: OpenidClient, person: Browser
) -> None:
    discovered(library, issuer, relying_party(listening))
    asked = library("authorize", redirect_uri=CALLBACK, scope="openid", response_mode="form_post")
    back = told_back(person, asked["url"], issuer)
    assert back["form"]["iss"] == issuer
    assert library("callback", **back)["claims"]["sub"]


def test_it_introspects_and_revokes(listening: Flask, issuer: str, library: OpenidClient, person: Browser) -> None:
    shop = relying_party(listening)
    discovered(library, issuer, shop)
    asked = library("authorize", redirect_uri=CALLBACK, scope="openid")
    tokens = library("callback", **told_back(person, asked["url"], issuer))
    told = library("introspect", token=tokens["access_token"])
    assert (told["active"], told["client_id"]) == (True, shop.id)
    library("revoke", token=tokens["refresh_token"])
    assert library("introspect", token=tokens["access_token"]) == {"active": False}
    with pytest.raises(Refused) as refused:
        library("refresh", refresh_token=tokens["refresh_token"])
    assert refused.value.error == "invalid_grant"


def test_it_authenticates_with_a_key_of_its_own(
    listening: Flask, issuer: str, library: OpenidClient, person: Browser
) -> None:
    key = ECKey.generate_key("P-256", {"kid": "own", "alg": "ES256"}, auto_kid=False)
    shop = relying_party(
        listening,
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [key.as_dict(private=False)]},
    )
    library(
        "discover",
        issuer=issuer,
        client_id=shop.id,
        method="private_key_jwt",
        jwk=key.as_dict(private=True),
        alg="ES256",
    )
    asked = library("authorize", redirect_uri=CALLBACK, scope="openid")
    tokens = library("callback", **told_back(person, asked["url"], issuer))
    assert library("refresh", refresh_token=tokens["refresh_token"])["access_token"]


def test_a_machine_gets_a_token_by_its_secret(listening: Flask, issuer: str, library: OpenidClient) -> None:
    robot = relying_party(listening, grant_types=["client_credentials"], response_types=[])
    discovered(library, issuer, robot)
    tokens = library("client_credentials")
    told = library("introspect", token=tokens["access_token"])
    assert (told["active"], told["sub"]) == (True, robot.id)


def test_a_public_client_signs_in_with_pkce_alone(
    listening: Flask, issuer: str, library: OpenidClient, person: Browser
) -> None:
    app = relying_party(listening, public=True)
    library("discover", issuer=issuer, client_id=app.id, method="none")
    asked = library("authorize", redirect_uri=CALLBACK, scope="openid")
    tokens = library("callback", **told_back(person, asked["url"], issuer))
    assert library("refresh", refresh_token=tokens["refresh_token"])["access_token"]
