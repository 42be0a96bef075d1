"""Setting a second factor up on the way: where it is demanded or wished for, by whoever has just proven something."""

import re

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from idp.credentials import authenticator_apps, factors, held, recovery_codes
from idp.credentials.models import AppEnrolment
from idp.login import offering, steps, transactions
from idp.login.demands import Demand
from idp.login.steps import Standing
from idp.platform import database
from idp.sessions import browsers, people
from idp.sessions.people import LiveSession
from idp.users import lifecycle, users
from tests import phones
from tests.actors import GOOD, Browser, Page, transaction_in
from tests.phones import Phone
from tests.traces import OPERATOR, events

STRICT = Demand(least="aal2")


def sessions_in(browser: Browser) -> list[LiveSession]:
    """Who is signed in in the browser."""
    database.session().rollback()
    return people.in_browser(browsers.recognise(browser.cookie()))


def methods_in(browser: Browser) -> list[str]:
    """What was proven in the one session that is there, in alphabetical order."""
    (session,) = sessions_in(browser)
    return sorted(proof.method for proof in session.proofs)


def asked_for(browser: Browser, demand: Demand = STRICT, *, application: str = "Ledger") -> str:
    """The address of a sign-in that another room asks for."""
    if not browser.cookie():
        browser.get("/login")
    with database.writing():
        known = browsers.recognise(browser.cookie())
        assert known is not None
        begun = transactions.begin(known.id, demand, return_to="/me", application=application)
    return f"/login?txn={begun.id}"


def at_choice(browser: Browser, demand: Demand = STRICT) -> Page:
    """The page that says what can be set up, after the password."""
    page = browser.sign_in("olivia", path=asked_for(browser, demand))
    assert page.name == "enrol", page.text
    return page


def at_app(browser: Browser, demand: Demand = STRICT) -> Page:
    """The page with the key for an app."""
    page = browser.send(at_choice(browser, demand), "app-begin")
    assert (page.name, page.heading) == ("enrol", "Set up an authenticator app")
    return page


def scanned(page: Page) -> Phone:
    """A phone that was shown the page."""
    (link,) = (one["href"] for one in page.links if one.get("href", "").startswith("otpauth:"))
    return Phone.scanning(link)


def codes_on(page: Page) -> tuple[str, ...]:
    """The recovery codes that the page shows."""
    return tuple(re.findall(r"<li><code>([a-z0-9-]+)</code></li>", page.text))


# The story


def test_an_app_is_set_up_on_the_way_and_codes_are_kept(browser: Browser, olivia: str) -> None:
    page = at_app(browser)
    assert page.title == "Set up an authenticator app - Ledger - Canopy"
    phone = scanned(page)
    assert phone.secret in page.text.replace(" ", "")
    assert (held.methods(olivia), sessions_in(browser)) == ({"password"}, [])
    page = browser.send(page, "otp", otp=phone.code())
    assert (page.name, page.heading, page.status) == ("enrol", "Keep your recovery codes", 200)
    codes = codes_on(page)
    database.session().rollback()
    assert len(codes) == recovery_codes.left(olivia) == 10
    assert methods_in(browser) == ["password", "totp"]
    page = browser.send(page, "codes-submit")
    assert (page.heading, page.alerts, codes_on(page)) == ("Keep your recovery codes", 1, codes)
    assert browser.send(page, "codes-submit", saved="yes").name == "me"
    assert held.methods(olivia) == {"password", "totp", "recovery_code"}
    assert {"user.factor.added", "user.codes.made", "session.opened"} <= {*events()}


def test_codes_are_given_as_a_file(browser: Browser, olivia: str) -> None:
    page = at_app(browser)
    page = browser.send(page, "otp", otp=scanned(page).code())
    answer = browser.post(page, "codes-submit", file="text")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="recovery-codes.txt"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert tuple(answer.text.split()) == codes_on(page)


