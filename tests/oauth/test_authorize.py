"""The authorization endpoint as browsers meet it: what is shown, what is sent back, and what never happens."""

import re
import socket
from typing import Any, Never
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from idp.clients import clients
from idp.clients.models import OPERATOR as OWNER
from idp.oauth.authorize import LIMITS
from idp.oauth.models import Authorization, AuthorizationCode, Consent, PendingRequest
from idp.platform import database
from idp.platform.calls import FORM
from idp.sessions import browsers
from idp.sessions.models import BrowserSession
from tests.oauth.actors import CALLBACK, RelyingParty, relying_party
from tests.oauth.asking import ISSUER, PATH, ask, is_shown, posted, sent_back
from tests.oauth.test_redirect_addresses import A_PORT, ALL, mutated
from tests.traces import OPERATOR, entries, events

FOREIGN = "https://evil.example/cb"
MANY = settings(max_examples=1_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
SOME = settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def shop(app: Flask) -> RelyingParty:
    return relying_party(app, "app_shop")


def nothing_was_given() -> bool:
    """Whether nobody was authorized, asked or signed in."""
    tables = (Authorization, AuthorizationCode, Consent, PendingRequest, BrowserSession)
    return not any(database.session().scalar(select(func.count()).select_from(table)) for table in tables)


# What is shown


@pytest.mark.rule("AUZ-01")
@pytest.mark.parametrize(
    "uri", [FOREIGN, CALLBACK + "/", CALLBACK + "?x=1", CALLBACK.upper(), "javascript:alert(1)", "\\"]
)
def test_nobody_is_sent_to_an_address_that_is_not_registered(shop: RelyingParty, uri: str) -> None:
    is_shown(ask(shop, redirect_uri=uri), "redirect_uri_mismatch")
    assert nothing_was_given()
    (entry,) = [one for one in entries(shop.id) if one.event == "authorize.rejected"]
    assert (entry.actor_kind, entry.after_json) == ("system", f'{{"redirect_uri": "{uri}"}}'.replace("\\", "\\\\"))


@pytest.mark.rule("AUZ-01")
def test_the_page_says_nothing_of_the_address(shop: RelyingParty) -> None:
    assert "evil" not in _less_reference(ask(shop, redirect_uri=FOREIGN).text)


def test_a_very_long_address_is_noted_in_part(shop: RelyingParty) -> None:
    is_shown(ask(shop, redirect_uri=FOREIGN + "x" * 10_000), "redirect_uri_mismatch")
    assert len(entries(shop.id)[-1].after_json or "") < 600


@pytest.mark.rule("AUZ-02")
def test_clients_that_cannot_act_cannot_be_told_from_those_that_never_were(shop: RelyingParty) -> None:
    gone, off = relying_party(shop.app, "app_gone"), relying_party(shop.app, "app_off")
    with database.writing():
        clients.delete(clients.find(OWNER, gone.id), by=OPERATOR)
        clients.disable(clients.find(OWNER, off.id), by=OPERATOR)
    pages = []
    for client_id in (gone.id, off.id, "app_never", "x" * 10_000, "", None):
        response = ask(shop, client_id=client_id)
        is_shown(response, "unknown_client")
        pages.append(_less_reference(response.text))
    assert len(set(pages)) == 1
    assert nothing_was_given()


def _less_reference(page: str) -> str:
    """The page without what differs from page to page: reference and time, and the links to other languages of it."""
    page = re.sub(r"<code[^>]*>[0-9A-Z-]{19}</code>|<time.*?</time>", "", page)
    return re.sub(r'href="\?[^"]*"', "", page)


WRONG: dict[str, dict[str, str | None]] = {
    "response_type": {"response_type": "token"},
    "no response_type": {"response_type": None},
    "response_mode": {"response_mode": "fragment"},
    "form_post": {"response_mode": "form_post", "response_type": "token"},
    "scope": {"scope": "\t"},
    "challenge": {"code_challenge": None},
    "method": {"code_challenge_method": "plain"},
    "prompt": {"prompt": "none login"},
    "no session": {"prompt": "none"},
    "max_age": {"max_age": "x"},
    "claims": {"claims": "{"},
    "resource": {"resource": "/x"},
    "request": {"request": "a.b.c"},
    "request_uri": {"request_uri": "https://evil.example/r"},
    "state": {"state": "x" * 5_000},
}


@pytest.mark.rule("AUZ-03")
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_the_address_is_looked_at_before_everything_else(shop: RelyingParty, wrong: dict[str, str | None]) -> None:
    is_shown(ask(shop, redirect_uri=FOREIGN, **wrong), "redirect_uri_mismatch")
    is_shown(ask(shop, ("state", "twice"), redirect_uri=FOREIGN, **wrong), "redirect_uri_mismatch")
    assert nothing_was_given()


@pytest.mark.rule("AUZ-03")
def test_the_client_is_looked_at_before_the_address(shop: RelyingParty) -> None:
    is_shown(ask(shop, client_id="app_never", redirect_uri=FOREIGN, response_type="token"), "unknown_client")
    assert "authorize.rejected" not in events()


@pytest.mark.rule("AUZ-04")
@pytest.mark.parametrize("scope", ["openid", "email", None])
@pytest.mark.parametrize("uri", ["", None])
def test_the_address_has_to_be_named(shop: RelyingParty, uri: str | None, scope: str | None) -> None:
    is_shown(ask(shop, redirect_uri=uri, scope=scope), "invalid_request")
    assert nothing_was_given()


@pytest.mark.rule("AUZ-05")
def test_a_native_client_is_answered_on_its_port(app: Flask) -> None:
    loopback = ["http://127.0.0.1/cb", "http://[::1]:1/cb", "http://localhost:3000/cb"]
    cli = relying_party(app, "app_cli", public=True, redirect_uris=loopback, application_type="native")
    for uri in ("http://127.0.0.1:51004/cb", "http://[::1]:51004/cb", "http://localhost:3000/cb"):
        assert sent_back(ask(cli, redirect_uri=uri, response_type="x"), uri)["error"] == "unsupported_response_type"
    for uri in (
        "http://localhost:51004/cb",
        "http://127.0.0.2/cb",
        "http://127.0.0.1:80@host/cb",
        "http://127.0.0.1:1/x",
    ):
        is_shown(ask(cli, redirect_uri=uri, response_type="x"), "redirect_uri_mismatch")


@pytest.mark.rule("AUZ-07")
@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_who_names_two_clients_or_addresses_is_sent_nowhere(shop: RelyingParty, name: str) -> None:
    for value in ("", "x", {"client_id": shop.id, "redirect_uri": CALLBACK}[name]):
        is_shown(ask(shop, (name, value)), "invalid_request")


@pytest.mark.rule("PAR-07")
def test_request_objects_without_an_address_beside_them_are_refused_by_name(shop: RelyingParty) -> None:
    is_shown(ask(shop, redirect_uri=None, request="a.b.c"), "request_not_supported")
    is_shown(ask(shop, redirect_uri=None, request_uri="https://shop.example.com/r"), "request_uri_not_supported")


def test_who_is_registered_to_push_its_requests_is_not_heard_otherwise(app: Flask) -> None:
    bank = relying_party(app, "app_bank", require_pushed_authorization_requests=True)
    is_shown(ask(bank), "invalid_request")
    is_shown(ask(bank, request="a.b.c"), "invalid_request")


# What is sent back


SENT_BACK = {
    "response_type": "unsupported_response_type",
    "no response_type": "invalid_request",
    "response_mode": "invalid_request",
    "scope": "invalid_scope",
    "challenge": "invalid_request",
    "method": "invalid_request",
    "prompt": "invalid_request",
    "max_age": "invalid_request",
    "claims": "invalid_request",
    "resource": "invalid_target",
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
}


@pytest.mark.rule("AUZ-08")
@pytest.mark.rule("AUZ-16")
@pytest.mark.parametrize("wrong", SENT_BACK)
def test_whatever_else_is_wrong_is_sent_back(shop: RelyingParty, wrong: str) -> None:
    response = ask(shop, state="s-1", **WRONG[wrong])
    told = sent_back(response)
    assert told.pop("error_description").isascii()
    assert told == {"error": SENT_BACK[wrong], "state": "s-1", "iss": ISSUER}
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert nothing_was_given()


def test_the_query_of_a_registered_address_stays_as_it_is(app: Flask) -> None:
    uri = CALLBACK + "?tenant=1&x=%20"
    shop = relying_party(app, "app_shop", redirect_uris=[uri])
    location = ask(shop, response_type="x", state=None).headers["Location"]
    assert location.startswith(uri + "&error=unsupported_response_type&error_description=")


@pytest.mark.parametrize(
    "uri",
    [
        "com.example.app:/cb",
        "com.example.app://cb",
        "com.example.app:///cb",
        "HTTPS://Shop.example.com:443/cb",
        "https://shop..example.com/cb?a[]=%7e",
    ],
)
def test_an_address_is_answered_as_it_is_spelled(app: Flask, uri: str) -> None:
    location = ask(relying_party(app, "app_shop", redirect_uris=[uri]), response_type="x").headers["Location"]
    assert location.startswith(f"{uri}{'&' if '?' in uri else '?'}error=unsupported_response_type&")


@pytest.mark.rule("AUZ-07")
@pytest.mark.parametrize("name", ["scope", "response_mode", "nonce", "code_challenge", "unknown"])
def test_who_sends_a_parameter_twice_is_told(shop: RelyingParty, name: str) -> None:
    told = sent_back(ask(shop, (name, "1"), state="s-1", **{name: "1"}))
    assert (told["error"], told["state"], told["iss"]) == ("invalid_request", "s-1", ISSUER)


@pytest.mark.rule("AUZ-07")
def test_of_two_states_none_is_sent_back(shop: RelyingParty) -> None:
    told = sent_back(ask(shop, ("state", "s-2"), state="s-1"))
    assert told["error"] == "invalid_request"
    assert "state" not in told


STATES = (
    "x",
    "x" * 2_000,
    "x" * LIMITS["state"],
    "\r\nSet-Cookie: a=b\r\n\r\n",
    '"><script>alert(1)</script>',
    "' onload='x",
    "&amp;&lt;&iss=https://evil.example&code=c",
    "%0d%0a%25 100% +plus+ #fragment ?a=b",
    " blanks ",
    "žluťoučký кінь 馬 🐎",
    "\x01\x7f\u202e\ufeff\ufffe",
)


@pytest.mark.rule("AUZ-09")
@pytest.mark.parametrize("state", STATES, ids=range(len(STATES)))
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_a_state_comes_back_as_it_was_sent(shop: RelyingParty, state: str, mode: str) -> None:
    response = ask(shop, state=state, response_mode=mode, response_type="x")
    told = sent_back(response) if mode == "query" else posted(response)
    assert (told["error"], told["state"], told["iss"]) == ("unsupported_response_type", state, ISSUER)
    assert "Set-Cookie" not in response.headers
    assert "<script>alert" not in response.text


@pytest.mark.rule("AUZ-09")
def test_a_state_that_is_too_long_makes_the_request_invalid(shop: RelyingParty) -> None:
    told = sent_back(ask(shop, state="x" * (LIMITS["state"] + 1)))
    assert (told["error"], "state" in told) == ("invalid_request", False)


@pytest.mark.rule("AUZ-09")
def test_a_state_that_was_not_sent_does_not_come_back(shop: RelyingParty) -> None:
    for state in ("", None):
        assert "state" not in sent_back(ask(shop, state=state, response_type="x"))


@pytest.mark.rule("AUZ-10")
@pytest.mark.parametrize("kind", ["token", "id_token", "id_token token", "code token", "code id_token", "none", "CODE"])
@pytest.mark.parametrize("grants", [["authorization_code"], ["authorization_code", "client_credentials"]])
def test_nothing_but_a_code_can_be_asked_for(app: Flask, kind: str, grants: list[str]) -> None:
    shop = relying_party(app, "app_shop", grant_types=grants)
    assert sent_back(ask(shop, response_type=kind))["error"] == "unsupported_response_type"
    assert nothing_was_given()


@pytest.mark.rule("AUZ-11")
@pytest.mark.parametrize("mode", ["fragment", "query.jwt", "web_message"])
def test_an_answer_is_not_sent_in_another_way(shop: RelyingParty, mode: str) -> None:
    assert sent_back(ask(shop, response_mode=mode))["error"] == "invalid_request"
    assert nothing_was_given()


@pytest.mark.rule("PAR-07")
@pytest.mark.parametrize("uri", ["https://shop.example.com/r", "http://169.254.169.254/r", "https://localhost/r"])
def test_request_objects_are_not_fetched(shop: RelyingParty, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: Any) -> Never:
        raise AssertionError("a connection was opened")

    for opening in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, opening, connect)
    assert sent_back(ask(shop, request_uri=uri))["error"] == "request_uri_not_supported"


