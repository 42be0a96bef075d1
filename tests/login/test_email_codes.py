"""Codes by mail as a second factor: asked for by a form, given once, and of no use beside what came by mail, too."""

import re

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from idp.app import start
from idp.credentials import email_codes, factors, guesses, held, passwords, phc, recovery_codes
from idp.credentials.guesses import FREE_IN_A_ROW
from idp.login import changing_factors, mailboxes, transactions
from idp.login.demands import Demand
from idp.organizations import domains, organizations
from idp.organizations.organizations import OrganizationSettings
from idp.platform import clock, database
from idp.sessions import browsers, levels, people, trusted_devices
from idp.sessions.people import LiveSession
from idp.users import addresses, users
from idp.users.models import Address
from tests import phones
from tests.actors import GOOD, Browser, Page, transaction_in
from tests.login.conftest import made
from tests.mailboxes import letters
from tests.proving import set_up
from tests.traces import OPERATOR, entries, events

BOX = "olivia@northwind.test"
STRICT = Demand(least="aal2")
WITHOUT = ("password", "passkey", "totp", "recovery_code", "sso")
"""Methods among which codes by mail are not."""


@pytest.fixture
def mailbox(olivia: str) -> str:
    """The factor of Olivia, who has turned codes by mail on."""
    return set_up(olivia, "email_code")


def sessions_in(browser: Browser) -> list[LiveSession]:
    database.session().rollback()
    return people.in_browser(browsers.recognise(browser.cookie()))


def methods_in(browser: Browser) -> list[str]:
    (session,) = sessions_in(browser)
    return sorted(proof.method for proof in session.proofs)


def asked_for(browser: Browser, demand: Demand = STRICT) -> str:
    """The address of a sign-in that another room asks for."""
    if not browser.cookie():
        browser.get("/login")
    with database.writing():
        known = browsers.recognise(browser.cookie())
        assert known is not None
        return f"/login?txn={transactions.begin(known.id, demand, return_to='/me', application='Ledger').id}"


def codes_to(address: str = BOX) -> list[str]:
    """The codes in the mails to the address, in no particular order."""
    return [one.code for one in letters(address) if one.template == "email_code"]


def new_code(before: list[str], address: str = BOX) -> str:
    (code,) = [one for one in codes_to(address) if one not in before]
    return code


def at_code(browser: Browser, path: str = "/login") -> tuple[Page, str]:
    """The page that asks for a code after the password, and the code that was mailed."""
    before = codes_to()
    page = browser.sign_in("olivia", path=path)
    assert page.name == "otp", page.text
    return page, new_code(before)


def by_mail(user_id: str) -> None:
    """Let the person's password be one that was set through a mailed link."""
    with database.writing():
        passwords.store(user_id, phc.make(GOOD), by=OPERATOR, by_mail=True)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08}"


# The story


def test_whoever_has_turned_them_on_gets_one_after_the_password(browser: Browser, olivia: str, mailbox: str) -> None:
    page, code = at_code(browser)
    assert (page.heading, page.title) == ("Enter the code", "Enter the code - Canopy")
    assert "o…@northwind.test" in page.text
    assert BOX not in page.text
    (field,) = (one for one in page.form("otp").inputs if one["name"] == "otp")
    assert (field["inputmode"], field["autocomplete"]) == ("numeric", "one-time-code")
    assert sessions_in(browser) == []
    assert browser.send(page, "otp", otp=code).name == "me"
    assert methods_in(browser) == ["email_code", "password"]
    (session,) = sessions_in(browser)
    assert levels.of(session.proofs) == levels.Level("aal2", ("pwd", "otp", "mfa"))
    assert mailbox in {proof.factor_id for proof in session.proofs}


def test_a_wrong_code_is_told_first_and_can_be_put_right(browser: Browser, olivia: str, mailbox: str) -> None:
    page, code = at_code(browser)
    page = browser.send(page, "otp", otp=wrong(code))
    assert (page.name, page.alerts, page.status) == ("otp", 1, 200)
    assert browser.send(page, "otp", otp=" ").text.count("The code is missing") == 1
    assert browser.send(page, "otp", otp=code).name == "me"
    (failed,) = [one for one in entries(olivia) if one.event == "signin.failed"]
    assert failed.after_json == '{"method": "email_code"}'


