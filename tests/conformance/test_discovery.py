"""RFC 8414 and OpenID Connect Discovery 1.0, what a provider says of itself: one test a MUST, named by section."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask

from tests.oauth.test_metadata import get, metadata_of

REQUIRED = {
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "response_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
}


@pytest.fixture
def told(app: Flask) -> dict[str, Any]:
    return metadata_of(app)


def test_oidc_discovery_3_what_is_required_is_there(told: dict[str, Any]) -> None:
    assert told.keys() >= REQUIRED


def test_oidc_discovery_3_rs256_is_among_the_algorithms_of_id_tokens(told: dict[str, Any]) -> None:
    assert "RS256" in told["id_token_signing_alg_values_supported"]
    assert "none" not in told["id_token_signing_alg_values_supported"]


def test_oidc_discovery_3_openid_is_among_the_scopes(told: dict[str, Any]) -> None:
    assert "openid" in told["scopes_supported"]


def test_oidc_discovery_4_2_the_document_is_json_with_200(app: Flask) -> None:
    answer = get(app, "/.well-known/openid-configuration")
    assert (answer.status_code, answer.content_type) == (200, "application/json")


def test_oidc_discovery_4_2_what_has_no_elements_is_left_out(told: dict[str, Any]) -> None:
    assert not [name for name, value in told.items() if value in ([], "", None, {})]


def test_oidc_discovery_4_3_issuer_is_the_prefix_of_the_address_that_was_asked(told: dict[str, Any]) -> None:
    assert told["issuer"] == "http://localhost:8000"


def test_rfc8414_2_issuer_has_no_query_and_no_fragment(told: dict[str, Any]) -> None:
    parts = urlsplit(told["issuer"])
    assert (parts.query, parts.fragment) == ("", "")


def test_rfc8414_2_signing_algorithms_are_listed_where_private_key_jwt_is(told: dict[str, Any]) -> None:
    for endpoint in ("token", "introspection", "revocation"):
        assert "private_key_jwt" in told[f"{endpoint}_endpoint_auth_methods_supported"]
        algorithms = told[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert algorithms
        assert "none" not in algorithms


def test_rfc9207_3_that_answers_carry_iss_is_said(told: dict[str, Any]) -> None:
    assert told["authorization_response_iss_parameter_supported"] is True
