"""Signing in under attack: another browser, another person, twice, at once, late, huge, malformed, forged."""

import threading
from urllib.parse import quote, urljoin, urlsplit

import pytest
import time_machine
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from idp.credentials import passwords
from idp.credentials.guesses import FREE_IN_A_ROW
from idp.credentials.passwords import Verdict
from idp.login.transactions import LIFETIME
from idp.platform import clock, database
from idp.sessions import browsers, people
from idp.sessions.models import Browser as BrowserRow
from idp.sessions.models import BrowserSession
from tests.actors import GOOD, Browser, Page, transaction_in
from tests.login.conftest import made


@pytest.fixture
def mallory(app: Flask) -> str:
    return made("mallory")


def signed_in(browser: Browser) -> list[str]:
    """The ids of those who are signed in in the browser, as the database has it."""
    database.session().rollback()
    return sorted(one.user_id for one in people.in_browser(browsers.recognise(browser.cookie())))


# Planted cookies


@pytest.mark.rule("SES-01")
@pytest.mark.rule("SES-02")
def test_who_planted_a_cookie_is_left_behind_also_by_signing_in_at_the_very_same_moment(
    browser: Browser, other: Browser, olivia: str, mallory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    password_of_mallory = other.send(other.get("/login"), "username", username="mallory")
    browser.put_cookie(other.cookie())
    check = passwords.verify

    def while_olivia_signs_in(user_id: str | None, plaintext: str) -> Verdict:
        if user_id == mallory:
            assert browser.sign_in("olivia").path == "/me"
        return check(user_id, plaintext)

    monkeypatch.setattr(passwords, "verify", while_olivia_signs_in)
    other.post(password_of_mallory, "password", password=GOOD)
    assert signed_in(browser) == [olivia]
    assert olivia not in signed_in(other)


@pytest.mark.rule("SES-01")
def test_signing_out_by_a_cookie_that_has_just_changed_gives_nobody_the_new_one(
    browser: Browser, other: Browser, olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = browser.sign_in("olivia")
    other.put_cookie(browser.cookie())
    asked = other.get("/logout")
    lock = browsers.lock

    def after_she_stepped_up(browser_id: str) -> BrowserRow:
        monkeypatch.setattr(browsers, "lock", lock)
        browsers.renew(locked := lock(browser_id))
        return locked

    monkeypatch.setattr(browsers, "lock", after_she_stepped_up)
    assert other.post(asked, "logout-confirm").status_code == 403
    assert browser.get(page.address).status == 200


@pytest.mark.rule("SES-01")
def test_a_cookie_that_changes_while_it_is_read_shows_nobody_who_signed_in_with_the_change(
    browser: Browser, other: Browser, olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.get("/login")
    other.put_cookie(browser.cookie())
    recognise = browsers.recognise

    def before_olivia_signs_in(token: str | None) -> BrowserRow | None:
        found = recognise(token)
        monkeypatch.setattr(browsers, "recognise", recognise)
        assert browser.sign_in("olivia").path == "/me"
        return found

    monkeypatch.setattr(browsers, "recognise", before_olivia_signs_in)
    assert other.get("/me").name == "login"


# The other browser, the other person


@pytest.mark.rule("SES-02")
def test_a_sign_in_of_another_browser_is_neither_shown_nor_finished(
    browser: Browser, other: Browser, olivia: str
) -> None:
    asked = named(browser)
    other.get("/login")
    for answer in (other.get(asked.address), other.get(f"/login?txn={transaction_in(asked)}")):
        assert answer.status == 400
        assert "olivia" not in answer.text
    assert other.post(asked, "password", password=GOOD).status_code == 403
    assert (signed_in(browser), signed_in(other)) == ([], [])


@pytest.mark.rule("SES-08")
def test_what_the_first_person_left_open_is_closed_with_signing_out(browser: Browser, olivia: str, bob: str) -> None:
    browser.sign_in("olivia")
    left = [browser.get("/select"), named(browser)]
    browser.send(browser.get("/logout"), "logout-confirm")
    for page in left:
        assert "olivia" not in browser.get(page.address).text
        assert "olivia" not in browser.get(f"/login?txn={transaction_in(page)}").text
    assert browser.post(left[1], "password", password=GOOD).location == "/me"
    assert signed_in(browser) == []


def named(browser: Browser) -> Page:
    """The page that asks for the password of Olivia."""
    return browser.send(browser.get("/login"), "username", username="olivia")


# Twice, at once, late


@pytest.mark.rule("SES-02")
def test_a_sign_in_that_is_finished_twice_at_once_opens_one_session(app: Flask, browser: Browser, olivia: str) -> None:
    asked = named(browser)
    cookie = browser.cookie()
    answers = []

    def finish() -> None:
        twin = Browser(app)
        twin.put_cookie(cookie)
        answers.append(twin.post(asked, "password", password=GOOD))

    both = [threading.Thread(target=finish) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sum("Set-Cookie" in answer.headers for answer in answers) == 1
    database.session().rollback()
    assert database.session().scalar(select(func.count()).select_from(BrowserSession)) == 1


@pytest.mark.rule("SES-02")
def test_a_form_that_is_sent_again_proves_nothing_more(browser: Browser, olivia: str) -> None:
    asked = named(browser)
    browser.post(asked, "password", password=GOOD)
    cookie = browser.cookie()
    assert browser.post(asked, "password", password=GOOD).location == "/me"
    assert browser.cookie() == cookie
    browser.send(browser.get("/logout"), "logout-confirm")
    assert browser.post(asked, "password", password=GOOD).location == "/me"
    assert signed_in(browser) == []


@pytest.mark.rule("SES-02")
def test_a_password_that_comes_late_opens_nothing(browser: Browser, olivia: str) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as watch:
        asked = named(browser)
        watch.shift(LIFETIME / clock.SECOND)
        assert browser.post(asked, "password", password=GOOD).status_code == 400
        assert signed_in(browser) == []


@pytest.mark.rule("SES-08", "SES-02")
def test_a_password_counts_for_whoever_was_named_when_it_was_given(
    browser: Browser, olivia: str, mallory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = browser.send(browser.get("/login"), "username", username="mallory")
    check = passwords.verify

    def while_another_tab_names_olivia(user_id: str | None, plaintext: str) -> Verdict:
        naming = browser.get(f"/login?txn={transaction_in(asked)}")
        browser.post(naming, "username", username="olivia")
        return check(user_id, plaintext)

    monkeypatch.setattr(passwords, "verify", while_another_tab_names_olivia)
    browser.post(asked, "password", password=GOOD)
    assert signed_in(browser) == []
    assert "olivia" in browser.get(asked.address).text


# Huge, malformed, junk


@pytest.mark.parametrize("username", ["x" * 990_000, "@" * 990_000, "a@" + "b." * 400_000, "\u0301" * 300_000])
def test_a_huge_name_is_only_a_name_that_is_nobodys(browser: Browser, username: str) -> None:
    answer = browser.post(browser.get("/login"), "username", username=username)
    assert answer.status_code in (303, 413)


@pytest.mark.rule("LOG-01")
@pytest.mark.parametrize("field", ["username", "password"])
@pytest.mark.parametrize("value", ["%00", "a%00b", "%ED%A0%80", "%FF", "%C0%AF"])
def test_what_is_no_text_is_refused(browser: Browser, olivia: str, field: str, value: str) -> None:
    page = browser.get("/login") if field == "username" else named(browser)
    token = page.form(field).fields["csrf_token"]
    form = f"csrf_token={token}&{field}={value}"
    answer = browser.client.post(page.address, data=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 400


@pytest.mark.rule("SES-04")
def test_a_token_that_is_sent_twice_is_none(browser: Browser, olivia: str) -> None:
    page = browser.get("/login")
    token = page.form("username").fields["csrf_token"]
    assert browser.client.post(page.address, data={"csrf_token": [token, token], "username": "a"}).status_code == 403


@pytest.mark.rule("SES-09")
@pytest.mark.parametrize(
    "jar",
    [
        "; ".join(f"junk{number}={'x' * 490}" for number in range(100)),
        "idp_browser=",
        "idp_browser=%00\u00ff\u00fe",
        "idp_browser=" + "A" * 43,
        "idp_browser=" + "x" * 50_000,
        "idp_browser=a; idp_browser=b",
        '=idp_browser; ; ;;=; "; idp_browser',
    ],
    ids=["many", "empty", "bytes", "unknown", "huge", "two", "nameless"],
)
def test_junk_in_the_jar_is_as_good_as_no_cookie(app: Flask, jar: str) -> None:
    client = app.test_client(use_cookies=False)
    asked = client.get("/me", headers={"Cookie": jar})
    assert (asked.status_code, asked.location) == (303, "/login")
    begun = client.get("/login", headers={"Cookie": jar})
    assert begun.status_code == 303
    fresh = begun.headers["Set-Cookie"].partition(";")[0]
    assert client.get(begun.location, headers={"Cookie": f"other={'x' * 5_000}; {fresh}"}).status_code == 200


# The way back, and where somebody comes from


HOSTILE = [
    *("https://evil.test/", "//evil.test", "/\\evil.test", "\\\\evil.test", "https:evil.test", "/\t/evil.test"),
    *("/%2f%2fevil.test", "javascript:alert(1)", "/me\r\nLocation: https://evil.test", "/" + "a" * 8_000),
]


@pytest.mark.rule("AUZ-17")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["return_to", "next", "redirect_uri", "continue", "txn", "ui_locales", "login_hint"]),
    value=st.sampled_from(HOSTILE) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
)
def test_no_parameter_leads_away(app: Flask, olivia: str, name: str, value: str) -> None:
    browser = Browser(app)
    for path in ("/login", "/select", "/me"):
        answer = browser.client.get(f"{path}?{name}={quote(value, safe='')}")
        if answer.status_code == 303:
            assert not is_elsewhere(answer.location)
            page = browser.get(answer.location)
            if page.name == "login":
                fields = page.form("username").fields
                left = browser.client.post(page.address.replace("/login?", "/login/cancel?"), data=fields)
                assert left.status_code == 303
                assert not is_elsewhere(left.location)


def is_elsewhere(location: str) -> bool:
    """Whether a browser that is told to go there leaves our origin."""
    read = "".join(letter for letter in location if letter not in "\t\r\n").replace("\\", "/")
    return urlsplit(urljoin("http://localhost:8000/login", read)).netloc != "localhost:8000"


@pytest.mark.rule("LOG-08")
def test_a_forged_address_does_not_make_guesses_free(browser: Browser, olivia: str) -> None:
    asked, status = named(browser), []
    form = asked.form("password")
    for number in range(FREE_IN_A_ROW + 1):
        forged = {"X-Forwarded-For": f"203.0.113.{number}", "Forwarded": f"for=203.0.113.{number}"}
        sent = form.fields | {"password": "wrong"}
        status.append(browser.client.post(asked.address, data=sent, headers=forged).status_code)
    assert status == [303] * FREE_IN_A_ROW + [429]