@pytest.mark.rule("RST-04")
def test_looking_at_pages_mails_nothing(browser: Browser, olivia: str, mailbox: str) -> None:
    phones.given_to(olivia)
    page = browser.sign_in("olivia")
    assert codes_to() == []  # an app is at hand
    txn = transaction_in(page)
    for path in ("/login/verify", "/login/verify/send", "/login/enrol/email", "/login/enrol/email/send"):
        for method in ("GET", "HEAD"):
            browser.client.open(f"{path}?txn={txn}&way=email_code", method=method)
    assert codes_to() == []
    page = browser.get(f"/login/verify?txn={txn}&way=email_code")
    assert page.heading == "Get a code by e-mail"
    page = browser.send(page, "code-send")
    assert page.heading == "Enter the code"
    assert browser.send(page, "otp", otp=new_code([])).name == "me"


def test_a_session_that_steps_up_is_mailed_nothing_before_somebody_asks(
    browser: Browser, olivia: str, mailbox: str
) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        page, code = at_code(browser)
        browser.send(page, "otp", otp=code)
        clockwork.shift(6 * 60)
        page = browser.get("/me/security/mail")
        assert (page.heading, codes_to()) == ("Get a code by e-mail", [code])
        page = browser.send(page, "code-send")
        assert browser.send(page, "otp", otp=new_code([code])).heading == "Codes by e-mail"


@pytest.mark.rule("LOG-07")
def test_whoever_asks_again_and_again_is_told_to_wait(browser: Browser, olivia: str, mailbox: str) -> None:
    with time_machine.travel(1_900_000_000, tick=False):
        page, first = at_code(browser)
        for _ in range(2):
            page = browser.send(page, "code-send")
            assert (page.status, page.alerts) == (200, 0)
        refused = browser.send(page, "code-send")
        assert (refused.status, refused.alerts, refused.response.headers["Retry-After"]) == (429, 1, "900")
        assert "in 15 minutes" in refused.text
        assert len(codes_to()) == 3
        browser.sign_in("olivia")
        assert len(codes_to()) == 3
        assert browser.send(page, "otp", otp=first).alerts == 1


# What it is bound to


@pytest.mark.rule("TOT-04")
def test_a_code_is_of_no_use_in_another_sign_in_or_browser(
    browser: Browser, other: Browser, olivia: str, mailbox: str
) -> None:
    page, code = at_code(browser)
    there, _ = at_code(other)
    assert other.send(there, "otp", otp=code).alerts == 1
    again, _ = at_code(browser)
    assert browser.send(again, "otp", otp=code).alerts == 1
    stolen = f"/login/verify?txn={transaction_in(page)}"
    form = {"csrf_token": there.form("otp").fields["csrf_token"], "otp": code, "way": "email_code"}
    assert other.client.post(stolen, data=form).status_code == 403
    assert browser.send(page, "otp", otp=code).name == "me"
    assert sessions_in(other) == []


@pytest.mark.rule("TOT-04")
def test_a_code_that_was_mailed_elsewhere_is_good_no_more(browser: Browser, olivia: str, mailbox: str) -> None:
    page, code = at_code(browser)
    with database.writing():
        person = users.find(olivia)
        new = addresses.add(person, "new@northwind.test", verified=True, by=OPERATOR)
        addresses.make_primary(person, new, by=OPERATOR)
    page = browser.send(page, "otp", otp=code)
    assert (page.name, page.heading) == ("otp", "Get a code by e-mail")
    assert "n…@northwind.test" in page.text


@pytest.mark.rule("RST-05")
def test_codes_go_to_no_address_that_cannot_recover_yet(browser: Browser, olivia: str, mailbox: str) -> None:
    with database.writing():
        person = users.find(olivia)
        new = addresses.add(person, "new@evil.test", verified=True, by=OPERATOR)
        new.recovers_from = clock.now() + 7 * clock.DAY
        addresses.make_primary(person, new, by=OPERATOR)
    page, code = at_code(browser)
    assert letters("new@evil.test") == []
    assert browser.send(page, "otp", otp=code).name == "me"


