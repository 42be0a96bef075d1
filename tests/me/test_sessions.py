"""`/me/sessions`: where somebody is signed in, what for, and which browsers they trust."""

import pytest
from flask import Flask
from time_machine import Traveller

from idp.platform import clock, database
from idp.sessions import people, trusted_devices
from tests.actors import Browser
from tests.oauth.actors import Browser as Visitor
from tests.oauth.actors import relying_party
from tests.phones import given_to
from tests.proving import trust
from tests.traces import events

PATH = "/me/sessions"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit Version/26.0 Safari/604.1"
LAPTOP = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit Chrome/150.0 Safari/537.36"


def at(browser: Browser, user_agent: str) -> Browser:
    browser.client.environ_base["HTTP_USER_AGENT"] = user_agent
    return browser


def sessions(user_id: str) -> int:
    database.session().rollback()
    return len(people.of_person(user_id))


@pytest.mark.rule("SES-06")
def test_a_person_sees_where_and_since_when_and_for_what_they_are_signed_in(
    app: Flask, browser: Browser, olivia: str, clockwork: Traveller
) -> None:
    elsewhere = Visitor(app, "203.0.113.7")
    at(elsewhere, PHONE)
    elsewhere.sign_in("olivia")
    for name in ("Shop", "<b>Ledger</b>"):
        elsewhere.get(relying_party(app, client_name=name, first_party=True).authorize_url())
    clockwork.shift(3600)
    at(browser, LAPTOP).sign_in("olivia")
    page = browser.get(PATH)
    assert (page.status, page.name, page.heading) == (200, "me", "Sessions")
    mine, theirs = page.text.index("Chrome on macOS"), page.text.index("Safari on iPhone")
    assert mine < page.text.index("This browser") < theirs
    assert page.text.index("192.0.2.1") < theirs < page.text.index("203.0.113.7")
    assert "&lt;b&gt;Ledger&lt;/b&gt;</bdi> · <bdi>Shop</bdi>" in page.text
    for instant in (1_900_000_000, 1_900_003_600):
        assert clock.iso(instant * clock.SECOND) in page.text


@pytest.mark.rule("SES-06")
def test_one_session_is_ended_or_every_other(app: Flask, browser: Browser, olivia: str) -> None:
    others = [Browser(app, f"203.0.113.{number}") for number in range(3)]
    for one in (*others, browser):
        one.sign_in("olivia")
    page = browser.get(PATH)
    ids = [one["value"] for form in page.forms for one in form.buttons if one.get("name") == "session"]
    page = browser.send(page, "session", session=ids[-1])
    assert ("That session has ended." in page.text, sessions(olivia)) == (True, 3)
    page = browser.send(page, "session", session="others")
    assert ("signed out everywhere else" in page.text, sessions(olivia)) == (True, 1)
    assert {one.get("/me").name for one in others} == {"login"}
    assert browser.get("/me").name == "me"
    assert browser.send(page, "session", session=ids[-1]).status == 404


def test_whoever_ends_this_very_session_is_signed_out(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    page = browser.get(PATH)
    (own,) = people.of_person(olivia)
    assert browser.send(page, "session", session=own.id).name == "login"
    assert sessions(olivia) == 0


# Trusted devices


def test_trusted_browsers_are_listed_and_forgotten_on_both_pages(browser: Browser, other: Browser, olivia: str) -> None:
    for one, agent in ((browser, LAPTOP), (other, PHONE)):
        at(one, agent).sign_in("olivia")
        trust(one, olivia)
    for path in (PATH, "/me/security"):
        page = browser.get(path)
        assert page.text.count("Chrome on macOS") >= 1
        assert "Safari on iPhone" in page.text
        assert "Forget all devices" in page.text
        (last, *_) = [one["value"] for form in page.forms for one in form.buttons if one.get("name") == "device"]
        page = browser.send(page, "device", device=last)
        assert (page.path, "asked for a second factor again" in page.text) == (path, True)
        database.session().rollback()
        trust(other if path == PATH else browser, olivia)
    page = browser.send(browser.get(PATH), "device", device="all")
    database.session().rollback()
    assert ("No browser is trusted" in page.text, trusted_devices.of(olivia)) == (True, [])


def test_nobody_ends_the_trust_of_somebody_else(browser: Browser, other: Browser, olivia: str, bob: str) -> None:
    other.sign_in("bob")
    his = trust(other, bob)
    browser.sign_in("olivia")
    trust(browser, olivia)
    page = browser.get(PATH)
    for id in (his, "dev_unknown", ""):
        assert browser.send(page, "device", device=id).status == 404
    database.session().rollback()
    assert [device.id for device, _ in trusted_devices.of(bob)] == [his]
    browser.send(page, "device", device="all")
    database.session().rollback()
    assert [device.id for device, _ in trusted_devices.of(bob)] == [his]


def test_a_forgotten_browser_is_asked_for_a_second_factor_again(
    browser: Browser, olivia: str, clockwork: Traveller
) -> None:
    phone = given_to(olivia)
    browser.send(browser.sign_in("olivia"), "otp", otp=phone.code(), trust="yes")
    browser.send(browser.get("/logout"), "logout-confirm")
    assert browser.sign_in("olivia").name == "me"
    ((device, _),) = trusted_devices.of(olivia)
    browser.send(browser.get(PATH), "device", device=device.id)
    browser.send(browser.get("/logout"), "logout-confirm")
    assert browser.sign_in("olivia").name == "otp"
    assert sorted(events(device.id)) == ["device.distrusted", "device.trusted"]