def test_what_are_no_codes_is_not_sent_back(browser: Browser, olivia: str) -> None:
    page = at_app(browser)
    page = browser.send(page, "otp", otp=scanned(page).code())
    for codes in ("", "<b>mine</b>", "a\r\nX-Evil: 1", "0000-0000-0000-0000 " * 9, "\u202e" * 10):
        for said in ({"file": "text"}, {}):
            answer = browser.post(page, "codes-submit", codes=codes, **said)
            assert (answer.status_code, answer.location) == (303, "/me")


def test_codes_are_shown_to_nobody_again(browser: Browser, olivia: str) -> None:
    page = at_app(browser)
    shown = browser.send(page, "otp", otp=scanned(page).code())
    for path in (page.address, shown.address, f"/login/enrol?txn={transaction_in(page)}&way=app"):
        assert browser.get(f"{path}{'' if '?' in path else f'?txn={transaction_in(page)}'}").name in ("me", "error")
    assert browser.send(page, "otp", otp=scanned(page).code(1)).name == "me"
    assert len(factors.of(olivia)) == 1


def test_whoever_has_codes_already_keeps_them(browser: Browser, olivia: str) -> None:
    with database.writing():
        recovery_codes.make(olivia, by=OPERATOR)
    page = at_app(browser)
    assert browser.send(page, "otp", otp=scanned(page).code()).name == "me"
    assert "user.codes.made" in events(olivia)
    assert recovery_codes.left(olivia) == 10


def test_a_wrong_first_code_is_told_and_can_be_put_right(browser: Browser, olivia: str) -> None:
    page = at_app(browser)
    phone = scanned(page)
    page = browser.send(page, "otp", otp=phone.wrong())
    assert (page.heading, page.alerts) == ("Set up an authenticator app", 1)
    page = browser.send(page, "otp", otp=" ")
    assert (page.text.count("The code is missing"), scanned(page)) == (1, phone)
    assert browser.send(page, "otp", otp=phone.code()).heading == "Keep your recovery codes"


@pytest.mark.rule("TOT-03")
def test_a_key_that_waited_too_long_counts_no_more(browser: Browser, olivia: str) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        page = at_app(browser)
        phone = scanned(page)
        clockwork.shift(10 * 60)
        page = browser.send(page, "otp", otp=phone.code())
        assert page.name == "password"  # the last proof is too old to set anything up
        page = browser.send(page, "password", password=GOOD)
        page = browser.send(browser.get(page.address), "app-begin")
        assert scanned(page) != phone
        assert factors.of(olivia) == []


def test_somebody_may_decline_what_is_only_wished_for(browser: Browser, olivia: str) -> None:
    page = at_choice(browser, Demand(acr="aal2"))
    assert browser.send(page, "enrol-decline").name == "me"
    assert methods_in(browser) == ["password"]


@pytest.mark.rule("TOT-06", "TOT-07")
def test_nobody_declines_what_is_demanded(browser: Browser, olivia: str) -> None:
    page = at_choice(browser)
    assert "enrol-decline" not in page.text
    form = {"csrf_token": page.form("app-begin").fields["csrf_token"]}
    answer = browser.client.post(f"/login/enrol/decline?txn={transaction_in(page)}", data=form)
    assert browser.get(answer.location).name == "enrol"
    assert sessions_in(browser) == []
    sign_in = transactions.find(browsers.recognise(browser.cookie()), transaction_in(page))
    assert (sign_in.has_declined, sign_in.outcome) == (False, None)


@pytest.mark.rule("TOT-06")
def test_what_has_to_be_set_up_cannot_be_stepped_over(browser: Browser, olivia: str) -> None:
    page = at_choice(browser, Demand(least="aal2", context="any"))
    for path in ("/login/verify", "/login/renew", "/select", "/login/password"):
        assert browser.get(f"{path}?txn={transaction_in(page)}").name == "enrol", path


@pytest.mark.rule("TOT-03")
def test_a_key_that_one_sign_in_shows_is_of_no_use_in_another(browser: Browser, other: Browser, olivia: str) -> None:
    phone = scanned(at_app(browser))
    for elsewhere in (browser, other):
        page = at_choice(elsewhere)
        form = {"csrf_token": page.form("app-begin").fields["csrf_token"], "otp": phone.code()}
        elsewhere.client.post(
            f"/login/enrol/app?txn={transaction_in(page)}", data=form, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}
        )
        assert factors.of(olivia) == []


