"""Clients with every kind of metadata, by the command line and by file; what lies elsewhere is looked at first."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey

from idp.feed import acknowledgements, positions
from idp.platform import database
from tests import remote
from tests.cli.conftest import Idp
from tests.remote import Remote, answer

CB = "https://shop.example.com/cb"
PAYMENTS = "https://payments.example.com"
OTHER = "https://other.example.com/cb"
EVERYTHING = {
    "client_name#de": "Laden",
    "client_uri": "https://shop.example.com",
    "logo_uri": "https://shop.example.com/logo.png",
    "tos_uri": "https://shop.example.com/tos",
    "policy_uri": "https://shop.example.com/policy",
    "contacts": ["dev@shop.example.com"],
    "scope": "openid email",
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "private_key_jwt",
    "token_endpoint_auth_signing_alg": "ES256",
    "jwks": {"keys": [dict(ECKey.generate_key("P-256").as_dict(private=False))]},
    "software_id": "shop",
    "software_version": "1",
    "application_type": "web",
    "subject_type": "pairwise",
    "id_token_signed_response_alg": "ES256",
    "default_max_age": 3600,
    "require_auth_time": True,
    "default_acr_values": ["aal2"],
    "initiate_login_uri": "https://shop.example.com/login",
    "post_logout_redirect_uris": ["https://shop.example.com/bye"],
    "backchannel_logout_uri": "https://shop.example.com/logout",
    "backchannel_logout_session_required": True,
    "consent": "always",
    "profile": "fapi2",
    "require_pkce": True,
    "resources": ["https://payments.example.com"],
    "cors_origins": ["https://shop.example.com"],
    "roles_in_id_token": True,
    "claims_in_id_token": True,
}


def test_every_kind_of_metadata_goes_in_and_comes_out(idp: Idp) -> None:
    said = [word for name, value in EVERYTHING.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    made = idp("client", "create", "shop", "--redirect-uri", CB, *said).json
    assert {name: made[name] for name in EVERYTHING} == EVERYTHING
    assert idp("client", "get", "shop").json == made


def test_every_kind_of_metadata_goes_in_by_file_and_comes_out(idp: Idp, tmp_path: Path) -> None:
    file = tmp_path / "clients.yaml"
    _write(file, {"client_id": "shop", "redirect_uris": [CB], **EVERYTHING})
    idp("apply", str(file))
    shown = idp("client", "get", "shop").json
    assert {name: shown[name] for name in EVERYTHING} == EVERYTHING


def test_of_a_client_that_serves_an_api_one_sees_who_follows_and_how_far(app: Flask, idp: Idp) -> None:
    machine = ("--set", 'grant_types=["client_credentials"]')
    for name in ("app_payments", "robot"):
        idp("client", "create", name, *machine)
    idp("api", "create", PAYMENTS)
    made = idp("client", "update", "app_payments", "--set", f'serves=["{PAYMENTS}"]').json
    assert made["serves"] == [PAYMENTS]
    assert idp("client", "get", "app_payments").json["followers"] == []
    assert "followers" not in idp("client", "get", "robot").json
    with app.app_context():
        head = positions.head()
        for instance, position in (("a", head - 1), ("b", head)):
            acknowledgements.note("app_payments", instance, position)
        noted = acknowledgements.due()
        with database.writing():
            acknowledgements.write(noted)
    followers = idp("client", "get", "app_payments").json["followers"]
    assert [(one["instance"], one["position"], one["behind"]) for one in followers] == [
        ("a", head - 1, True),
        ("b", head, False),
    ]
    assert all(one["reached_at"] == one["seen_at"] for one in followers)


def _write(file: Path, *clients: dict[str, Any]) -> None:
    file.write_text(json.dumps({"version": 1, "clients": clients}))


@pytest.fixture
def sector(app: Flask, environment: dict[str, str]) -> Iterator[Remote]:
    with remote.remote(answer(json.dumps([CB, OTHER]).encode())) as found:
        environment["IDP_OUTBOUND_ALLOW"] = f"localhost:{found.port}"
        yield found


def test_the_sector_of_a_client_is_looked_at(idp: Idp, sector: Remote) -> None:
    said = ("--redirect-uri", CB, "--set", "subject_type=pairwise", "--set", f"sector_identifier_uri={sector.url()}")
    first = idp("client", "create", "shop", *said).json
    assert first["sector_identifier_uri"] == sector.url()
    assert idp("client", "create", "shop", *said).json.keys() == first.keys() - {"client_secret"}
    idp("client", "update", "shop", "--redirect-uri", CB, "--redirect-uri", OTHER)
    assert len(sector.requests) == 2
    third = "https://third.example.com/cb"
    told = idp("client", "update", "shop", "--redirect-uri", third, status=1).json
    assert told["error"] == "invalid_client_metadata"
    assert idp("client", "get", "shop").json["redirect_uris"] == [CB, OTHER]


def test_the_sector_of_a_client_in_a_file_is_looked_at(idp: Idp, sector: Remote, tmp_path: Path) -> None:
    file = tmp_path / "clients.yaml"
    client = {"client_id": "shop", "redirect_uris": [CB, OTHER], "sector_identifier_uri": sector.url()}
    _write(file, client)
    idp("apply", str(file))
    idp("apply", str(file))
    assert len(sector.requests) == 1
    _write(file, {**client, "redirect_uris": [CB, "https://third.example.com/cb"]})
    refused = idp("apply", str(file), status=1)
    assert "sector_identifier_uri" in refused.stdout + refused.stderr
    assert len(sector.requests) == 2
    assert idp("client", "get", "shop").json["redirect_uris"] == [CB, OTHER]


@pytest.mark.rule("SSR-01")
def test_a_client_with_an_address_inside_is_refused_by_both(idp: Idp, tmp_path: Path) -> None:
    told = idp("client", "create", "shop", "--redirect-uri", CB, "--set", "jwks_uri=https://127.0.0.1/k", status=1).json
    assert told["error"] == "invalid_client_metadata"
    file = tmp_path / "clients.yaml"
    wanted = {"client_id": "shop", "redirect_uris": [CB], "backchannel_logout_uri": "https://10.0.0.1/"}
    _write(file, wanted)
    refused = idp("apply", str(file), status=1)
    assert "backchannel_logout_uri" in refused.stdout + refused.stderr
    assert idp("client", "list").json == []