# By form


@pytest.mark.rule("AUZ-08")
def test_a_form_carries_what_a_redirect_would(shop: RelyingParty) -> None:
    by_form = posted(ask(shop, response_mode="form_post", response_type="x", state="s-1"))
    assert by_form == sent_back(ask(shop, response_type="x", state="s-1"))


@pytest.mark.rule("AUZ-16")
def test_the_page_of_a_form_leads_to_the_client_and_nowhere_else(shop: RelyingParty) -> None:
    response = ask(shop, response_mode="form_post", response_type="x")
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    (nonce,) = re.findall(r'<script nonce="([A-Za-z0-9_-]{22})">', response.text)
    assert policy["form-action"] == "'self' https://shop.example.com"
    assert policy["script-src"] == f"'nonce-{nonce}'"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert response.headers["Cache-Control"] == "no-store"
    assert nonce not in ask(shop, response_mode="form_post", response_type="x").text


# By POST, from wherever


def post(
    shop: RelyingParty, body: bytes | None = None, kind: str = FORM, query: str = "", **changed: str | None
) -> TestResponse:
    """A request by POST from another site, by a browser that carries whatever cookies it has."""
    form = urlsplit(shop.authorize_url(**changed)).query.encode() if body is None else body
    browser = shop.app.test_client()
    browser.set_cookie("idp_browser", "planted")
    return browser.post(PATH + query, data=form, content_type=kind, headers={"Origin": "https://evil.example"})


