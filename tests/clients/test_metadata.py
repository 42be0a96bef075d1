"""Metadata of clients: every name with what it may say, and what fits together."""

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from idp.clients import metadata
from idp.clients.metadata import InvalidMetadata, Json
from idp.clients.redirect_uris import InvalidRedirectUri

CB = "https://shop.example.com/cb"
PUBLIC: dict[str, Json] = {"keys": [dict(ECKey.generate_key("P-256").as_dict(private=False))]}
SHOP: dict[str, Json] = {"redirect_uris": [CB]}


def refused(given: dict[str, Json]) -> str:
    with pytest.raises((InvalidMetadata, InvalidRedirectUri)) as refusal:
        metadata.parse(given)
    return refusal.value.field


def test_everything_that_a_client_may_say_survives_storage() -> None:
    full: dict[str, Json] = {
        "redirect_uris": [CB, "com.example.shop:/cb"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": PUBLIC,
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types": ["code"],
        "client_name": "Shop",
        "client_name#ja": "店",
        "logo_uri": "https://shop.example.com/logo.png",
        "contacts": ["dev@shop.example.com"],
        "scope": "openid email",
        "subject_type": "pairwise",
        "sector_identifier_uri": "https://shop.example.com/sector.json",
        "default_max_age": 0,
        "post_logout_redirect_uris": ["https://shop.example.com/bye"],
        "backchannel_logout_uri": "https://shop.example.com/logout",
        "frontchannel_logout_uri": "https://shop.example.com/frontchannel",
        "require_pushed_authorization_requests": True,
        "dpop_bound_access_tokens": True,
        "resources": ["https://payments.example.com"],
        "serves": ["urn:example:payments"],
        "cors_origins": ["https://shop.example.com:8443"],
        "consent": "always",
    }
    parsed = metadata.parse(full)
    assert parsed == full
    assert metadata.load(metadata.dump(parsed)) == full


def test_defaults_are_those_of_the_specifications_and_are_not_stored() -> None:
    assert metadata.parse({**SHOP, "client_name": "", "logo_uri": None}) == SHOP
    complete = metadata.with_defaults(SHOP)
    assert complete["grant_types"] == ["authorization_code"]
    assert complete["response_types"] == ["code"]
    assert complete["token_endpoint_auth_method"] == "client_secret_basic"
    assert complete["id_token_signed_response_alg"] == "RS256"
    machine: dict[str, Json] = {"grant_types": ["client_credentials"]}
    assert metadata.parse(machine) == machine
    assert metadata.with_defaults(machine)["response_types"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("is_admin", True),
        ("first_party", True),
        ("client_secret", "x"),
        ("software_statement", "eyJ"),
        ("scope#de", "openid"),
        ("client_name#not a tag", "x"),
        ("contacts", "dev@shop.example.com"),
        ("contacts", ["x"] * 101),
        ("scope", "two  spaces"),
        ("grant_types", ["authorization_code", "implicit"]),
        ("grant_types", ["authorization_code", "password"]),
        ("grant_types", ["authorization_code", "authorization_code"]),
        ("response_types", ["code token"]),
        ("response_types", ["id_token"]),
        ("token_endpoint_auth_method", "client_secret_jwt"),
        ("id_token_signed_response_alg", "none"),
        ("id_token_signed_response_alg", "HS256"),
        ("id_token_encrypted_response_alg", "RSA-OAEP"),
        ("default_max_age", -1),
        ("default_max_age", True),
        ("default_max_age", "3600"),
        ("require_auth_time", "true"),
        ("jwks_uri", "http://keys.example.com"),
        ("cors_origins", ["https://shop.example.com/"]),
        ("cors_origins", ["null"]),
        ("cors_origins", ["*"]),
        ("resources", ["payments"]),
        ("resources", ["https://payments.example.com#x"]),
        ("consent", "never"),
        ("profile", "fapi1"),
    ],
)
def test_what_is_unknown_or_cannot_be_acted_upon_is_refused_by_name(name: str, value: Json) -> None:
    assert refused({**SHOP, name: value}) == name


@pytest.mark.rule("DCR-04")
@pytest.mark.parametrize("name", ["client_name", "client_name#ar", "contacts", "software_id"])
@pytest.mark.parametrize(
    "value",
    [
        7,
        True,
        ["x"],
        {"x": "y"},
        " ",
        "a\u202eb",
        "\u2066a",
        "a\u200bb",
        "a\nb",
        "a\0b",
        "a\x7fb",
        "\ud800",
        "x" * 10**6,
    ],
    ids=ascii,
)
def test_what_people_read_of_a_client_is_short_visible_text(name: str, value: Json) -> None:
    assert refused({**SHOP, name: [value] if name == "contacts" else value}) == name


@pytest.mark.rule("DCR-04")
@pytest.mark.parametrize(
    "name", ["x" * 121, "C\u0430nopy", "P\u0430y\u0440al sign-in", "\u039fkta", "Shop \u0441omplete"]
)
def test_a_name_is_not_long_and_not_disguised_as_another(name: str) -> None:
    assert refused({**SHOP, "client_name": name}) == "client_name"


