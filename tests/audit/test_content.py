"""What may stand in an entry: escaped, cut to size, without secrets and without addresses of people."""

import json
from dataclasses import dataclass
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from idp.audit import content
from idp.audit.content import E_MAIL, MASK


class Mode(Enum):
    OFF = "off"
    REQUIRED = "required"


@dataclass(frozen=True)
class Settings:
    name: str
    mode: Mode = Mode.OFF
    methods: frozenset[str] = frozenset()
    client_secret: str = ""


def _after(after: object) -> object:
    return json.loads(content.of(None, after).after or "null")


def test_of_two_values_only_what_differs_is_kept() -> None:
    said = content.of(
        Settings("Acme", methods=frozenset({"totp", "password"})), Settings("Acme", Mode.REQUIRED, frozenset({"totp"}))
    )
    assert json.loads(said.before or "") == {"mode": "off", "methods": ["password", "totp"]}
    assert json.loads(said.after or "") == {"mode": "required", "methods": ["totp"]}


def test_of_two_values_that_do_not_differ_nothing_is_kept() -> None:
    assert content.of(Settings("Acme"), Settings("Acme")) == content.Content("{}", "{}", ())


def test_a_mapping_stays_whole_because_the_rule_chose_what_to_say() -> None:
    said = content.of({"slug": "acme", "kept": 1}, {"slug": "acme-2", "kept": 1})
    assert json.loads(said.before or "") == {"slug": "acme", "kept": 1}


@pytest.mark.rule("AUD-03")
def test_a_secret_that_changed_is_seen_to_have_changed_and_not_told() -> None:
    said = content.of(Settings("Acme", client_secret="old one"), Settings("Acme", client_secret="new one"))
    assert json.loads(said.before or "") == json.loads(said.after or "") == {"client_secret": MASK}


@pytest.mark.rule("AUD-03")
@pytest.mark.rule("API-03")
@pytest.mark.parametrize(
    "name",
    [
        *("password", "new_password", "newPassword", "secret", "clientSecret", "refresh_token", "access-token"),
        *("cookie", "assertion", "SAMLAssertion", "private_key", "totp_seed", "code", "recovery_codes", "device_code"),
        *("password_hash", "registration_access_token", "code_verifier", "api_key", "client_assertion"),
    ],
)
def test_what_stands_under_the_name_of_a_secret_is_masked(name: str) -> None:
    for value in ("hunter2hunter2", ["hunter2hunter2"], {"value": "hunter2hunter2"}):
        assert "hunter2" not in str(_after({name: value}))


@pytest.mark.parametrize(
    "name", ["country", "token_endpoint_auth_method", "country_code", "secret_id", "password_length", "postal_code"]
)
def test_what_only_sounds_like_a_secret_is_told(name: str) -> None:
    assert _after({name: "said"}) == {name: "said"}


def test_numbers_and_flags_are_told_whatever_their_name() -> None:
    assert _after({"recovery_codes": 10, "password": True, "secret": None}) == {
        "recovery_codes": 10,
        "password": True,
        "secret": None,
    }


@pytest.mark.rule("AUD-03")
@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJl",
        "eyJhbGciOiJFUzI1NiJ9",
        "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIF\n-----END EC PRIVATE KEY-----",
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaA",
        "Bearer abcdefgh.ijkl",
        "authorization: basic dXNlcjpwYXNz",
    ],
)
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(secret: str) -> None:
    shown = content.text(f"before {secret}")
    assert shown.startswith("before")
    assert MASK in shown
    assert secret.split()[-1] not in shown
    assert secret[:30] not in str(_after({"note": secret}))


@pytest.mark.rule("AUD-03")
def test_bytes_and_sealed_texts_are_never_told() -> None:
    assert _after({"digest": b"hunter2", "sealed": SecretStr("hunter2")}) == {"digest": MASK, "sealed": MASK}


@pytest.mark.rule("AUD-03")
def test_a_megabyte_is_cut_and_says_so() -> None:
    shown = content.text("x" * 1_000_000)
    assert len(shown) < content.LONGEST_TEXT + 50
    assert shown.endswith("… [1000000 characters]")


@pytest.mark.rule("AUD-03")
def test_a_large_value_is_left_out_and_a_long_list_is_cut() -> None:
    large = {f"name{number}": "y" * 900 for number in range(100)}
    assert set(json.loads(content.of(None, large).after or "")) == {"left_out"}
    cut = _after(list(range(150)))
    assert isinstance(cut, list)
    assert cut[-1] == "… and 50 more"


@pytest.mark.rule("AUD-03")
@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("one\nevent=forged", "one\\nevent=forged"),
        ("\x1b[31mred\x00", "\\x1b[31mred\\x00"),
        ("usr\u202etxt.exe", "usr\\u202etxt.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("line\u2028end", "line\\u2028end"),
        ("half\ud800", "half\\ud800"),
    ],
)
def test_controls_invisible_signs_and_changes_of_direction_are_escaped(typed: str, shown: str) -> None:
    assert content.text(typed) == shown
    assert _after({typed: typed}) == {shown: shown}


@given(st.text(st.characters(codec=None), max_size=300))
@pytest.mark.rule("AUD-03")
def test_every_text_comes_out_on_one_readable_line(typed: str) -> None:
    shown = content.text(typed)
    assert shown.isprintable()
    shown.encode()


def test_addresses_of_people_are_handed_back_for_the_side_row() -> None:
    said = content.of({"address": "bob@acme.test"}, {"address": "Bob <b.ob+x@sub.acme.test>", "domain": "acme.test"})
    assert json.loads(said.before or "") == {"address": E_MAIL}
    assert json.loads(said.after or "") == {"address": f"Bob <{E_MAIL}>", "domain": "acme.test"}
    assert said.emails == ("bob@acme.test", "b.ob+x@sub.acme.test")


@pytest.mark.parametrize("other", ["https://host.test/@bob", "@bob", "bob@", "5 @ 3", "https://payments.test"])
def test_what_is_no_address_stays(other: str) -> None:
    assert _after(other) == other


def test_what_is_no_value_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        content.of(None, {"thing": object()})


def test_what_nests_without_end_is_cut() -> None:
    nest: object = "bottom"
    for _ in range(100):
        nest = [nest]
    assert "too deep" in str(_after(nest))
