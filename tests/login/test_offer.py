"""A passkey is offered after a password: where all of it suits, once a month, and nobody is ever stuck with it."""

import threading
from collections.abc import Iterator

import pytest
import time_machine
from flask import Flask

from idp.credentials import factors, recovery_codes
from idp.login import passkey_offers, transactions
from idp.login.demands import Demand
from idp.platform import database
from idp.platform.settings import settings
from idp.sessions import browsers
from idp.sessions.models import Browser as Row
from idp.users import lifecycle, users
from tests import phones
from tests.actors import GOOD, Browser, Page, transaction_in
from tests.authenticators import Authenticator
from tests.login.test_enrol import asked_for, methods_in, sessions_in
from tests.login.test_passkey import options
from tests.proving import prove, set_up, step_up
from tests.traces import OPERATOR

START = 1_900_000_000
DAY = 24 * 60 * 60


@pytest.fixture
def clockwork() -> Iterator[time_machine.Traveller]:
    """The time, which stands still; ask for it before `known`."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def known(browser: Browser, olivia: str) -> Browser:
    """A browser in which Olivia has signed in before, and nobody is signed in now."""
    browser.sign_in("olivia")
    sign_out(browser)
    return browser


def sign_out(browser: Browser) -> None:
    browser.send(browser.get("/logout"), "logout-confirm")
    assert sessions_in(browser) == []


def give_password(browser: Browser, path: str = "/login", can: str = "yes", username: str = "olivia") -> Page:
    """Sign in by a password, in a browser that says whether it can make passkeys."""
    page = browser.send(browser.get(path), "username", username=username)
    return browser.send(page, "password", password=GOOD, can_passkey=can)


def row(browser: Browser) -> Row:
    found = browsers.recognise(browser.cookie())
    assert found is not None
    return found


def is_offer(page: Page) -> bool:
    return (page.name, page.path, page.heading) == ("enrol", "/login/offer", "Sign in faster next time")


def outcome(browser: Browser, page: Page) -> str | None:
    database.session().rollback()
    return transactions.find(row(browser), transaction_in(page)).outcome


# Whom it is for


def test_whoever_typed_a_password_in_a_browser_they_know_is_offered_a_passkey(known: Browser) -> None:
    page = give_password(known)
    assert is_offer(page)
    assert page.title == "Sign in faster next time - Canopy"
    assert methods_in(known) == ["password"]
    assert known.send(page, "offer-decline").name == "me"
    assert outcome(known, page) == "done"


def test_it_comes_after_a_second_factor_and_before_the_choice_of_a_context(known: Browser, olivia: str) -> None:
    phone = phones.given_to(olivia)
    page = give_password(known, asked_for(known, Demand(context="any", forced=True)))
    assert page.name == "otp"
    page = known.send(page, "otp", otp=phone.code())
    assert is_offer(page)
    assert known.send(page, "offer-decline").name == "select"


def test_nobody_is_offered_one_in_a_browser_that_says_nothing_of_passkeys(known: Browser) -> None:
    assert give_password(known, can="").name == "me"


def test_nobody_is_offered_one_in_a_browser_that_is_new_to_them(known: Browser, other: Browser, bob: str) -> None:
    assert give_password(other).name == "me"
    assert give_password(known, username="bob").name == "me"


def test_nobody_is_offered_another_one(known: Browser, olivia: str) -> None:
    set_up(olivia, "passkey")
    assert give_password(known).heading == "Use your passkey"


def test_nobody_is_offered_one_who_is_signed_in_and_proves_it_again(known: Browser, olivia: str) -> None:
    give_password(known, can="")
    (session,) = sessions_in(known)
    for demand in (Demand(person=olivia, fresh=True), Demand(fresh=True)):
        page = known.send(known.get(asked_for(known, demand)), "person", person=session.id)
        assert known.send(page, "password", password=GOOD, can_passkey="yes").name == "me"
    assert give_password(known, asked_for(known, Demand(fresh=True))).name == "me"


def test_nobody_is_offered_one_who_did_not_type_a_password(known: Browser, olivia: str) -> None:
    page = known.send(known.get(asked_for(known, Demand())), "username", username="olivia")
    with database.writing():
        transactions.offer(transactions.hold(row(known), transaction_in(page)), transactions.POSSIBLE)
    assert prove(known, page, "sso").name == "me"


def test_what_the_browser_said_beside_one_name_is_forgotten_with_it(known: Browser, olivia: str, bob: str) -> None:
    known.sign_in("bob")
    sign_out(known)
    phones.given_to(olivia)
    page = give_password(known)
    assert page.name == "otp"
    assert give_password(known, f"/login?txn={transaction_in(page)}", can="", username="bob").name == "me"


@pytest.mark.parametrize("methods", [("password",), ("password", "totp", "recovery_code")])
def test_nobody_is_offered_one_that_would_not_count(known: Browser, methods: tuple[str, ...]) -> None:
    assert give_password(known, asked_for(known, Demand(methods=methods))).name == "me"


@pytest.mark.parametrize("demand", [Demand(acr="aal2"), Demand(acr="phr")], ids=["aal2", "phr"])
def test_nobody_is_offered_one_who_was_just_asked_to_set_something_up(known: Browser, demand: Demand) -> None:
    page = give_password(known, asked_for(known, demand))
    assert (page.name, page.path) == ("enrol", "/login/enrol")
    assert known.send(page, "enrol-decline").name == "me"


def test_nobody_is_offered_one_whose_browser_spared_the_second_factor(known: Browser, olivia: str) -> None:
    """Nothing is set up but by whoever has just shown who they are as strongly as they can (TOT-08)."""
    phone = phones.given_to(olivia)
    page = known.send(give_password(known, can=""), "otp", otp=phone.code(), trust="yes")
    sign_out(known)
    page = give_password(known)
    assert (page.name, methods_in(known)) == ("me", ["device", "password"])


# Once a month


def test_it_is_offered_once_in_thirty_days(clockwork: time_machine.Traveller, known: Browser) -> None:
    for days, offered in ((0, True), (29, False), (1, True), (0, False), (31, True)):
        clockwork.shift(days * DAY)
        page = give_password(known)
        assert is_offer(page) is offered
        if offered:
            page = known.send(page, "offer-decline")
        assert page.name == "me"
        sign_out(known)


def test_another_person_in_the_same_browser_has_a_month_of_their_own(known: Browser, bob: str) -> None:
    known.sign_in("bob")
    sign_out(known)
    for username in ("olivia", "bob"):
        page = give_password(known, username=username)
        assert is_offer(page)
        known.send(page, "offer-decline")
        sign_out(known)


def test_of_two_tabs_one_offers(known: Browser) -> None:
    tabs = [known.send(known.get("/login"), "username", username="olivia") for _ in range(2)]
    shown = [known.send(page, "password", password=GOOD, can_passkey="yes") for page in tabs]
    assert [is_offer(page) for page in shown] == [True, False]
    assert shown[1].name == "me"
    assert known.send(shown[0], "offer-decline").name == "me"


def test_of_many_at_once_one_makes_the_month_its_own(app: Flask, olivia: str) -> None:
    claimed: list[bool] = []
    together = threading.Barrier(4)

    def claim() -> None:
        with app.app_context():
            together.wait()
            with database.writing():
                mine = passkey_offers._claim(olivia)
            claimed.append(mine)

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == [False, False, False, True]


# What comes of it


def made(browser: Browser, page: Page) -> Page:
    """A passkey is made, as the script on the page would."""
    asked = options(browser, page, "/login/enrol/passkey")
    return browser.send(page, "credential", credential=Authenticator(settings().issuer).create(asked))


def test_a_passkey_is_made_and_codes_are_kept(known: Browser, olivia: str) -> None:
    page = give_password(known)
    assert "Step 1 of 2" in page.text
    page = made(known, page)
    assert page.heading == "Keep your recovery codes"
    assert known.send(page, "codes-submit", saved="yes").name == "me"
    database.session().rollback()
    assert ([one.kind for one in factors.of(olivia)], recovery_codes.left(olivia)) == (["passkey"], 10)
    assert methods_in(known) == ["passkey", "password"]


def test_where_it_was_asked_for_is_where_it_leads(known: Browser) -> None:
    page = give_password(known, asked_for(known, Demand()))
    assert known.send(page, "offer-decline").path == "/me"
    assert outcome(known, page) == "done"


def test_back_reload_and_other_pages_lead_to_the_offer_and_then_on(known: Browser) -> None:
    page = give_password(known)
    txn = transaction_in(page)
    paths = [f"/login{path}?txn={txn}" for path in ("", "/password", "/verify", "/renew", "/enrol", "/offer")]
    assert all(is_offer(known.get(path)) for path in (*paths, f"/select?txn={txn}"))
    assert known.send(page, "offer-decline").name == "me"
    assert {known.get(path).name for path in paths} == {"me"}
    assert known.send(page, "offer-decline").name == "me"


def test_an_offer_that_is_answered_in_one_tab_leads_on_in_the_other(known: Browser, olivia: str) -> None:
    page = give_password(known)
    known.send(page, "offer-decline")
    assert known.post(page, "passkey-register", credential="{}").location == "/me"
    assert factors.of(olivia) == []


def test_what_was_made_wrongly_is_told_and_can_still_be_declined(known: Browser, olivia: str) -> None:
    page = give_password(known)
    page = known.send(page, "passkey-register", credential="{}")
    assert (is_offer(page), page.alerts, page.title[:6]) == (True, 1, "Error:")
    page = known.send(page, "passkey-register", credential="")
    assert is_offer(page)
    assert known.send(page, "offer-decline").name == "me"
    assert factors.of(olivia) == []


@pytest.mark.rule("TOT-08")
def test_whoever_waits_too_long_sets_nothing_up_and_goes_on(
    clockwork: time_machine.Traveller, known: Browser, olivia: str
) -> None:
    page = give_password(known)
    clockwork.shift(301)
    assert known.post(page, "passkey-register", credential="{}").location == "/me"
    assert (outcome(known, page), factors.of(olivia)) == ("done", [])


def test_whoever_comes_back_too_late_goes_on(clockwork: time_machine.Traveller, known: Browser, olivia: str) -> None:
    page = give_password(known)
    clockwork.shift(301)
    assert known.get(page.address).name == "me"
    assert outcome(known, page) == "done"


def test_whoever_has_made_one_elsewhere_meanwhile_goes_on(known: Browser, olivia: str) -> None:
    page = give_password(known)
    set_up(olivia, "passkey")
    step_up(known, olivia, "passkey")
    assert known.get(page.address).name == "me"
    assert outcome(known, page) == "done"


def test_whoever_is_disabled_meanwhile_sets_nothing_up(known: Browser, olivia: str) -> None:
    page = give_password(known)
    with database.writing():
        lifecycle.disable(users.find(olivia), by=OPERATOR)
    known.send(page, "passkey-register", credential="{}")
    assert known.send(page, "offer-decline").name in ("password", "login")
    assert (factors.of(olivia), sessions_in(known)) == ([], [])


def test_an_offer_is_nobody_elses(known: Browser, other: Browser) -> None:
    page = give_password(known)
    other.get("/login")
    assert other.get(page.address).name == "error"


def test_nothing_of_it_is_kept_of_a_deleted_person(known: Browser, olivia: str) -> None:
    give_password(known)
    with database.writing():
        passkey_offers.forget(users.find(olivia), OPERATOR)
        assert passkey_offers._claim(olivia)