@pytest.mark.parametrize(
    "name",
    [
        "x" * 120,
        "<b>Shop</b> & Söhne",
        "Магазин Shop",
        "Ωmega".replace("mega", "μέγα"),
        "متجر أكمي",
        "アクメ・ショップ",
        "Naïve №1",
    ],
)
def test_names_of_every_script_are_kept_as_they_are(name: str) -> None:
    assert metadata.parse({**SHOP, "client_name": name})["client_name"] == name


@pytest.mark.rule("DCR-04")
@pytest.mark.parametrize("name", ["logo_uri", "policy_uri", "tos_uri", "client_uri", "logo_uri#de"])
@pytest.mark.parametrize(
    "value",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "http://shop.example.com/x",
        "http://localhost/x",
        "https://user@shop.example.com",
        "https://shop.example.com/#x",
        "https://shop.example.com/\u202e",
        "https://shop.example.com/ x",
        "https://shop.example.com/" + "x" * 10**6,
        "//shop.example.com",
        7,
        ["https://shop.example.com"],
    ],
    ids=ascii,
)
def test_links_of_a_client_are_https(name: str, value: Json) -> None:
    assert refused({**SHOP, name: value}) == name


@pytest.mark.rule("DCR-04")
def test_there_are_not_more_names_than_anybody_reads() -> None:
    many: dict[str, Json] = {f"client_name#x{n:03}": "Shop" for n in range(200)}
    assert refused({**SHOP, **many}) == ""


@pytest.mark.rule("AUZ-06")
@pytest.mark.parametrize("name", ["redirect_uris", "post_logout_redirect_uris"])
def test_one_wrong_address_refuses_the_whole_registration(name: str) -> None:
    assert refused({**SHOP, name: [CB, "JavaScript:alert(1)"]}) == name
    assert refused({**SHOP, name: [CB, ["nested"]]}) == name


@pytest.mark.rule("DCR-05")
@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "redirect_uris"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({**SHOP, "grant_types": ["refresh_token"], "response_types": ["code"]}, "response_types"),
        ({**SHOP, "response_types": []}, "response_types"),
        ({**SHOP, "jwks": PUBLIC, "jwks_uri": "https://shop.example.com/jwks"}, "jwks"),
        ({**SHOP, "token_endpoint_auth_method": "private_key_jwt"}, "token_endpoint_auth_method"),
        ({**SHOP, "token_endpoint_auth_method": "tls_client_auth"}, "token_endpoint_auth_method"),
        (
            {
                **SHOP,
                "token_endpoint_auth_method": "tls_client_auth",
                "tls_client_auth_subject_dn": "CN=shop",
                "tls_client_auth_san_dns": "shop.example.com",
            },
            "token_endpoint_auth_method",
        ),
        (
            {"grant_types": ["client_credentials"], "token_endpoint_auth_method": "none"},
            "token_endpoint_auth_method",
        ),
        (
            {"redirect_uris": [CB, "https://other.example.com/cb"], "subject_type": "pairwise"},
            "sector_identifier_uri",
        ),
        ({**SHOP, "frontchannel_logout_uri": "https://other.example.com/bye"}, "frontchannel_logout_uri"),
        ({**SHOP, "frontchannel_logout_uri": "https://shop.example.com:444/bye"}, "frontchannel_logout_uri"),
    ],
)
def test_what_does_not_fit_together_is_refused(given: dict[str, Json], name: str) -> None:
    assert refused(given) == name


@pytest.mark.rule("DCR-05")
@pytest.mark.parametrize(
    "jwks",
    [
        {"keys": [dict(ECKey.generate_key("P-256").as_dict(private=True))]},
        {"keys": [dict(OKPKey.generate_key("Ed25519").as_dict(private=True))]},
        {"keys": [dict(RSAKey.generate_key(2048).as_dict(private=True))]},
        {"keys": [{"kty": "RSA", "n": "AQ" * 64, "e": "AQAB"}]},
        {"keys": [dict(OctKey.generate_key(256).as_dict())]},
        {"keys": [{"kty": "oct"}]},
        {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]},
        {"keys": [{"kty": "RSA", "n": 7, "e": "AQAB"}]},
        {"keys": [{"kty": "RSA", "n": "AQ" * 2000, "e": "AQAB"}]},
        {"keys": [{"kty": "RSA", "n": "AQ" * 200, "e": "AQ" * 40}]},
        {"keys": [{**PUBLIC["keys"][0], "k": "AA"}]},
        {"keys": PUBLIC["keys"] * 101},
        {"keys": [{"kty": "planet"}]},
        {"keys": ["key"]},
        {"keys": []},
        {"keys": {}},
        {},
        [],
        "jwks",
    ],
)
def test_a_key_set_holds_public_asymmetric_keys_only(jwks: Json) -> None:
    assert refused({**SHOP, "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks}) == "jwks"


def test_a_key_set_of_every_asymmetric_kind_is_fine() -> None:
    keys: list[Json] = [
        dict(key.as_dict(private=False))
        for key in (ECKey.generate_key("P-256"), OKPKey.generate_key("Ed25519"), RSAKey.generate_key(2048))
    ]
    given: dict[str, Json] = {**SHOP, "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": keys}}
    assert metadata.parse(given) == given
