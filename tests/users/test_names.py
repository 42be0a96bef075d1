"""One normal form for names and addresses, and what could pass for somebody else's."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.platform.errors import Invalid
from idp.users import names


@pytest.mark.rule("LOG-10")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ana@Example.com", "ana@eXAMPLE.com"),
        ("STRASSE@example.com", "straße@example.com"),
        ("ﬀ@example.com", "FF@example.com"),
        ("ми@example.com", "МИ@example.com"),
        ("e\u0301va@example.com", "Éva@example.com"),
        ("x@bücher.example", "x@XN--BCHER-KVA.example"),
        ("x@BÜCHER.example", "x@bücher.example"),
        ("x@a。example", "x@a.example"),
    ],
)
def test_spellings_of_one_address_have_one_normal_form(one: str, other: str) -> None:
    assert names.parse_address(one).key == names.parse_address(other).key


@pytest.mark.rule("LOG-10")
def test_the_domain_is_compared_as_idna_2008_says_and_sub_addressing_is_no_magic() -> None:
    assert names.parse_address("x@straße.example").domain == "xn--strae-oqa.example"
    keys = {names.parse_address(text).key for text in ("ana.b@x.test", "anab@x.test", "ana+b@x.test", "ana@x.test")}
    assert len(keys) == 4


@given(st.text(st.characters(categories=["Ll", "Lu", "Nd"]), min_size=1, max_size=12))
def test_a_normal_form_is_its_own_normal_form(local: str) -> None:
    try:
        key = names.parse_address(f"{local}@example.com").key
    except Invalid:
        return
    assert names.parse_address(key).key == key
    assert unicodedata.is_normalized("NFKC", key)


@pytest.mark.rule("LOG-11")
@pytest.mark.parametrize(
    "text",
    [
        "\u0430dmin@example.com",  # a Cyrillic letter among Latin ones
        "x@p\u0430ypal.example",
        "x@xn--pypal-4ve.example",
        "a\u200bb@example.com",
        "a\u00adb@example.com",
        "a\u3164b@example.com",
        "a\ufe0fb@example.com",
        "a\u202eb@example.com",
        "\u2067ab@example.com",
        "\u05e9\u05dc\u05d5\u05ddabc@example.com",
        "a b@example.com",
        "a\r\nb@example.com",
        "a@example.com,b@example.com",
        '"a"@example.com',
        "a@[127.0.0.1]",
        "a@b",
        "@example.com",
        "a" * 65 + "@example.com",
        "a@" + "b" * 250 + ".com",
        "",
    ],
)
def test_what_is_no_address_or_could_pass_for_another_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        names.parse_address(text)
    assert names.address_key(text) is None


@pytest.mark.parametrize("text", ["админ@example.com", "שלום@example.com", "日本lat@例え.example", "한글a@example.com"])
def test_addresses_in_one_script_or_scripts_written_together_are_fine(text: str) -> None:
    assert names.parse_address(text).address == text


@pytest.mark.rule("LOG-11")
@pytest.mark.parametrize(
    "text",
    [
        "admin",
        "ADMIN",
        "support",
        "root",
        "canopy",
        "super_admin",
        "usr_01kq",
        "USR_01kq",
        "004917112345",
        "ali\u200bce",
        "alic\u0435",
        "\u212aelvin",
        "\uff41lice",
        "\u202eecila",
        "ana@example.com",
        "-ana",
        "ana smith",
        "ana\n",
        "a" * 65,
        "",
    ],
)
def test_usernames_that_could_be_taken_for_somebody_or_something_else_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        names.parse_username(text)


def test_a_username_keeps_its_spelling_and_is_compared_in_lower_case() -> None:
    parsed = names.parse_username("Olivia.O-1_x")
    assert (parsed.username, parsed.key) == ("Olivia.O-1_x", "olivia.o-1_x")
    assert names.username_key("OLIVIA.o-1_X") == parsed.key
    assert names.username_key("olivia o") is None


@pytest.mark.rule("LOG-11")
def test_a_username_may_be_the_persons_own_address_or_id() -> None:
    own = {"ana@example.com"}
    assert names.parse_username("Ana@Example.com", own_addresses=own).key == "ana@example.com"
    assert names.parse_username("usr_01", own_id="usr_01").key == "usr_01"
    with pytest.raises(Invalid):
        names.parse_username("ben@example.com", own_addresses=own)