# Limits


@pytest.mark.rule("LOG-06", "LOG-07")
def test_wrong_codes_count_with_everything_else_that_can_be_guessed(
    browser: Browser, olivia: str, mailbox: str
) -> None:
    phone = phones.given_to(olivia)
    page = browser.sign_in("olivia")
    for _ in range(FREE_IN_A_ROW // 2):
        page = browser.send(page, "otp", otp=phone.wrong())
    way = f"/login/verify?txn={transaction_in(page)}&way=email_code"
    page = browser.send(browser.get(way), "code-send")
    code = new_code([])
    for _ in range(FREE_IN_A_ROW - FREE_IN_A_ROW // 2):
        assert page.status == 200
        page = browser.send(page, "otp", otp=wrong(code))
    held_back = browser.send(page, "otp", otp=code)
    assert (held_back.status, held_back.name) == (429, "otp")
    assert "Try again in" in held_back.text
    assert sessions_in(browser) == []


@pytest.mark.rule("LOG-06", "LOG-07")
def test_what_the_persons_own_count_holds_back_is_not_looked_at(
    browser: Browser, olivia: str, mailbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, code = at_code(browser)
    monkeypatch.setattr(guesses, "reserve", lambda _: guesses.Reservation(is_barred=True))
    assert browser.send(page, "otp", otp=code).alerts == 1
    monkeypatch.undo()
    assert browser.send(page, "otp", otp=code).name == "me"


# Trust


def test_a_browser_is_trusted_by_a_code_and_until_they_are_turned_off(
    browser: Browser, olivia: str, mailbox: str
) -> None:
    page, code = at_code(browser)
    browser.send(page, "otp", otp=code, trust="yes")
    database.session().rollback()
    ((device, _),) = trusted_devices.of(olivia)
    assert device.factor_id == mailbox
    browser.send(browser.get("/logout"), "logout-confirm")
    assert browser.sign_in("olivia").name == "me"
    with database.writing():
        changing_factors.remove(olivia, mailbox, by=OPERATOR)
    assert trusted_devices.of(olivia) == []


# Beside a password that came by mail


@pytest.mark.rule("RST-01", "TOT-04")
def test_beside_a_password_that_came_by_mail_a_code_by_mail_is_worth_nothing(
    browser: Browser, olivia: str, mailbox: str
) -> None:
    recovery = phones.codes_of(olivia)
    by_mail(olivia)
    page = browser.sign_in("olivia")
    assert (page.name, page.heading) == ("verify", "Enter a recovery code")
    assert "email_code" not in page.text
    assert codes_to() == []
    txn, token = transaction_in(page), page.form("recovery_code").fields["csrf_token"]
    with database.writing():
        email_codes.send(olivia, txn, BOX, "en")
    for path, form in (
        ("/login/verify/send", {"csrf_token": token, "username": "olivia"}),
        ("/login/verify", {"csrf_token": token, "otp": new_code([]), "way": "email_code"}),
    ):
        assert browser.client.post(f"{path}?txn={txn}", data=form).status_code == 303
    assert (len(codes_to()), sessions_in(browser)) == (1, [])
    assert browser.send(page, "recovery_code", recovery_code=recovery[0]).name == "me"


@pytest.mark.rule("RST-01", "TOT-06", "TOT-07")
def test_whoever_has_nothing_else_is_told_whom_to_ask_and_gets_no_further(
    browser: Browser, olivia: str, mailbox: str
) -> None:
    by_mail(olivia)
    for path in ("/login", asked_for(browser, STRICT), asked_for(browser, Demand(acr="aal2"))):
        page = browser.sign_in("olivia", path=path)
        assert (page.name, page.heading) == ("verify", "You need help to sign in")
        for step in ("/login/password", "/login/renew", "/login/enrol", "/login/enrol/email", "/select"):
            assert browser.get(f"{step}?txn={transaction_in(page)}").heading == page.heading
    assert (sessions_in(browser), codes_to()) == ([], [])
    with database.writing():
        passwords.store(olivia, phc.make(GOOD), by=OPERATOR)
    assert browser.sign_in("olivia").heading == "Enter the code"


@pytest.mark.rule("RST-01")
def test_what_a_code_proved_counts_no_more_once_the_password_came_by_mail(
    browser: Browser, olivia: str, mailbox: str
) -> None:
    page, code = at_code(browser, asked_for(browser, Demand(least="phr")))
    page = browser.send(page, "otp", otp=code)
    assert page.name == "enrol"
    by_mail(olivia)
    page = browser.send(browser.get(page.address), "password", password=GOOD)
    assert page.heading == "You need help to sign in"


def test_whoever_has_no_mailbox_left_is_told_whom_to_ask(browser: Browser, olivia: str, mailbox: str) -> None:
    with database.writing():
        database.session().scalars(select(Address).where(Address.user_id == olivia)).one().verified_at = None
    page = browser.sign_in("olivia")
    assert page.heading == "You need help to sign in"


@pytest.mark.rule("TOT-08")
def test_in_a_trusted_browser_nothing_is_set_up_by_a_password_alone_either(
    browser: Browser, olivia: str, mailbox: str
) -> None:
    page, code = at_code(browser)
    browser.send(page, "otp", otp=code, trust="yes")
    browser.send(browser.get("/logout"), "logout-confirm")
    with database.writing():
        database.session().scalars(select(Address).where(Address.user_id == olivia)).one().verified_at = None
    assert browser.sign_in("olivia").name == "me"
    browser.send(browser.get("/logout"), "logout-confirm")
    assert browser.sign_in("olivia", path=asked_for(browser)).heading == "You need help to sign in"


# Where a policy does not list them


@pytest.mark.rule("TOT-07")
def test_where_they_do_not_count_they_are_not_offered_beside_what_does(
    browser: Browser, olivia: str, mailbox: str
) -> None:
    phone = phones.given_to(olivia)
    page = browser.sign_in("olivia", path=asked_for(browser, Demand(least="aal2", methods=WITHOUT)))
    assert "email_code" not in page.text
    txn, token = transaction_in(page), page.form("otp").fields["csrf_token"]
    browser.client.post(f"/login/verify/send?txn={txn}", data={"csrf_token": token, "username": "olivia"})
    assert codes_to() == []
    assert browser.send(page, "otp", otp=phone.code()).name == "me"


@pytest.mark.rule("TOT-07")
def test_where_they_do_not_count_something_else_has_to_be_set_up(browser: Browser, olivia: str, mailbox: str) -> None:
    page, code = at_code(browser, asked_for(browser, Demand(least="aal2", methods=WITHOUT)))
    page = browser.send(page, "otp", otp=code)
    assert (page.name, "email-begin" in page.text, "app-begin" in page.text) == ("enrol", False, True)
    assert sessions_in(browser) == []


# Turning them on within a sign-in


def enrolling(browser: Browser, demand: Demand = STRICT) -> tuple[Page, str]:
    """The page that asks for the first code, and the code."""
    before = codes_to()
    page = browser.sign_in("olivia", path=asked_for(browser, demand))
    assert page.name == "enrol", page.text
    page = browser.send(page, "email-begin")
    assert (page.name, page.heading) == ("enrol", "Turn on codes by e-mail")
    return page, new_code(before)


def test_they_are_turned_on_on_the_way_and_bring_recovery_codes(browser: Browser, olivia: str) -> None:
    page, code = enrolling(browser)
    assert (held.methods(olivia), sessions_in(browser)) == ({"password"}, [])
    page = browser.send(page, "otp", otp=wrong(code))
    assert (page.alerts, held.methods(olivia)) == (1, {"password"})
    page = browser.send(page, "otp", otp=code)
    assert page.heading == "Keep your recovery codes"
    assert browser.send(page, "codes-submit", saved="yes").name == "me"
    assert methods_in(browser) == ["email_code", "password"]
    assert held.methods(olivia) == {"password", "email_code", "recovery_code"}
    assert "user.factor.added" in events(olivia)


def test_they_are_offered_last(browser: Browser, olivia: str) -> None:
    page = browser.sign_in("olivia", path=asked_for(browser))
    offered = re.findall(r'id="(passkey-register|app-begin|email-begin)"', page.text)
    assert offered == ["passkey-register", "app-begin", "email-begin"]


@pytest.mark.rule("TOT-07", "RST-01")
@pytest.mark.parametrize("why", ["not listed", "not strong enough", "by mail", "no mailbox"])
def test_they_are_not_offered_where_they_would_not_do(browser: Browser, olivia: str, why: str) -> None:
    demand = {"not listed": Demand(least="aal2", methods=WITHOUT), "not strong enough": Demand(least="phr")}
    if why == "by mail":
        by_mail(olivia)
    if why == "no mailbox":
        with database.writing():
            database.session().scalars(select(Address).where(Address.user_id == olivia)).one().verified_at = None
    page = browser.sign_in("olivia", path=asked_for(browser, demand.get(why, STRICT)))
    assert (page.name, "email-begin" in page.text) == ("enrol", False)
    txn, token = transaction_in(page), page.form("login-cancel").fields["csrf_token"]
    for path in ("/login/enrol/email/send", "/login/enrol/email"):
        browser.client.post(f"{path}?txn={txn}", data={"csrf_token": token, "otp": "12345678"})
    assert (codes_to(), factors.of(olivia)) == ([], [])


@pytest.mark.rule("TOT-03")
def test_they_are_turned_on_in_the_sign_in_that_asked_alone(browser: Browser, other: Browser, olivia: str) -> None:
    _, code = enrolling(browser)
    for elsewhere in (browser, other):
        page, _ = enrolling(elsewhere)
        assert elsewhere.send(page, "otp", otp=code).alerts == 1
    assert factors.of(olivia) == []


@pytest.mark.rule("LOG-07")
def test_the_first_code_cannot_be_guessed_for_long_either(browser: Browser, olivia: str) -> None:
    page, code = enrolling(browser)
    for _ in range(FREE_IN_A_ROW):
        assert page.status == 200
        page = browser.send(page, "otp", otp=wrong(code))
    assert browser.send(page, "otp", otp=code).status == 429
    assert factors.of(olivia) == []


@pytest.mark.rule("TOT-03", "TOT-08")
def test_nothing_is_turned_on_on_an_old_proof(browser: Browser, olivia: str) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        page, code = enrolling(browser)
        clockwork.shift(301)
        assert browser.send(page, "otp", otp=code).name == "password"
        assert factors.of(olivia) == []


def test_whatever_is_typed_is_answered_with_a_page(browser: Browser, olivia: str, mailbox: str) -> None:
    page, _ = at_code(browser)
    for typed in ("-1", "1e5", "²" * 8, "\u202e12345678", "9" * 100_000, "<b>", "½"):
        answer = browser.post(page, "otp", otp=typed)
        assert answer.status_code in (303, 429)
    assert sessions_in(browser) == []


def test_an_address_that_was_managed_away_gets_no_code(app: Flask, browser: Browser, olivia: str, mailbox: str) -> None:
    assert mailboxes.of(olivia) == BOX
    manage()
    assert mailboxes.of(olivia) == ""


def manage() -> None:
    """Let an organization that Olivia is not in prove the domain of her address."""
    start()
    owner = made("otto")
    with database.writing():
        organizations.found(OrganizationSettings("northwind", "Northwind"), owner, id="org_northwind", by=OPERATOR)
        found = domains.claim("org_northwind", "northwind.test", by=OPERATOR)
        domains.confirm("org_northwind", found.id, by=OPERATOR)


def test_recovery_codes_stand_in_for_them_and_are_void_with_the_last_factor(olivia: str, mailbox: str) -> None:
    phones.codes_of(olivia)
    assert "recovery_code" in held.methods(olivia)
    with database.writing():
        changing_factors.remove(olivia, mailbox, by=OPERATOR)
    assert recovery_codes.left(olivia) == 0