@pytest.mark.rule("TOT-03", "TOT-08")
def test_nothing_is_set_up_on_an_old_proof(browser: Browser, olivia: str) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        browser.sign_in("olivia")
        (session,) = sessions_in(browser)
        clockwork.shift(301)
        page = browser.send(browser.get(asked_for(browser)), "person", person=session.id)
        assert page.name == "password"
        page = browser.send(page, "password", password=GOOD)
        assert page.name == "enrol"
        clockwork.shift(301)
        assert browser.send(page, "app-begin").name == "password"
        assert database.session().scalar(select(func.count()).select_from(AppEnrolment)) == 0


@pytest.mark.rule("TOT-03")
def test_an_app_that_counts_nowhere_is_not_replaced_by_the_way(browser: Browser, olivia: str) -> None:
    phone = phones.given_to(olivia)
    demand = Demand(least="aal2", methods=("password", "passkey"))
    page = browser.sign_in("olivia", path=asked_for(browser, demand))
    page = browser.send(page, "otp", otp=phone.code())
    assert (page.name, "app-begin" in page.text) == ("enrol", False)
    form = {"csrf_token": page.form("login-cancel").fields["csrf_token"]}
    browser.client.post(f"/login/enrol/app?txn={transaction_in(page)}", data=form)
    assert authenticator_apps.pending(olivia, transaction_in(page)) is None
    assert len(factors.of(olivia)) == 1


def test_whoever_is_disabled_meanwhile_sets_nothing_up(browser: Browser, olivia: str) -> None:
    page = at_app(browser)
    with database.writing():
        lifecycle.disable(users.find(olivia), by=OPERATOR)
    browser.send(page, "otp", otp=scanned(page).code())
    assert (factors.of(olivia), recovery_codes.left(olivia), sessions_in(browser)) == ([], 0, [])


def test_where_nothing_would_do_the_page_says_whom_to_ask(browser: Browser, olivia: str) -> None:
    page = at_choice(browser, Demand(least="phr", methods=("password", "totp")))
    assert "Ask an administrator" in page.text
    assert [one for one in ("app-begin", "passkey-register", "enrol-decline") if one in page.text] == []
    assert page.form("login-cancel").action.startswith("/login/cancel")


# What is offered

AT_PASSWORD = {"is_named": True, "proven": frozenset({"password"}), "held": frozenset({"password"})}


@pytest.mark.parametrize(
    ("standing", "offered", "may_decline"),
    [
        (Standing(**AT_PASSWORD, least="aal2"), ("passkey", "totp"), False),
        (Standing(**AT_PASSWORD, least="phr"), ("passkey",), False),
        (Standing(**AT_PASSWORD, aim="aal2"), ("passkey", "totp"), True),
        (Standing(**AT_PASSWORD, aim="phr"), ("passkey",), True),
        (Standing(**AT_PASSWORD, aim="phr", least="aal2"), ("passkey", "totp"), False),
        (Standing(**AT_PASSWORD, least="aal2", methods=frozenset({"password", "totp"})), ("totp",), False),
        (Standing(**AT_PASSWORD, least="aal2", methods=frozenset({"password", "sso"})), (), False),
    ],
    ids=["aal2", "phr", "aal2 wished for", "phr wished for", "both", "no passkeys", "nothing"],
)
def test_what_would_reach_what_is_missing_is_offered(
    standing: Standing, offered: tuple[str, ...], may_decline: bool
) -> None:
    assert steps.next_step(standing) is steps.Step.ENROL
    assert (offering.to_enrol(standing), offering.may_decline(standing)) == (offered, may_decline)


def test_the_pages_may_run_our_scripts_and_no_others(app: Flask, browser: Browser, olivia: str) -> None:
    page = at_app(browser)
    shown = browser.send(page, "otp", otp=scanned(page).code())
    for one in (page, shown):
        policy = one.response.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert " style=" not in one.text
        assert one.response.headers["Cache-Control"] == "no-store"
