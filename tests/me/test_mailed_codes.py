"""`/me/security/mail`: codes by mail, turned on and off by who has just proven that it is they."""

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller

from idp.credentials import factors, held, passwords, phc, recovery_codes
from idp.credentials.guesses import FREE_IN_A_ROW
from idp.platform import database
from idp.sessions import browsers, people
from idp.users.models import Address
from tests import phones
from tests.actors import GOOD, Browser, Page
from tests.mailboxes import letters
from tests.me.conftest import LATER
from tests.proving import set_up, step_up
from tests.traces import OPERATOR, events

PATH = "/me/security/mail"
BOX = "olivia@northwind.test"


def mailed() -> list[str]:
    return [one.code for one in letters(BOX) if one.template == "email_code"]


def asked(browser: Browser) -> tuple[Page, str]:
    """The page that waits for a code, and the code."""
    before = mailed()
    page = browser.send(browser.get(PATH), "code-send", act="send")
    assert page.heading == "Codes by e-mail", page.text
    (code,) = [one for one in mailed() if one not in before]
    return page, code


def methods(user_id: str) -> set[str]:
    database.session().rollback()
    return set(held.methods(user_id))


def test_they_are_turned_on_by_one_that_is_right(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    page = browser.get("/me/security")
    assert "Codes by e-mail" in page.text
    cookie = browser.cookie()
    page, code = asked(browser)
    assert "o…@northwind.test" in page.text
    refused = browser.send(page, "otp", otp=f"{(int(code) + 1) % 10**8:08}")
    assert (refused.status, refused.alerts, methods(olivia)) == (400, 1, {"password"})
    page = browser.send(page, "otp", otp=code)
    assert (page.path, "Codes by e-mail are turned on." in page.text) == ("/me/security/codes", True)
    assert methods(olivia) == {"password", "email_code"}
    assert browser.cookie() != cookie
    (session,) = people.in_browser(browsers.recognise(browser.cookie()))
    assert sorted(proof.method for proof in session.proofs) == ["email_code", "password"]


def test_they_are_turned_off_with_all_that_rests_on_them(browser: Browser, olivia: str) -> None:
    set_up(olivia, "email_code"), phones.codes_of(olivia)
    browser.get("/login")
    step_up(browser, olivia, "password", "email_code")
    page = browser.get(PATH)
    assert "your recovery codes become void" in page.text
    page = browser.send(page, "mail-remove", act="remove")
    assert "Codes by e-mail are turned off." in page.text
    assert (methods(olivia), recovery_codes.left(olivia)) == ({"password"}, 0)
    assert "user.factor.removed" in events(olivia)
    assert browser.get(PATH).status == 200


@pytest.mark.rule("TOT-08")
def test_nothing_is_changed_by_who_has_not_just_proven_who_they_are(
    browser: Browser, olivia: str, clockwork: Traveller
) -> None:
    browser.sign_in("olivia")
    page, code = asked(browser)
    clockwork.shift(LATER)
    assert browser.get(PATH).name == "password"
    known = len(mailed())
    for act in ({"act": "send"}, {"otp": code}, {"act": "remove"}):
        assert browser.send(page, "code-send", **act).name == "password"
    assert (methods(olivia), len(mailed())) == ({"password"}, known)


@pytest.mark.rule("TOT-08")
def test_whoever_has_an_app_proves_it_before(browser: Browser, olivia: str, clockwork: Traveller) -> None:
    phone = phones.given_to(olivia)
    page = browser.sign_in("olivia")
    browser.send(page, "otp", otp=phone.code())
    clockwork.shift(LATER)
    page = browser.get(PATH)
    assert page.name == "otp"
    assert browser.send(page, "otp", otp=phone.code()).path == PATH


@pytest.mark.rule("TOT-08")
def test_a_code_is_of_no_use_in_another_session(browser: Browser, other: Browser, olivia: str) -> None:
    browser.sign_in("olivia"), other.sign_in("olivia")
    _, code = asked(browser)
    page, _ = asked(other)
    assert other.send(page, "otp", otp=code).alerts == 1
    assert methods(olivia) == {"password"}


@pytest.mark.rule("LOG-07")
def test_codes_are_neither_asked_for_nor_guessed_for_long(browser: Browser, olivia: str, clockwork: Traveller) -> None:
    browser.sign_in("olivia")
    for _ in range(2):
        asked(browser)
    page, code = asked(browser)
    refused = browser.send(page, "code-send", act="send")
    assert (refused.status, refused.response.headers["Retry-After"], len(mailed())) == (429, "900", 3)
    for _ in range(FREE_IN_A_ROW):
        assert browser.send(page, "otp", otp="x").status == 400
    assert browser.send(page, "otp", otp=code).status == 429
    assert methods(olivia) == {"password"}
    assert events(olivia).count("signin.failed") == FREE_IN_A_ROW


@pytest.mark.rule("RST-01")
@pytest.mark.parametrize("why", ["by mail", "no mailbox"])
def test_where_they_would_prove_nothing_they_are_not_turned_on(browser: Browser, olivia: str, why: str) -> None:
    browser.sign_in("olivia")
    page, code = asked(browser)
    with database.writing():
        if why == "by mail":
            passwords.store(olivia, phc.make(GOOD), by=OPERATOR, by_mail=True)
        else:
            database.session().scalars(select(Address).where(Address.user_id == olivia)).one().verified_at = None
    browser.send(page, "otp", otp=code)
    answer = browser.send(page, "code-send", act="send")
    assert (answer.status, len(mailed()), factors.of(olivia)) == (409, 1, [])
    assert "code-send" not in browser.get(PATH).text


def test_of_whoever_is_not_signed_in_nothing_is_shown(app: Flask, browser: Browser) -> None:
    assert browser.get(PATH).name == "login"
