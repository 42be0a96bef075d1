"""Addresses that answers are sent to: those that are registered, to the byte, and nothing like them."""

import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from idp.clients import metadata
from idp.clients.clients import ClientContext
from idp.clients.registered import RegisteredClient
from idp.oauth import redirect_addresses

WEB = "https://shop.example.com/cb"
WITH_QUERY = "https://shop.example.com:8443/cb?tenant=1&x=%20"
PRIVATE = "com.example.app:/oauth2redirect"
LOOPBACK = "http://127.0.0.1/cb"
LOOPBACK_6 = "http://[::1]:4711/cb?a=b"
LOCALHOST = "http://localhost:3000/cb"
ALL = (WEB, WITH_QUERY, PRIVATE, LOOPBACK, LOOPBACK_6, LOCALHOST)


def client(*uris: str, kind: str = "web") -> RegisteredClient:
    """A client with these addresses."""
    said = metadata.with_defaults({"redirect_uris": list(uris), "application_type": kind})
    return RegisteredClient("app_shop", "operator", "Shop", said, ClientContext(), False)


@pytest.mark.parametrize("uri", ALL)
@pytest.mark.parametrize("kind", ["web", "native"])
def test_an_answer_goes_to_the_very_address_that_is_registered(uri: str, kind: str) -> None:
    assert redirect_addresses.is_registered(uri, client(*ALL, kind=kind))


@pytest.mark.rule("AUZ-01")
@pytest.mark.parametrize(
    "uri",
    [
        "https://shop.example.com/cb/",
        "https://shop.example.com/CB",
        "https://SHOP.example.com/cb",
        "HTTPS://shop.example.com/cb",
        "https://shop.example.com/cb/more",
        "https://shop.example.com/",
        "https://shop.example.com/cb?",
        "https://shop.example.com/cb?x=1",
        "https://shop.example.com/cb#",
        "https://shop.example.com/cb#x",
        "https://shop.example.com:443/cb",
        "https://shop.example.com:8443/cb",
        "https://shop.example.com/./cb",
        "https://shop.example.com/x/../cb",
        "https://shop.example.com/%63b",
        "https://shop.example.com./cb",
        "https://user@shop.example.com/cb",
        "https://shop.example.com@evil.example/cb",
        "https://shop.example.com\\@evil.example/cb",
        "https://shop.example.com\\cb",
        "https:/shop.example.com/cb",
        "//shop.example.com/cb",
        "http://shop.example.com/cb",
        "https://evil.example/cb",
        " https://shop.example.com/cb",
        "https://shop.example.com/cb ",
        "https://shop.example.com/cb\n",
        "https://shop.example.com/cb\x00",
        "https://shop.example.com.evil.example/cb",
        "https://shop.example.com:8443/cb?tenant=2&x=%20",
        "https://shop.example.com:8443/cb?tenant=1&x= ",
        "https://shop.example.com:8443/cb?x=%20&tenant=1",
        "com.example.app:/OAuth2redirect",
        "com.example.app://oauth2redirect",
        "javascript:alert(1)",
        "",
    ],
)
@pytest.mark.parametrize("kind", ["web", "native"])
def test_an_address_that_differs_in_any_byte_is_not_registered(uri: str, kind: str) -> None:
    assert not redirect_addresses.is_registered(uri, client(*ALL, kind=kind))


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:1/cb",
        "http://127.0.0.1:51004/cb",
        "http://127.0.0.1:65535/cb",
        "http://[::1]/cb?a=b",
        "http://[::1]:80/cb?a=b",
    ],
)
def test_a_native_client_listens_on_whatever_port_it_gets(uri: str) -> None:
    assert redirect_addresses.is_registered(uri, client(*ALL, kind="native"))
    assert not redirect_addresses.is_registered(uri, client(*ALL))


@pytest.mark.rule("AUZ-05")
@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:51004/CB",
        "http://127.0.0.1:51004/cb/",
        "http://127.0.0.1:51004/cb?x",
        "http://127.0.0.1:51004",
        "http://127.0.0.1:51004/",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:080/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:99999999/cb",
        "http://127.0.0.1:٤٢/cb",
        "http://127.0.0.1:+80/cb",
        "http://127.0.0.1:80:80/cb",
        "http://127.0.0.1:80@host/cb",
        "http://127.0.0.1:80@127.0.0.1/cb",
        "http://user@127.0.0.1:80/cb",
        "http://127.0.0.2:80/cb",
        "http://127.0.0.1.example.com:80/cb",
        "http://127.1:80/cb",
        "http://0x7f000001:80/cb",
        "http://2130706433:80/cb",
        "http://localhost:3001/cb",
        "http://localhost/cb",
        "http://[::1]:80/cb",
        "http://[::1]:4711/cb?a=c",
        "http://[0:0:0:0:0:0:0:1]:4711/cb?a=b",
        "http://[::ffff:127.0.0.1]:80/cb",
        "https://127.0.0.1:80/cb",
        "HTTP://127.0.0.1:80/cb",
        "http://127.0.0.1:80\\cb",
        "http://127.0.0.1:80/cb\n",
    ],
)
def test_nothing_but_the_port_of_a_loopback_address_may_vary(uri: str) -> None:
    assert not redirect_addresses.is_registered(uri, client(*ALL, kind="native"))


# Whatever somebody makes of a registered address

_ODD = st.sampled_from(
    [*"/\\?#@:;.%&=+*[] \t\r\n\0", "%2f", "%5c", "%00", "//", "/..", "/.", "é", "‮", "٣", ".evil.example"]
)
_PIECE = st.one_of(_ODD, st.characters(), st.text(max_size=6))


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A registered address with something inserted, left out, replaced, or in another letter case."""
    uri = draw(st.sampled_from(ALL))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(uri)))
        end = min(len(uri), at + draw(st.integers(0, 3)))
        piece = draw(st.one_of(st.just(""), _PIECE, st.just(uri[at:end].swapcase())))
        uri = uri[:at] + piece + uri[end:]
    return uri


A_PORT = re.compile(r"http://127\.0\.0\.1(:[1-9][0-9]{0,4})?/cb|http://\[::1\](:[1-9][0-9]{0,4})?/cb\?a=b", re.ASCII)


@pytest.mark.rule("AUZ-01")
@settings(max_examples=5_000)
@example("http://127.0.0.1:8@evil.example/cb")
@given(mutated())
def test_no_mutation_of_an_address_is_followed(uri: str) -> None:
    assume(uri not in ALL)
    assert not redirect_addresses.is_registered(uri, client(*ALL))
    if redirect_addresses.is_registered(uri, client(*ALL, kind="native")):
        assert A_PORT.fullmatch(uri)


# What policies of pages call an address


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        (WEB, "https://shop.example.com"),
        (WITH_QUERY, "https://shop.example.com:8443"),
        (LOCALHOST, "http://localhost:3000"),
        ("HTTPS://shop.example.com/cb", "https://shop.example.com"),
        (LOOPBACK_6, "http:"),
        (PRIVATE, "com.example.app:"),
        ("com.example.app://callback", "com.example.app:"),
    ],
)
def test_a_form_may_lead_to_the_origin_of_an_address_or_to_its_scheme(uri: str, source: str) -> None:
    assert redirect_addresses.source(uri) == source
