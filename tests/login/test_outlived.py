"""What half a sign-in does not outlive: a password that was changed, a factor that was removed; and what is too weak
or too old to change anything with.
"""

import pytest
import time_machine

from idp.credentials import factors, passwords
from idp.login import changing_factors
from idp.login.demands import Demand
from idp.platform import database
from idp.users import lifecycle, users
from tests import once
from tests.actors import Browser
from tests.login.test_enrol import asked_for, at_app, methods_in, scanned, sessions_in
from tests.phones import given_to
from tests.proving import prove, set_up, step_up, trust
from tests.traces import OPERATOR

NO_CODES = Demand(least="phr", methods=("password", "passkey"))
NO_PASSKEYS = Demand(least="aal2", methods=("password", "totp"))

_ANOTHER = once.hashed("another horse battery staple")


@pytest.mark.rule("TOT-05", "TOT-08")
def test_a_trusted_browser_sets_nothing_up_by_a_password_alone(browser: Browser, olivia: str) -> None:
    phone = given_to(olivia)
    browser.get("/login")
    trust(browser, olivia, factors.of(olivia)[0].id)
    page = browser.sign_in("olivia", path=asked_for(browser, NO_CODES))
    assert page.name == "otp"
    assert browser.send(page, "otp", otp=phone.code()).name == "enrol"


@pytest.mark.rule("TOT-08")
def test_a_password_that_is_new_sets_nothing_up_beside_a_passkey_that_is_old(browser: Browser, olivia: str) -> None:
    set_up(olivia, "passkey")
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        prove(browser, browser.sign_in("olivia"), "passkey")
        (session,) = sessions_in(browser)
        clockwork.shift(3_600)
        step_up(browser, olivia, "password")
        page = browser.send(browser.get(asked_for(browser, NO_PASSKEYS)), "person", person=session.id)
        assert (page.path, page.heading) == ("/login/verify", "Use your passkey")
        assert prove(browser, page, "passkey").name == "enrol"


@pytest.mark.rule("TOT-06", "SES-07")
def test_half_a_sign_in_by_a_password_ends_when_that_is_changed(browser: Browser, olivia: str) -> None:
    page = at_app(browser)
    with database.writing():
        changing_factors.set_password(olivia, _ANOTHER, by=OPERATOR)
    assert browser.send(page, "otp", otp=scanned(page).code()).name == "password"
    assert (factors.of(olivia), sessions_in(browser)) == ([], [])


@pytest.mark.rule("TOT-06", "SES-07")
def test_half_a_sign_in_by_a_password_ends_when_that_is_removed(browser: Browser, olivia: str) -> None:
    page = at_app(browser)
    with database.writing():
        passwords.remove(olivia, by=OPERATOR)
    assert browser.send(page, "otp", otp=scanned(page).code()).name == "password"
    assert factors.of(olivia) == []


@pytest.mark.rule("TOT-06", "SES-07")
def test_half_a_sign_in_ends_when_its_person_is_disabled_though_they_are_enabled_again(
    browser: Browser, olivia: str
) -> None:
    page = at_app(browser)
    with database.writing():
        lifecycle.disable(users.find(olivia), by=OPERATOR)
    with database.writing():
        lifecycle.enable(users.find(olivia), by=OPERATOR)
    assert browser.send(page, "otp", otp=scanned(page).code()).name == "password"
    assert (factors.of(olivia), sessions_in(browser)) == ([], [])


@pytest.mark.rule("TOT-06", "REF-09")
def test_what_was_proven_by_a_factor_that_is_removed_opens_nothing(browser: Browser, olivia: str) -> None:
    passkey = set_up(olivia, "passkey")
    page = prove(browser, browser.sign_in("olivia", path=asked_for(browser, NO_PASSKEYS)), "passkey")
    page = browser.send(page, "app-begin")
    with database.writing():
        changing_factors.remove(olivia, passkey, by=OPERATOR)
    browser.send(page, "otp", otp=scanned(page).code())
    assert methods_in(browser) == ["password", "totp"]


@pytest.mark.rule("SES-07")
def test_a_password_that_a_node_set_whose_clock_is_ahead_lets_its_owner_in(browser: Browser, olivia: str) -> None:
    with time_machine.travel(1_900_000_120, tick=False), database.writing():
        changing_factors.set_password(olivia, _ANOTHER, by=OPERATOR)
    with time_machine.travel(1_900_000_000, tick=False):
        assert browser.sign_in("olivia", "another horse battery staple").name == "me"