@pytest.mark.rule("SES-03")
def test_a_request_by_post_is_asked_again_by_get(shop: RelyingParty) -> None:
    address = shop.authorize_url(state=STATES[3] + STATES[9])
    response = post(shop, urlsplit(address).query.encode())
    assert (response.status_code, response.text) == (303, "")
    assert "Set-Cookie" not in response.headers
    again = urlsplit(response.headers["Location"])
    assert (again.scheme, again.netloc, again.path) == ("", "", PATH)
    assert parse_qsl(again.query, strict_parsing=True) == parse_qsl(urlsplit(address).query, strict_parsing=True)


@pytest.mark.rule("SES-03")
def test_a_post_acts_for_nobody(shop: RelyingParty, monkeypatch: pytest.MonkeyPatch) -> None:
    def recognise(_: object) -> Never:
        raise AssertionError("a cookie was looked at")

    monkeypatch.setattr(browsers, "recognise", recognise)
    assert post(shop).headers["Location"].startswith(PATH + "?")
    assert nothing_was_given()


def test_what_nobody_reads_is_not_carried_on(shop: RelyingParty) -> None:
    response = post(shop, urlencode({"x": "y" * 100_000}).encode(), query=shop.authorize_url().removeprefix(PATH))
    assert "yyy" not in response.headers["Location"]


