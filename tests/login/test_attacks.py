"""Signing in under attack: another browser, another person, twice, at once, late, huge, malformed, forged."""

import pytest
from flask import Flask

from idp.credentials import passwords
from idp.credentials.passwords import Verdict
from idp.platform import database
from idp.sessions import browsers, people
from idp.sessions.models import Browser as BrowserRow
from tests.actors import GOOD, Browser
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
