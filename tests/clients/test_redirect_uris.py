"""Addresses that answers may be sent to, and those that nobody may register."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.clients import redirect_uris
from idp.clients.redirect_uris import InvalidRedirectUri

DANGEROUS = ("javascript", "data", "vbscript", "file", "blob", "about")


@pytest.mark.parametrize(
    "uri",
    [
        "https://shop.example.com/callback",
        "https://shop.example.com:8443/cb?tenant=1&x=%20",
        "https://xn--bcher-kva.example/cb",
        "https://192.0.2.7/cb",
        "https://[2001:db8::1]:8443/cb",
        "http://127.0.0.1/cb",
        "http://[::1]:4711/cb",
        "http://localhost:3000/cb",
        "com.example.app:/oauth2redirect",
        "com.example.app://callback",
    ],
)
def test_addresses_that_may_be_registered(uri: str) -> None:
    assert redirect_uris.require_valid(uri) == uri


@pytest.mark.rule("AUZ-06")
@pytest.mark.parametrize(
    "uri",
    [
        "https://shop.example.com/cb#fragment",
        "https://shop.example.com/cb#",
        "https://user@shop.example.com/cb",
        "https://user:pw@shop.example.com/cb",
        "com.example.app://user@host/cb",
        "https://*.example.com/cb",
        "https://shop.example.com/*",
        "http://shop.example.com/cb",
        "http://127.0.0.1.example.com/cb",
        "http://127.0.0.1:80@shop.example.com/cb",
        "http://127.0.0.2/cb",
        "http://localhost./cb",
        "http://0.0.0.0/cb",
        "http:/cb",
        "https:cb",
        "https:///cb",
        "https://shop.example.com:99999/cb",
        "https://shop.example.com:port/cb",
        "https://[::1",
        "https://sh%6fp.example.com/cb",
        "https://shop.example.com\\@evil.example/cb",
        "myapp:/cb",
        "urn:ietf:wg:oauth:2.0:oob",
        "/cb",
        "//shop.example.com/cb",
        "shop.example.com/cb",
        "",
        "https://shop.example.com/" + "a" * 2000,
        "https://sh\u00f6p.example.com/cb",
        "https://shop.example.com/c b",
    ],
)
def test_addresses_that_nobody_may_register(uri: str) -> None:
    with pytest.raises(InvalidRedirectUri) as refused:
        redirect_uris.require_valid(uri)
    assert refused.value.code == "invalid_redirect_uri"
    assert not redirect_uris.is_web_address(uri)


@pytest.mark.parametrize("value", [None, 7, ["https://shop.example.com/cb"], {"uri": "x"}])
def test_an_address_is_a_string(value: object) -> None:
    with pytest.raises(InvalidRedirectUri):
        redirect_uris.require_valid(value)


@pytest.mark.rule("AUZ-06")
@given(
    scheme=st.sampled_from(DANGEROUS),
    upper=st.sets(st.integers(0, 9)),
    lead=st.text(" \t\r\n\x00\x0b\x1f\u00a0\u200b", max_size=2),
    inside=st.tuples(st.integers(0, 9), st.sampled_from(["", "\t", "\n", "\r"])),
    rest=st.text(string.printable, max_size=20),
)
def test_no_spelling_of_a_dangerous_scheme_passes(
    scheme: str, upper: set[int], lead: str, inside: tuple[int, str], rest: str
) -> None:
    spelled = "".join(letter.upper() if place in upper else letter for place, letter in enumerate(scheme))
    spelled = spelled[: inside[0]] + inside[1] + spelled[inside[0] :]
    with pytest.raises(InvalidRedirectUri):
        redirect_uris.require_valid(f"{lead}{spelled}:{rest}")


@given(st.text(max_size=40))
def test_whatever_is_sent_is_either_registered_or_refused(text: str) -> None:
    for uri in (text, f"https://{text}", f"http://localhost{text}", f"com.example.{text}"):
        try:
            accepted = redirect_uris.require_valid(uri)
        except InvalidRedirectUri:
            continue
        assert accepted.isascii()
        assert not set("#*\\ ").intersection(accepted)
        assert "@" not in accepted.split("/")[2] if "//" in accepted else True
