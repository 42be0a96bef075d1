"""The way back: a path of our own origin as browsers read it, or none."""

from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from idp.login import returning
from idp.login.models import Transaction
from idp.platform import database
from tests.actors import Browser

HOSTILE = [
    *("https://evil.test/", "//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "https:evil.test"),
    *("/%09/evil.test", "/\t/evil.test", "/%2f%2fevil.test", "/%5cevil.test", "/%2F/evil.test", "javascript:alert(1)"),
    *("/\r\nLocation: https://evil.test", "/%0d%0aSet-Cookie:a=b", "/me\n", " /me", "/me ", "", "me", "?x", "#x", "."),
    *("/..//evil.test", "/./evil.test/..//x", "/a/..//evil.test", "/%2e%2e//evil.test", "/me#@evil.test", "/ä"),
    *("/" + "a" * 8_000, "/login", "/login?return_to=/login", "/login/password", "/logout", "/select", "/%6cogin"),
    *("http:/evil.test", "data:text/html,x", "/me\x00", "/\ufe0f/evil.test", "/\u2028/evil.test", "/\uff3cevil.test"),
]
PIECES = st.sampled_from(
    [*("/", "//", "\\", "evil.test", "@", ":", "https:", "javascript:", "..", ".", "%2f", "%5c", "%09", "\t", "\n"),
     *("\r", " ", "?", "#", "%", "%00", "me", "a", "ä", "\u2028", "%2e", "&", "=", ";", "[", "]", "|")]
)  # fmt: skip


_STRIPPED = "".join(map(chr, range(33)))


def leads_to(text: str) -> str:
    """Where a browser at our origin goes (WHATWG URL: what is stripped is stripped, backslashes are slashes)."""
    stripped = "".join(letter for letter in text.strip(_STRIPPED) if letter not in "\t\r\n").replace("\\", "/")
    return urlsplit(urljoin("http://localhost:8000/login", stripped)).netloc


@pytest.mark.rule("AUZ-17")
@pytest.mark.parametrize("text", HOSTILE)
def test_what_leads_elsewhere_is_not_followed(app: Flask, text: str) -> None:
    assert returning.own_path(text) is None
    assert returning.or_home(text) == returning.HOME


@pytest.mark.parametrize("text", ["/me", "/me?context=acct_1", "/org/northwind/members?role=admin&q=%C3%A4", "/"])
def test_a_path_of_ours_is_followed(app: Flask, text: str) -> None:
    assert returning.own_path(text) == text


@pytest.mark.rule("AUZ-17")
@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.lists(PIECES, max_size=8).map("".join) | st.lists(PIECES, max_size=8).map(lambda all: "/" + "".join(all))
)
@example("/\t/evil.test")
def test_whatever_is_followed_stays_here(app: Flask, text: str) -> None:
    found = returning.own_path(text)
    if found is not None:
        assert leads_to(found) == "localhost:8000"
        assert found.startswith("/")
        assert not found.startswith(("//", "/\\"))


@pytest.mark.rule("AUZ-17")
def test_signing_in_never_leads_away(browser: Browser, olivia: str) -> None:
    for text in HOSTILE:
        browser.client.get("/login", query_string={"return_to": text})
    database.session().rollback()
    assert set(database.session().scalars(select(Transaction.return_to))) == {returning.HOME}
    assert browser.sign_in("olivia", path="/login?return_to=//evil.test").path == "/me"


def test_signing_in_leads_back_to_where_it_was_asked_for(browser: Browser, olivia: str) -> None:
    assert browser.sign_in("olivia", path="/me?context=acct_1").address == "/me?context=acct_1"
