"""`/me/security/password`: a password is changed by who knows it, or has just proven something stronger."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from time_machine import Traveller

from idp.credentials import guesses, hashing, held, passwords
from idp.credentials.hashing import TooBusy
from idp.organizations import organizations, policies
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.policies import PolicySettings
from idp.platform import database
from idp.sessions import people, trusted_devices
from tests.actors import GOOD, Browser, Page
from tests.login.conftest import made
from tests.me.conftest import LATER
from tests.oauth import minting
from tests.oauth.actors import Browser as Visitor
from tests.oauth.actors import RelyingParty, relying_party
from tests.phones import given_to
from tests.proving import set_up, step_up, trust
from tests.traces import OPERATOR, entries, events

NEW = "another good long password"
PATH = "/me/security/password"


def change(browser: Browser, page: Page | None = None, **values: str) -> Page:
    """Fill in the form and send it."""
    return browser.send(page or browser.get(PATH), "password-submit", **values)


def lets_in(app: Flask, password: str) -> bool:
    """Whether Olivia signs in with that password somewhere else."""
    return Browser(app, "198.51.100.77").sign_in("olivia", password).name in ("me", "otp", "verify")


@pytest.mark.rule("PWD-07")
def test_whoever_has_only_a_password_gives_it_for_another_one(app: Flask, browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    cookie = browser.cookie()
    page = change(browser, current="wrong wrong wrong", password=NEW)
    assert (page.status, page.alerts, "not your current password" in page.text) == (400, 1, True)
    assert (lets_in(app, NEW), lets_in(app, GOOD)) == (False, True)
    for nothing in ({"password": NEW}, {"current": "", "password": NEW}):
        assert change(browser, **nothing).status == 400
    page = change(browser, current=GOOD, password=NEW)
    assert (page.path, "The password was changed." in page.text) == ("/me/security", True)
    assert browser.cookie() != cookie
    assert (lets_in(app, NEW), lets_in(app, GOOD)) == (True, False)
    assert events(olivia).count("user.password.set") == 2


@pytest.mark.rule("PWD-07")
def test_whoever_has_more_shows_that_and_not_the_password(
    app: Flask, browser: Browser, olivia: str, clockwork: Traveller
) -> None:
    phone = given_to(olivia)
    browser.send(browser.sign_in("olivia"), "otp", otp=phone.code())
    clockwork.shift(LATER)
    assert browser.get(PATH).name == "otp"
    page = browser.send(browser.get(PATH), "otp", otp=phone.code())
    assert (page.path, "Current password" in page.text) == (PATH, False)
    clockwork.shift(LATER)
    assert change(browser, page, password=NEW).name == "otp"
    assert lets_in(app, GOOD)
    page = browser.send(browser.get(PATH), "otp", otp=phone.code())
    assert change(browser, page, password=NEW).path == "/me/security"
    assert lets_in(app, NEW)


def test_whoever_has_none_sets_one(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    set_up(olivia, "passkey")
    step_up(browser, olivia, "passkey")
    assert "The password was removed." in browser.send(browser.get(PATH), "password-remove", act="remove").text
    page = browser.get(PATH)
    assert (page.heading, "Current password" in page.text) == ("Set a password", False)
    change(browser, page, password=NEW)
    database.session().rollback()
    assert held.methods(olivia) == {"password", "passkey"}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [("short", "at least 15 characters"), ("olivia@northwind.test", "contains a name"), ("passwordpassword", "common")],
)
def test_what_is_easily_guessed_is_refused(browser: Browser, olivia: str, wanted: str, said: str) -> None:
    browser.sign_in("olivia")
    page = change(browser, current=GOOD, password=wanted)
    assert (page.status, page.alerts, said in page.text.lower()) == (400, 1, True)
    assert f'value="{wanted}"' not in page.text
    (failed,) = page.form("password-submit").inputs[-1:]
    assert (failed["name"], failed.get("aria-invalid")) == ("password", "true")


def test_a_right_password_is_not_held_against_anybody_whose_new_one_is_refused(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    for _ in range(guesses.FREE_IN_A_ROW + 2):
        assert change(browser, current=GOOD, password="short").status == 400
    assert change(browser, current=GOOD, password=NEW).path == "/me/security"


@pytest.mark.rule("PWD-07")
@pytest.mark.rule("SES-07")
@pytest.mark.rule("REF-09")
def test_a_change_signs_out_everywhere_else_unless_that_is_not_wanted(
    app: Flask, browser: Browser, other: Browser, olivia: str
) -> None:
    shop = relying_party(app, "shop", first_party=True, id_token_signed_response_alg="ES256")
    tokens = _offline_tokens(app, shop)
    browser.sign_in("olivia")
    trust(browser, olivia)
    for kept, again in ((True, GOOD), (False, NEW)):
        page = browser.get(PATH)
        assert page.form("password-submit").fields["others"] == "1"
        fields = page.form("password-submit").fields
        if kept:
            del fields["others"]
        change(browser, page, current=again, password=NEW if kept else GOOD)
        assert browser.get("/me").name == "me"
        database.session().rollback()
        assert len(people.of_person(olivia)) == (2 if kept else 1)
        answer = shop.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert answer.status_code == (200 if kept else 400)
        tokens = answer.get_json() if kept else tokens
        assert trusted_devices.of(olivia) == []


def _offline_tokens(app: Flask, shop: RelyingParty) -> dict[str, str]:
    """What an application has that Olivia uses in another browser, and that stays connected."""
    minting.make_keys()
    elsewhere = Visitor(app, "203.0.113.7")
    elsewhere.sign_in("olivia")
    tokens: dict[str, str] = shop.redeem(elsewhere.get(shop.authorize_url(scope="openid offline_access")))
    return tokens


# Guessing


@pytest.mark.rule("LOG-07")
def test_whoever_took_over_a_browser_cannot_guess_on(
    app: Flask, browser: Browser, olivia: str, clockwork: Traveller
) -> None:
    browser.sign_in("olivia")
    for _ in range(guesses.FREE_IN_A_ROW):
        assert change(browser, current="wrong", password=NEW).status == 400
    page = change(browser, current=GOOD, password=NEW)
    assert (page.status, page.response.headers["Retry-After"]) == (429, "15")
    assert "Try again in one minute" in page.text
    assert lets_in(app, GOOD)
    clockwork.shift(16)
    assert change(browser, current=GOOD, password=NEW).path == "/me/security"
    held_back = [entry for entry in entries(olivia) if entry.event == "signin.held.back"]
    assert len(held_back) == 1


@pytest.mark.rule("LOG-06")
def test_a_burst_is_never_looked_at_more_often_than_the_limit_allows(
    app: Flask, browser: Browser, olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.sign_in("olivia")
    form, cookie = browser.get(PATH).form("password-submit").fields, browser.cookie()
    looked, both = [], threading.Lock()

    def verify(user_id: str | None, plaintext: str) -> passwords.Verdict:
        with both:
            looked.append(plaintext)
        return passwords.Verdict.WRONG

    monkeypatch.setattr(passwords, "verify", verify)

    def guess(number: int) -> int:
        with app.app_context():
            client = app.test_client()
            client.set_cookie("idp_browser", cookie)
            return client.post(PATH, data=form | {"current": f"guess {number}", "password": NEW}).status_code

    with ThreadPoolExecutor(8) as several:
        answers = list(several.map(guess, range(3 * guesses.FREE_IN_A_ROW)))
    assert len(looked) == guesses.FREE_IN_A_ROW
    assert sorted(answers) == [400] * guesses.FREE_IN_A_ROW + [429] * (2 * guesses.FREE_IN_A_ROW)


def test_too_many_at_once_are_told_so_and_nothing_is_counted(
    browser: Browser, olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.sign_in("olivia")

    def busy(*_: object) -> None:
        raise TooBusy

    for place, name in ((hashing, "require_room"), (passwords, "verify")):
        with monkeypatch.context() as crowded:
            crowded.setattr(place, name, busy)
            for _ in range(guesses.FREE_IN_A_ROW + 2):
                page = change(browser, current=GOOD, password=NEW)
                assert (page.status, "Too many people" in page.text) == (503, True)
    assert change(browser, current=GOOD, password=NEW).path == "/me/security"


def test_of_two_tabs_the_later_one_is_told_that_the_password_is_another_one(
    app: Flask, browser: Browser, olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.sign_in("olivia")
    honest = passwords.hash

    def meanwhile(plaintext: str, about: passwords.About) -> str:
        monkeypatch.setattr(passwords, "hash", honest)
        first = honest("set in another tab first", about)
        with database.writing():
            passwords.store(olivia, first, by=OPERATOR)
        return honest(plaintext, about)

    monkeypatch.setattr(passwords, "hash", meanwhile)
    assert change(browser, current=GOOD, password=NEW).status == 400
    assert (lets_in(app, NEW), lets_in(app, "set in another tab first")) == (False, True)


# Short ones


@pytest.mark.rule("PWD-01")
def test_where_every_organization_requires_a_second_factor_a_short_one_will_do(browser: Browser) -> None:
    otto = made("otto")
    with database.writing():
        organizations.found(OrganizationSettings("acme", "Acme"), otto, id="org_acme", by=OPERATOR)
        policies.change("org_acme", PolicySettings(mfa="required"), by=OPERATOR)
    browser.sign_in("otto")
    assert "At least 15 characters" in browser.get(PATH).text
    set_up(otto)
    step_up(browser, otto, "totp")
    page = browser.get(PATH)
    assert "At least 8 characters" in page.text
    assert change(browser, page, password="zqxv-8271").path == "/me/security"
    database.session().rollback()
    assert passwords.has_short(otto)
    assert change(browser, password=NEW).path == "/me/security"
    database.session().rollback()
    assert not passwords.has_short(otto)


# Removing


@pytest.mark.rule("TOT-09")
def test_the_only_way_in_is_not_removed(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    page = browser.get(PATH)
    assert ("password-remove" in page.text, "This is your only way to sign in." in page.text) == (False, True)
    page = browser.send(page, "password-submit", act="remove")
    assert (page.status, passwords.stored(olivia) != "") == (409, True)
