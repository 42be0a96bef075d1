"""Short passwords: fine beside a second factor that everybody demands, renewed at the next sign-in where not."""

import pytest
import time_machine
from flask import Flask

from idp.credentials import factors, passwords
from idp.login import new_passwords, transactions
from idp.organizations import memberships, organizations, policies
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.policies import PolicySettings
from idp.platform import database
from idp.sessions import browsers, people, trusted_devices
from idp.users import lifecycle, users
from tests import once, phones
from tests.actors import GOOD, Browser, Page, transaction_in
from tests.login.conftest import made
from tests.phones import Phone
from tests.traces import OPERATOR, events

SHORT = "gliding-owl"
LONG = "a gliding owl over seven hills"

_hash = once.hashed(SHORT)


@pytest.fixture
def phone(olivia: str) -> Phone:
    """Olivia's, who has a short password, and is in an organization that requires a second factor."""
    found("northwind", olivia)
    with database.writing():
        passwords.store(olivia, _hash, by=OPERATOR, is_short=True)
    require("org_northwind", "required")
    return phones.given_to(olivia)


def found(key: str, member: str) -> None:
    """An organization with that member."""
    owner = made(f"owner-of-{key}")
    with database.writing():
        organizations.found(OrganizationSettings(key, key.title()), owner, id=f"org_{key}", by=OPERATOR)
        memberships.add(f"org_{key}", NewMember(member), by=OPERATOR)


def require(organization_id: str, mfa: str) -> None:
    with database.writing():
        policies.change(organization_id, PolicySettings(mfa=mfa), by=OPERATOR)


def sign_in(browser: Browser, phone: Phone, steps: int = 0) -> Page:
    page = browser.sign_in("olivia", SHORT)
    return browser.send(page, "otp", otp=phone.code(steps)) if page.name == "otp" else page


def is_renewal(page: Page) -> bool:
    return page.heading == "Choose a longer password"


@pytest.mark.rule("PWD-01")
def test_a_short_password_will_do_while_a_second_factor_is_required_everywhere(
    browser: Browser, olivia: str, phone: Phone
) -> None:
    assert sign_in(browser, phone).name == "me"


@pytest.mark.rule("PWD-01")
def test_when_it_is_no_longer_required_the_next_sign_in_asks_for_a_longer_one(
    browser: Browser, other: Browser, olivia: str, phone: Phone
) -> None:
    require("org_northwind", "optional")
    page = sign_in(browser, phone)
    assert is_renewal(page)
    assert page.name == "password"
    assert people.in_browser(browsers.recognise(browser.cookie())) == []
    for typed, said in (("", "at least 15"), (SHORT, "at least 15"), ("olivia-olivia-olivia", "a name of yours")):
        page = browser.send(page, "password", password=typed)
        assert (page.status, page.alerts, said in page.text) == (422, 1, True)
    assert browser.send(page, "password", password=LONG).name == "me"
    database.session().rollback()
    assert not passwords.has_short(olivia)
    assert "user.password.set" in events(olivia)
    page = other.sign_in("olivia", LONG)
    assert other.send(page, "otp", otp=phone.code(1)).name == "me"


@pytest.mark.rule("PWD-01")
def test_one_organization_that_does_not_require_it_is_enough(browser: Browser, olivia: str, phone: Phone) -> None:
    found("southwind", olivia)
    assert is_renewal(sign_in(browser, phone))
    require("org_southwind", "required")
    assert sign_in(browser, phone, 1).name == "me"


@pytest.mark.rule("PWD-01")
def test_without_the_factor_it_will_not_do_wherever_it_is_required(browser: Browser, olivia: str, phone: Phone) -> None:
    assert new_passwords.may_be_short(olivia)
    with database.writing():
        factors.end(olivia, factors.of(olivia)[0].id, by=OPERATOR)
    assert not new_passwords.may_be_short(olivia)
    assert is_renewal(browser.sign_in("olivia", SHORT))


@pytest.mark.rule("PWD-01")
def test_who_is_in_no_organization_has_no_short_password(app: Flask) -> None:
    nobody = made("nobodys")
    phones.given_to(nobody)
    assert not new_passwords.may_be_short(nobody)
    assert new_passwords.about(nobody).shortest == 15


def test_what_is_known_of_a_person_is_asked_with_their_organizations(olivia: str, phone: Phone) -> None:
    about = new_passwords.about(olivia)
    assert {"olivia", "olivia@northwind.test", "northwind", "Northwind", "Canopy"} <= {*about.words}
    assert (about.has_second_factor, about.shortest) == (True, 8)


def test_a_long_password_is_not_asked_to_be_renewed(browser: Browser, olivia: str, phone: Phone) -> None:
    with database.writing():
        passwords.store(olivia, once.hashed(GOOD), by=OPERATOR)
    require("org_northwind", "optional")
    page = browser.sign_in("olivia")
    assert browser.send(page, "otp", otp=phone.code()).name == "me"


@pytest.mark.rule("PWD-01", "TOT-06")
def test_a_renewal_cannot_be_stepped_over(browser: Browser, olivia: str, phone: Phone) -> None:
    require("org_northwind", "optional")
    page = sign_in(browser, phone)
    for path in ("/login/verify", "/login/enrol", "/select", "/login/password"):
        assert is_renewal(browser.get(f"{path}?txn={transaction_in(page)}")), path
    assert browser.get("/me").name == "login"


@pytest.mark.rule("TOT-06")
def test_nothing_is_renewed_before_the_password_and_the_code_were_given(
    browser: Browser, olivia: str, phone: Phone
) -> None:
    require("org_northwind", "optional")
    page = browser.send(browser.get("/login"), "username", username="olivia")
    for given in ({}, {"password": SHORT}):
        if given:
            page = browser.send(page, "password", **given)
        form = {"csrf_token": page.forms[0].fields["csrf_token"], "password": LONG}
        browser.client.post(f"/login/renew?txn={transaction_in(page)}", data=form)
        assert passwords.has_short(olivia)


@pytest.mark.rule("TOT-08")
def test_after_a_pause_the_password_is_not_renewed_by_whoever_sits_there(
    browser: Browser, olivia: str, phone: Phone
) -> None:
    require("org_northwind", "optional")
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        page = sign_in(browser, phone)
        clockwork.shift(301)
        assert browser.send(page, "password", password=LONG).name == "otp"
        assert passwords.has_short(olivia)
        page = browser.get(f"/login?txn={transaction_in(page)}")
        assert transactions.find(browsers.recognise(browser.cookie()), transaction_in(page)).outcome is None


def test_a_new_password_ends_the_trust_in_browsers(browser: Browser, olivia: str, phone: Phone) -> None:
    page = browser.sign_in("olivia", SHORT)
    browser.send(page, "otp", otp=phone.code(), trust="yes")
    require("org_northwind", "optional")
    browser.send(browser.get("/logout"), "logout-confirm")
    page = browser.sign_in("olivia", SHORT)
    assert page.name == "otp"
    page = browser.send(page, "otp", otp=phone.code(1))
    assert is_renewal(page)
    assert browser.send(page, "password", password=LONG).name == "me"
    assert trusted_devices.of(olivia) == []


def test_whoever_is_disabled_meanwhile_renews_nothing(browser: Browser, olivia: str, phone: Phone) -> None:
    require("org_northwind", "optional")
    page = sign_in(browser, phone)
    with database.writing():
        lifecycle.disable(users.find(olivia), by=OPERATOR)
    assert is_renewal(browser.send(page, "password", password=LONG))
    assert passwords.has_short(olivia)