def test_what_is_wrong_is_told_at_once(shop: RelyingParty) -> None:
    assert sent_back(post(shop, response_type="token"))["error"] == "unsupported_response_type"
    is_shown(post(shop, redirect_uri=FOREIGN), "redirect_uri_mismatch")
    assert "authorize.rejected" in events(shop.id)


@pytest.mark.rule("AUZ-07")
def test_a_parameter_in_the_address_and_in_the_body_was_sent_twice(shop: RelyingParty) -> None:
    assert sent_back(post(shop, query="?nonce=n-1"))["error"] == "invalid_request"
    is_shown(post(shop, query=f"?client_id={shop.id}"), "invalid_request")


@pytest.mark.rule("AUZ-15")
@pytest.mark.parametrize("name", ["claims", "ui_locales", "acr_values", "authorization_details", "state", "request"])
def test_a_megabyte_is_ignored_or_refused(shop: RelyingParty, name: str) -> None:
    response = post(shop, **{name: "9" * 990_000})
    if name != "authorization_details":
        assert sent_back(response)["error"] == "invalid_request"
    else:
        assert len(response.headers["Location"]) < 1_000


@pytest.mark.rule("AUZ-15")
def test_a_request_that_would_not_fit_into_an_address_is_refused(shop: RelyingParty) -> None:
    long = {"state": "é" * 2_000, "login_hint": "é" * 500, "ui_locales": "é" * 500}
    told = sent_back(post(shop, **long))
    assert (told["error"], told["state"]) == ("invalid_request", long["state"])


