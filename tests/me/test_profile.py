"""`/me`: what people say about themselves, and how pages look to them."""

import html

import pytest
import time_machine
from flask import Flask

from idp.platform import database
from idp.users import claims, profiles, users
from idp.users.users import UserSettings
from tests.actors import Browser
from tests.traces import OPERATOR, events

EVERYTHING = {
    "name": "Liv",
    "given_name": "Olivia",
    "family_name": "Lund Æ",
    "locale": "de",
    "zoneinfo": "Asia/Tokyo",
    "theme": "dark",
}


def said(user_id: str) -> dict[str, claims.Json]:
    database.session().rollback()
    return {name: value for name, value in claims.load(users.find(user_id).claims).items() if name != "updated_at"}


def test_what_people_say_of_themselves_is_kept_and_told(browser: Browser, olivia: str) -> None:
    page = browser.sign_in("olivia")
    page = browser.send(page, "profile-submit", **EVERYTHING)
    assert (page.path, 'lang="de"' in page.text, 'data-theme="dark"' in page.text) == ("/me", True, True)
    theme = EVERYTHING["theme"]
    assert said(olivia) == {name: value for name, value in EVERYTHING.items() if name != "theme"}
    assert users.find(olivia).theme == theme
    assert events(olivia)[-1] == "user.changed"
    page = browser.get("/me")
    for name in ("name", "given_name", "family_name"):
        assert page.form("profile-submit").fields[name] == EVERYTHING[name]
    assert '<option value="Asia/Tokyo" selected>' in page.text
    assert '<option value="de" lang="de" selected>' in page.text
    assert "L</span>" in page.text


def test_an_empty_field_takes_back_what_was_said(browser: Browser, olivia: str) -> None:
    page = browser.sign_in("olivia")
    browser.send(page, "profile-submit", **EVERYTHING)
    browser.send(browser.get("/me"), "profile-submit", **dict.fromkeys(EVERYTHING, ""))
    assert (said(olivia), users.find(olivia).theme) == ({}, "")
    assert 'lang="en"' in browser.get("/me").text


def test_what_operators_said_stays_where_the_page_does_not_speak_of_it(browser: Browser, olivia: str) -> None:
    more = {"birthdate": "1980-01-01", "locale": "de-AT", "zoneinfo": "Europe/Vienna"}
    with database.writing():
        users.reconfigure(users.find(olivia), UserSettings(claims=more), by=OPERATOR)
    page = browser.sign_in("olivia")
    browser.send(page, "profile-submit", given_name="Liv", locale="de", zoneinfo="Europe/Vienna")
    assert said(olivia) == {**more, "given_name": "Liv"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 201),
        ("given_name", "a\nb"),
        ("family_name", "\u202egnp"),
        ("locale", "tlh"),
        ("zoneinfo", "Mars/Olympus"),
        ("zoneinfo", "../../etc/passwd"),
    ],
)
def test_what_cannot_be_is_told_beside_its_field(browser: Browser, olivia: str, field: str, value: str) -> None:
    before = said(olivia)
    page = browser.sign_in("olivia")
    page = browser.send(page, "profile-submit", **{field: value})
    assert (page.status, page.alerts, f'href="#{field}"' in page.text) == (422, 1, True)
    assert (said(olivia), page.title.startswith("Error")) == (before, True)


def test_the_theme_is_the_persons_and_the_browsers_after_them(app: Flask, browser: Browser, olivia: str) -> None:
    with database.writing():
        profiles.store(olivia, profiles.Profile(theme="dark"), by=OPERATOR)
    assert "data-theme" not in browser.get("/login").text
    browser.sign_in("olivia")
    assert 'data-theme="dark"' in browser.get("/login?prompt=login").text
    browser.send(browser.get("/logout"), "logout-confirm")
    assert 'data-theme="dark"' in browser.get("/login").text
    browser.client.set_cookie("idp_theme", "</script>")
    assert "data-theme" not in browser.get("/login").text


def test_times_are_told_in_the_persons_zone(browser: Browser, olivia: str) -> None:
    with database.writing():
        profiles.store(olivia, profiles.Profile(zoneinfo="Asia/Tokyo"), by=OPERATOR)
    with time_machine.travel("2027-03-31T18:00Z", tick=False):
        browser.sign_in("olivia")
        shown = html.unescape(browser.get("/me/sessions").text)
    assert ("1 Apr 2027, 03:00<" in shown, " UTC<" in shown) == (True, False)


def test_nobody_else_is_told_that_a_profile_was_saved(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    assert "Your profile is saved." not in browser.get("/me?done=profile.saved&signed=x").text
