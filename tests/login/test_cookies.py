"""Cookies: what they are called, how they are set, and that a request from another site reads and sets none."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.app import create_app
from idp.platform import database
from idp.platform.settings import Settings
from idp.sessions import csrf, people
from tests.actors import GOOD, Browser, Page
from tests.databases import SECRET_KEY


@contextmanager
def provider(url: str, issuer: str) -> Iterator[Flask]:
    """A provider on the same database under that address."""
    app = create_app(Settings(issuer=issuer, database_url=url, secret_key=(SECRET_KEY,)))
    with app.app_context():
        try:
            yield app
        finally:
            database.db.session.remove()
            database.db.engine.dispose()


def set_by(answer: TestResponse) -> dict[str, set[str]]:
    """The cookies that the answer sets: names, and their attributes without values that vary."""
    found = {}
    for line in answer.headers.getlist("Set-Cookie"):
        pair, *attributes = line.split("; ")
        found[pair.partition("=")[0]] = {re.sub(r"Max-Age=\d+", "Max-Age", attribute) for attribute in attributes}
    return found


@pytest.mark.rule("SES-03")
@pytest.mark.parametrize(
    ("issuer", "prefix", "secure"),
    [("https://id.example.com", "__Host-", {"Secure"}), ("http://localhost:8000", "", set())],
)
def test_cookies_belong_to_this_host_alone(
    database_url: str, olivia: str, issuer: str, prefix: str, secure: set[str]
) -> None:
    with provider(database_url, issuer) as app:
        answer = app.test_client().get("/login", base_url=issuer)
        begun = {f"{prefix}idp_browser": {"Path=/", "HttpOnly", "SameSite=Lax", "Max-Age"} | secure}
        assert set_by(answer) == begun
        chosen = app.test_client().get("/logout?ui_locales=de", base_url=issuer)
        assert set_by(chosen) == {f"{prefix}idp_locale": {"Path=/", "HttpOnly", "SameSite=Lax", "Max-Age"} | secure}


@pytest.mark.rule("SES-03")
def test_the_name_for_plain_http_is_nobodys_where_the_issuer_is_https(database_url: str, olivia: str) -> None:
    with provider(database_url, "https://id.example.com") as app:
        client = app.test_client()
        token = (
            client.get("/login", base_url="https://id.example.com").headers["Set-Cookie"].split("=")[1].split(";")[0]
        )
        fresh = app.test_client(use_cookies=False)
        for name, begins in (("idp_browser", True), ("__Host-idp_browser", False)):
            answer = fresh.get("/login", base_url="https://id.example.com", headers={"Cookie": f"{name}={token}"})
            assert bool(set_by(answer)) is begins


@pytest.mark.rule("SES-03")
def test_a_form_from_another_site_reads_and_sets_no_cookie(browser: Browser, olivia: str) -> None:
    assert browser.sign_in("olivia").name == "me"
    before = browser.cookie()
    for path in (
        "/login",
        "/login/password",
        "/logout?ui_locales=de",
        "/select",
        "/me/sessions",
        "/nowhere?ui_locales=de",
    ):
        answer = browser.client.post(path, data={"username": "bob"}, headers={"Origin": "https://evil.test"})
        assert answer.status_code in (403, 404)
        assert set_by(answer) == {}
        assert "Olivia" not in answer.text
    assert browser.cookie() == before
    assert browser.get("/me").name == "me"


@pytest.mark.rule("SES-03")
def test_two_cookies_of_one_name_do_not_shadow_each_other(app: Flask, olivia: str) -> None:
    browser = Browser(app)
    browser.sign_in("olivia")
    mine = f"idp_browser={browser.cookie()}"
    for header, is_known in (
        (mine, True),
        (f"{mine}; {mine}", True),
        (f"idp_browser=planted; {mine}", False),
        (f"{mine}; idp_browser=planted", False),
        (f"=idp_browser=planted; {mine}", True),
        (f"planted; {mine}; ; =", True),
        (f"x{mine}", False),
        (mine.upper(), False),
    ):
        answer = app.test_client(use_cookies=False).get("/me", headers={"Cookie": header})
        assert (answer.status_code == 200) is is_known, header


@pytest.mark.rule("SES-01")
def test_nothing_but_the_cookie_says_who_somebody_is(app: Flask, browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    token = browser.cookie()
    stranger = app.test_client()
    assert stranger.get("/me", query_string={"idp_browser": token}).status_code == 303
    assert stranger.get("/me", headers={"Authorization": f"Bearer {token}"}).status_code == 303


@pytest.mark.rule("SES-01")
def test_the_cookie_changes_when_somebody_signs_in_steps_up_and_signs_out(browser: Browser, olivia: str) -> None:
    browser.get("/login")
    seen = [browser.cookie()]
    for _ in range(2):
        browser.sign_in("olivia")
        seen.append(browser.cookie())
    browser.send(browser.get("/logout"), "logout-confirm")
    seen.append(browser.cookie())
    assert len(set(seen)) == 4
    for old in seen[:-1]:
        browser.put_cookie(old)
        assert browser.get("/me").name == "login"


@pytest.mark.rule("SES-06")
def test_a_person_sees_their_sessions_and_ends_one_or_all_others(app: Flask, browser: Browser, olivia: str) -> None:
    others = [Browser(app, f"203.0.113.{number}") for number in range(3)]
    for one in (browser, *others):
        one.client.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (X11; Linux) Gecko/20100101 Firefox/140.0"
        assert one.sign_in("olivia").name == "me"
    page = browser.get("/me/sessions")
    assert page.text.count("Firefox on Linux</strong>") == 4
    assert "203.0.113.2" in page.text
    ended = re.findall(r'name="session" value="(ses_[^"]+)"', page.text)[1]
    assert browser.send(page, "session", session=ended).text.count("Firefox on Linux</strong>") == 3
    assert [one.get("/me").name for one in others].count("login") == 1
    rest: Page = browser.send(page, "session", session="others")
    assert rest.text.count("Firefox on Linux</strong>") == 1
    assert {one.get("/me").name for one in others} == {"login"}
    assert browser.get("/me").name == "me"


@pytest.mark.rule("SES-01", "SES-05")
def test_whoever_ends_their_own_session_leaves_with_another_cookie_and_nobody_takes_their_place(
    browser: Browser, olivia: str, bob: str
) -> None:
    browser.sign_in("bob")
    browser.sign_in("olivia")
    old = browser.cookie()
    (session,) = people.of_person(olivia)
    form = {"csrf_token": csrf.token(session.browser_id, session.id), "session": session.id}
    left = browser.client.post("/me/sessions", data=form)
    assert (left.status_code, left.location) == (303, "/login")
    assert browser.cookie() not in ("", old)
    database.session().rollback()
    assert people.of_person(olivia) == []
    assert "Continue as </span>" in browser.get("/login").text
    browser.put_cookie(old)
    assert browser.get("/me").name == "login"


def test_nobody_ends_the_session_of_somebody_else(app: Flask, browser: Browser, olivia: str, bob: str) -> None:
    his = Browser(app)
    assert his.sign_in("bob", GOOD).name == "me"
    assert browser.sign_in("olivia").name == "me"
    again = Browser(app)
    again.sign_in("olivia")
    found = re.search(r'name="session" value="(ses_[^"]+)"', browser.get("/me/sessions").text)
    assert found
    Browser(app).sign_in("bob")
    page = his.get("/me/sessions")
    assert his.send(page, "session", session=found[1]).status == 404
    assert again.get("/me").name == "me"