@pytest.mark.parametrize("kind", ["", "application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_a_body_that_is_no_form_is_not_read(shop: RelyingParty, kind: str) -> None:
    assert post(shop, b"{}", kind).status_code == 415


@pytest.mark.parametrize("kind", [FORM, "Application/X-WWW-Form-URLencoded; charset=UTF-8"])
def test_a_form_is_one_in_any_letter_case(shop: RelyingParty, kind: str) -> None:
    assert post(shop, kind=kind).status_code == 303


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_do_nothing(shop: RelyingParty, method: str) -> None:
    response = shop.app.test_client().open(shop.authorize_url(), method=method)
    assert (response.status_code, sorted(response.headers["Allow"].split(", "))) in [
        (405, ["GET", "POST"]),
        (405, ["GET", "HEAD", "POST"]),
    ]
    assert nothing_was_given()


# Whatever somebody sends


@pytest.fixture
def every(app: Flask) -> list[RelyingParty]:
    """A web and a native client with every kind of address."""
    return [
        relying_party(app, f"app_{kind}", redirect_uris=list(ALL), application_type=kind) for kind in ("web", "native")
    ]


def can_be_sent(uri: str) -> bool:
    """Whether the address has a spelling in UTF-8; a lone surrogate has none."""
    return uri == uri.encode("utf-8", "ignore").decode()


@pytest.mark.rule("AUZ-01")
@SOME
@given(uri=mutated().filter(can_be_sent))
def test_no_mutated_address_is_followed(every: list[RelyingParty], uri: str) -> None:
    for asking in every:
        response = ask(asking, redirect_uri=uri, response_type="x")
        if response.status_code == 303:
            assert uri in ALL or is_other_port(uri, asking)
            assert response.headers["Location"].startswith(uri)
        else:
            assert response.status_code == 400
            assert "Location" not in response.headers


def is_other_port(uri: str, asking: RelyingParty) -> bool:
    """Whether the address is a loopback one of the native client with a port of its own."""
    return asking.id == "app_native" and re.fullmatch(A_PORT, uri) is not None


_NAMES = st.sampled_from([*LIMITS, "audience", "authorization_details", "unknown", ""])
_VALUES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["code", "openid", CALLBACK, "app_shop", "none", "form_post", "S256", "{}", "[" * 70, "0", "-1"]),
    st.sampled_from(["9" * 5_000, "x" * 9_000, "\0", "\r\n", "%", "é", '{"id_token":{"acr":{"essential":true}}}']),
)
_PAIRS = st.lists(st.tuples(_NAMES, _VALUES), max_size=6)
_RAW = st.binary(max_size=60).map(lambda raw: raw.replace(b" ", b"+").replace(b"\r", b"").replace(b"\n", b""))


@pytest.mark.rule("AUZ-15")
@MANY
@given(pairs=_PAIRS, raw=_RAW, is_good=st.booleans(), by_post=st.booleans())
def test_no_request_is_a_fault_of_ours(
    shop: RelyingParty, pairs: list[tuple[str, str]], raw: bytes, is_good: bool, by_post: bool
) -> None:
    good = urlsplit(shop.authorize_url(**{name: None for name, _ in pairs if name})).query.encode() if is_good else b""
    encoded = b"&".join([good, urlencode(pairs).encode(), raw])
    if by_post:
        response = shop.app.test_client().post(PATH, data=encoded, content_type=FORM)
    else:
        response = shop.app.test_client().get(PATH, query_string=encoded.decode("latin-1"))
    assert response.status_code < 500
    if response.status_code in (302, 303):
        assert response.headers["Location"].startswith((CALLBACK + "?", "/"))
