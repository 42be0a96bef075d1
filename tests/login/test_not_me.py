"""`/not-me/<token>`: whoever is told of something that they did not do ends what others may have begun with it."""

import threading

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from idp.credentials import not_me
from idp.credentials.models import MailedLink
from idp.login.demands import Demand
from idp.platform import clock, database
from idp.sessions import trusted_devices
from idp.users import addresses, users
from tests import phones, proving
from tests.actors import GOOD, Browser, Page
from tests.login.test_recover import MAILBOX, is_void, mailed, recover
from tests.login.test_sign_in import asked_for, sessions_in
from tests.notices.test_notices import told
from tests.traces import OPERATOR, events


@pytest.fixture
def link(olivia: str) -> str:
    """What stands in a letter to Olivia."""
    with database.writing():
        return not_me.path(olivia, MAILBOX, MAILBOX)


@pytest.mark.rule("RST-04")
def test_who_did_not_do_it_signs_everybody_out_at_the_press_of_a_button(
    browser: Browser, other: Browser, olivia: str, bob: str, link: str
) -> None:
    """`other` is the thief's browser, in which Bob happens to be signed in, too."""
    recovery = mailed(browser)
    other.sign_in("bob")
    other.sign_in("olivia")
    trusted_id = proving.trust(other, olivia)
    for _ in range(2):
        page = browser.get(link)
        assert (page.status, page.name, page.heading) == (200, "recover", "This wasn't you?")
        assert page.response.headers["Referrer-Policy"] == "no-referrer"
        assert browser.client.head(link).status_code == 200
    assert [one.user_id for one in sessions_in(other)] == [olivia, bob]
    done = browser.send(page, "not-me-submit")
    assert (done.path, done.heading) == ("/not-me/done", "You are signed out everywhere")
    assert [one["href"] for one in done.links if one["href"] == "/recover"]
    assert [one.user_id for one in sessions_in(other)] == [bob]
    assert trusted_devices.given_for(trusted_id) is None
    assert is_void(browser.get(recovery))
    assert is_void(browser.get(link))
    assert is_void(browser.send(page, "not-me-submit"))
    assert events(olivia)[-1] == "user.disowned"


@pytest.mark.rule("SES-07", "TOT-06")
def test_a_sign_in_of_a_thief_that_has_come_far_begins_anew(
    browser: Browser, other: Browser, olivia: str, link: str
) -> None:
    """It waits for a passkey to be set up, all else given: with a code that the thief cannot get once more."""
    phone = phones.given_to(olivia)
    page = other.get(asked_for(other, Demand(least="phr")))
    page = other.send(other.send(page, "username", username="olivia"), "password", password=GOOD)
    page = other.send(page, "otp", otp=phone.code())
    assert (page.name, sessions_in(other)) == ("enrol", [])
    browser.send(browser.get(link), "not-me-submit")
    assert other.get(page.address).name == "password"


def test_the_link_lives_for_seven_days(browser: Browser, olivia: str) -> None:
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as time:
        with database.writing():
            path = not_me.path(olivia, MAILBOX, MAILBOX)
        time.shift(7 * 86_400 - 1)
        page = browser.get(path)
        assert page.status == 200
        time.shift(1)
        assert is_void(browser.get(path))
        assert is_void(browser.send(page, "not-me-submit"))


def test_another_link_does_not_do_for_it(browser: Browser, olivia: str) -> None:
    assert is_void(browser.get(mailed(browser).replace("/recover/", "/not-me/")))


def test_pressed_twice_at_once_it_is_done_once(
    app: Flask, browser: Browser, other: Browser, olivia: str, link: str
) -> None:
    pages = [(one, one.get(link)) for one in (browser, other)]
    start, statuses = threading.Barrier(2), []

    def press(whose: Browser, page: Page) -> None:
        with app.app_context():
            start.wait()
            statuses.append(whose.post(page, "not-me-submit").status_code)
            database.session().rollback()

    threads = [threading.Thread(target=press, args=one) for one in pages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303, 410]
    database.session().rollback()
    assert database.session().scalars(select(MailedLink)).one().used_at is not None


@pytest.mark.rule("PWD-07", "RST-01")
def test_who_did_not_recover_is_told_by_a_letter_that_lets_them_say_so(browser: Browser, olivia: str) -> None:
    recover(browser, mailed(browser))
    letter = [one for one in told() if one.template == "password_changed"][-1]
    assert (letter.to, letter.not_me.startswith("/not-me/")) == (MAILBOX, True)
    browser.send(browser.get(letter.not_me), "not-me-submit")
    assert sessions_in(browser) == []


@pytest.mark.rule("RST-05")
def test_whoever_reads_the_mailbox_after_its_person_says_nothing_about_them(
    browser: Browser, olivia: str, link: str
) -> None:
    page = browser.get(link)
    with database.writing():
        person = users.find(olivia)
        addresses.end(person, addresses.find(olivia, MAILBOX), by=OPERATOR)
    assert is_void(browser.get(link))
    assert is_void(browser.send(page, "not-me-submit"))
