"""Standard claims of OpenID Connect, in their JSON types."""

import pytest

from idp.platform.errors import Invalid
from idp.users import claims
from idp.users.claims import Json

FULL: dict[str, Json] = {
    "name": "Olivia Ortega",
    "given_name": "Olivia",
    "family_name#ja-Kana-JP": "オルテガ",
    "profile": "https://example.com/olivia",
    "birthdate": "0000-03-21",
    "zoneinfo": "America/Argentina/Buenos_Aires",
    "locale": "pt-BR",
    "phone_number": "+1 (425) 555-0100;ext=5",
    "phone_number_verified": True,
    "address": {"formatted": "1 Main Street\nTown", "country": "US"},
    "updated_at": 1_700_000_000,
}


def test_every_standard_claim_is_kept_as_it_is_and_survives_storage() -> None:
    assert claims.parse(FULL) == FULL
    assert claims.load(claims.dump(FULL)) == FULL


def test_empty_values_say_nothing_and_strings_are_trimmed() -> None:
    assert claims.parse({"name": " Olivia ", "nickname": "", "gender": None}) == {"name": "Olivia"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sub", "usr_1"),
        ("email", "a@example.com"),
        ("email_verified", True),
        ("iss", "https://elsewhere.example"),
        ("org_id", "org_1"),
        ("is_admin", True),
        ("gender#de", "f"),
        ("name#", "x"),
        ("name#not a tag", "x"),
        ("name", 7),
        ("name", ["x"]),
        ("name", "a\u202eb"),
        ("name", "a\x00b"),
        ("name", "x" * 1001),
        ("profile", "javascript:alert(1)"),
        ("website", "https://"),
        ("picture", "https://[::1"),
        ("birthdate", "21.3.1980"),
        ("birthdate", "1980-13-01"),
        ("zoneinfo", "../etc/passwd"),
        ("locale", "english please"),
        ("phone_number", "call me"),
        ("phone_number_verified", "true"),
        ("phone_number_verified", 1),
        ("address", "1 Main Street"),
        ("address", {"planet": "Earth"}),
        ("address", {"country": 7}),
        ("updated_at", "now"),
        ("updated_at", True),
        ("updated_at", -1),
    ],
)
def test_an_unknown_claim_or_a_value_of_the_wrong_type_is_refused_by_name(name: str, value: Json) -> None:
    with pytest.raises(Invalid) as refused:
        claims.parse({"given_name": "Olivia", name: value})
    assert refused.value.field.startswith(name)
