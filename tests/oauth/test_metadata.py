"""What is published for everybody: the keys and the metadata, with caching, and readable by scripts of any origin."""

import json
from typing import Any

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from flask import Flask
from werkzeug.test import TestResponse

from idp.audit.trail import SYSTEM
from idp.keys import jwks, lifecycle, material, rotation
from idp.keys.material import SLOTS, Slot
from idp.oauth.client_authentication import METHODS
from idp.oauth.responses import MODES
from idp.oauth.scopes import SCOPES
from idp.oauth.token import GRANTS
from idp.platform import clock, database
from idp.platform.settings import settings
from tests.keys.test_material import PRIVATE_MEMBERS
from tests.oauth import minting

PUBLISHED = (
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/authzen-configuration",
    "/.well-known/jwks.json",
)


@pytest.fixture(autouse=True)
def keys(app: Flask) -> None:
    minting.make_keys()


def get(app: Flask, path: str, method: str = "GET", **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().open(path, method=method, headers=named)


def test_the_keys_are_published_with_a_tag(app: Flask) -> None:
    answer = get(app, "/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.content_type == "application/jwk-set+json"
    assert answer.headers["Cache-Control"] == jwks.CACHE_CONTROL
    assert {key["alg"] for key in json.loads(answer.text)["keys"]} == {"ES256"}
    again = get(app, "/.well-known/jwks.json", If_None_Match=answer.headers["ETag"])
    assert (again.status_code, again.text) == (304, "")
    assert again.headers["Cache-Control"] == jwks.CACHE_CONTROL


def metadata_of(app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(get(app, "/.well-known/openid-configuration").text)
    return document


def test_the_metadata_is_the_same_where_openid_and_where_oauth_look_for_it(app: Flask) -> None:
    one = get(app, "/.well-known/openid-configuration")
    other = get(app, "/.well-known/oauth-authorization-server")
    assert one.status_code == other.status_code == 200
    assert one.content_type == "application/json"
    assert one.data == other.data
    assert one.headers["Cache-Control"].startswith("public, max-age=")
    assert get(app, "/.well-known/openid-configuration", If_None_Match=one.headers["ETag"]).status_code == 304


def test_the_metadata_satisfies_those_who_check_it(app: Flask) -> None:
    told = metadata_of(app)
    OpenIDProviderMetadata(told).validate()
    AuthorizationServerMetadata(told).validate()
    assert told["issuer"] == settings().issuer


def test_whatever_address_is_listed_is_served(app: Flask) -> None:
    for name, address in metadata_of(app).items():
        if name.endswith(("_endpoint", "_uri")):
            assert address.startswith(f"{settings().issuer}/")
            assert get(app, address).status_code != 404, name


def test_what_is_listed_is_what_the_tables_hold(app: Flask) -> None:
    told = metadata_of(app)
    assert told["grant_types_supported"] == list(GRANTS)
    assert told["scopes_supported"] == list(SCOPES)
    assert told["token_endpoint_auth_methods_supported"] == list(METHODS)
    assert told["revocation_endpoint_auth_methods_supported"] == list(METHODS)
    assert "none" not in told["introspection_endpoint_auth_methods_supported"]
    assert told["response_modes_supported"] == list(MODES)
    assert told["request_parameter_supported"] is False
    assert set(told["id_token_signing_alg_values_supported"]) == {"RS256", "ES256", "PS256", "EdDSA"}
    assert "RS256" in told["id_token_signing_alg_values_supported"]
    assert told["code_challenge_methods_supported"] == ["S256"]


@pytest.mark.parametrize("path", PUBLISHED)
def test_documents_are_read_and_nothing_else(app: Flask, path: str) -> None:
    assert get(app, path, "HEAD").text == ""
    for method in ("POST", "PUT", "DELETE"):
        answer = get(app, path, method)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.rule("INT-09")
@pytest.mark.parametrize("path", PUBLISHED)
@pytest.mark.parametrize("origin", ["https://spa.example.com", "null"])
def test_scripts_of_any_origin_read_documents_without_credentials(app: Flask, path: str, origin: str) -> None:
    answer = get(app, path, Origin=origin)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.rule("JWT-06")
def test_no_member_of_a_key_that_is_secret_is_published(app: Flask) -> None:
    minting.make_keys(*SLOTS)
    (saml,) = material.generate([Slot("saml", "RS256")])
    with database.writing():
        rotation.bring(saml, by=SYSTEM)
    answer = get(app, "/.well-known/jwks.json")
    keys = json.loads(answer.text)["keys"]
    assert sorted(key["alg"] for key in keys) == sorted(slot.alg for slot in SLOTS)
    for key in keys:
        assert {"kid", "use", "alg", "kty"} <= key.keys()
        assert PRIVATE_MEMBERS.isdisjoint(key)
    seconds = int(answer.headers["Cache-Control"].partition("max-age=")[2])
    assert seconds * clock.SECOND <= lifecycle.PUBLISHED_BEFORE_USE
