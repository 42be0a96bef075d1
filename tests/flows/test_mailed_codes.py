"""Codes by mail, links to set up a passkey, warnings before a reset: in Chromium, with letters that really arrive."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from idp.audit.trail import Actor
from idp.credentials import passwords
from idp.credentials.models import EmailCode
from idp.login import enrol_links, factor_resets
from idp.login.demands import Demand
from idp.platform import database
from idp.users import operators, users
from tests import mailboxes, once, proving
from tests.actors import GOOD
from tests.flows import browsers, people
from tests.flows.browsers import Look, Visitor, accessibility_problems, overflow, press
from tests.flows.test_passkeys import plug
from tests.flows.test_second_factors import demand
from tests.flows.test_sign_in import LOOKS, SCRIPTS, give, is_at, name, sign_in
from tests.mailboxes import MailServer
from tests.traces import OPERATOR

CODE = "Your code"


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    """Where letters arrive."""
    with mailboxes.serving() as found:
        yield found


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory, server: MailServer) -> Iterator[Visitor]:
    """Somebody with a browser, at a provider that sends letters."""
    folder = tmp_path_factory.mktemp("site")
    with (
        browsers.visitor(folder, people.build, rate_limits="off", mail=server.url) as found,
        mailboxes.delivering(found.app),
    ):
        yield found


def box(username: str) -> str:
    return f"{username}@northwind.test"


def letters_about(server: MailServer, username: str, about: str) -> int:
    """How many letters about that have come for the person."""
    return len([mail for mail in server.mails(box(username)) if about in mail.subject])


def next_code(server: MailServer, username: str, before: int) -> str:
    """The code that comes after so many others."""
    return server.wait_for(box(username), CODE, number=before + 1).code


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08}"


def sign_out(page: Page, visitor: Visitor) -> None:
    page.goto(f"{visitor.url}/logout")
    press(page, "#logout-confirm")
    page.goto(f"{visitor.url}/login")


def has_turned_on(visitor: Visitor, username: str) -> None:
    """The person has turned codes by mail on."""
    with visitor.app.app_context():
        proving.set_up(f"usr_{username}", "email_code")
        database.db.session.remove()


def by_mail(visitor: Visitor, username: str) -> None:
    """The person's password was set through a mailed link."""
    with visitor.app.app_context():
        with database.writing():
            passwords.store(f"usr_{username}", once.hashed(GOOD), by=OPERATOR, by_mail=True)
        database.db.session.remove()


def link_for(visitor: Visitor, server: MailServer, username: str) -> str:
    """A link by which the person sets up a passkey, who has nothing else."""
    before = letters_about(server, username, "Set up")
    with visitor.app.app_context():
        with database.writing():
            passwords.remove(f"usr_{username}", by=OPERATOR)
            enrol_links.make(f"usr_{username}", by=OPERATOR)
        database.db.session.remove()
    return server.wait_for(box(username), "Set up", number=before + 1).link


def warned(visitor: Visitor, server: MailServer, username: str) -> str:
    """The link in the letter to an operator whose second factors are to be taken."""
    user_id, before = f"usr_{username}", letters_about(server, username, "second factors")
    with visitor.app.app_context():
        with database.writing():
            operators.add(users.find(user_id), by=OPERATOR)
            factor_resets.ask(user_id, "lost her <b>phone</b>", by=Actor("operator", "ops"))
        database.db.session.remove()
    return server.wait_for(box(username), "second factors", number=before + 1).link


@SCRIPTS
def test_somebody_turns_them_on_keeps_codes_and_signs_in_by_one(
    visitor: Visitor, server: MailServer, look: Look
) -> None:
    username = "bob" if look.scripts else "tom"
    with visitor.visit("/login", look) as page:
        demand(page, visitor, Demand(least="aal2"))
        name(page, username)
        give(page)
        expect(page.locator("h1")).to_have_text("Set up a second factor")
        press(page, "#email-begin")
        code = next_code(server, username, 0)
        page.fill("#otp", wrong(code))
        press(page, "#otp-submit")
        expect(page.get_by_role("alert")).to_be_focused()
        expect(page).to_have_title(re.compile("^Error: Turn on codes by e-mail - Ledger"))
        page.fill("#otp", code)
        press(page, "#otp-submit")
        expect(page.locator("h1")).to_have_text("Keep your recovery codes")
        page.check("#saved")
        press(page, "#codes-submit")
        is_at(page, "me")

        sign_out(page, visitor)
        name(page, username)
        give(page)
        is_at(page, "otp")
        expect(page.locator("#otp")).to_be_focused()
        first = next_code(server, username, 1)
        press(page, "#code-send")
        second = next_code(server, username, 2)
        page.fill("#otp", first if first != second else wrong(second))
        press(page, "#otp-submit")
        expect(page.get_by_role("alert")).to_be_focused()
        page.fill("#otp", f"{second[:4]} {second[4:]}")
        page.get_by_label("Trust this device for 30 days").check()
        press(page, "#otp-submit")
        is_at(page, "me")
        sign_out(page, visitor)
        name(page, username)
        give(page)
        is_at(page, "me")


@SCRIPTS
def test_a_code_that_came_too_late_is_told_and_another_one_asked_for(
    visitor: Visitor, server: MailServer, look: Look
) -> None:
    username = "nick" if look.scripts else "una"
    has_turned_on(visitor, username)
    with visitor.visit("/login", look) as page:
        name(page, username)
        give(page)
        code = next_code(server, username, 0)
        with visitor.app.app_context(), database.writing():
            database.session().execute(update(EmailCode).values(expires_at=0))
        page.fill("#otp", code)
        press(page, "#otp-submit")
        expect(page.locator("h1")).to_have_text("Get a code by e-mail")
        expect(page.get_by_role("alert")).to_be_focused()
        press(page, "#code-send")
        page.reload()
        page.fill("#otp", next_code(server, username, 1))
        press(page, "#otp-submit")
        is_at(page, "me")
        assert letters_about(server, username, CODE) == 2


def test_a_passkey_is_set_up_by_a_link(visitor: Visitor, server: MailServer) -> None:
    link = link_for(visitor, server, "olivia")
    with visitor.visit("/login") as page:
        authenticator = plug(page)
        page.goto(link)
        expect(page.locator("h1")).to_have_text("Set up a passkey")
        press(page, "#enrol-submit")
        page.click("#passkey-register")
        expect(page.locator("h1")).to_have_text("Keep your recovery codes")
        page.check("#saved")
        press(page, "#codes-submit")
        is_at(page, "me")
        assert len(authenticator.credentials()) == 1
        page.goto(link)
        expect(page.locator("body")).to_have_attribute("data-error", "link_void")


def test_without_scripts_the_link_says_what_is_missing_and_stays_good(visitor: Visitor, server: MailServer) -> None:
    link = link_for(visitor, server, "otto")
    with visitor.visit("/login", Look(scripts=False)) as page:
        page.goto(link)
        press(page, "#enrol-submit")
        assert "Passkeys need JavaScript, which is off in this browser. Use another browser" in page.content()
        page.goto(link)
        expect(page.locator("h1")).to_have_text("Set up a passkey")


@SCRIPTS
def test_whoever_is_warned_keeps_what_they_have(visitor: Visitor, server: MailServer, look: Look) -> None:
    username = "mona" if look.scripts else "eve"
    link = warned(visitor, server, username)
    with visitor.visit("/login", look) as page:
        page.goto(link)
        expect(page.get_by_text("lost her <b>phone</b>")).to_be_visible()
        press(page, "#keep-submit")
        expect(page.locator("h1")).to_have_text("You keep your second factors")
        page.goto(link)
        expect(page.locator("body")).to_have_attribute("data-error", "link_void")


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_the_pages_are_for_everybody(
    tmp_path_factory: pytest.TempPathFactory, visitor: Visitor, server: MailServer, look: Look
) -> None:
    username = dict(zip(LOOKS.values(), ("bob", "tom", "nick", "una"), strict=True))[look]
    folder = tmp_path_factory.mktemp("looks")
    found: dict[str, list[str]] = {}

    def look_at(page: Page, what: str) -> None:
        found[what] = accessibility_problems(page) + ["too wide"] * (overflow(page) > 0)

    with (
        visitor.also_at(folder, people.build, rate_limits="off", mail=server.url) as here,
        mailboxes.delivering(here.app),
        here.visit("/login", look) as page,
    ):
        demand(page, here, Demand(least="aal2"))
        name(page, username)
        give(page)
        look_at(page, "enrol")
        press(page, "#email-begin")
        look_at(page, "first code")
        page.fill("#otp", "1")
        press(page, "#otp-submit")
        look_at(page, "first code wrong")
        sign_in(page, here, username)
        page.goto(f"{here.url}/me/security/mail")
        look_at(page, "turn on")
        press(page, "#code-send")
        page.fill("#otp", "1")
        press(page, "#otp-submit")
        look_at(page, "turn on wrong")
        has_turned_on(here, username)
        page.goto(f"{here.url}/me/security")
        look_at(page, "security")
        page.goto(f"{here.url}/me/security/mail")
        look_at(page, "asked anew")
        press(page, "#code-send")
        page.locator("main summary").first.click()
        look_at(page, "code")
        page.fill("#otp", "1")
        press(page, "#otp-submit")
        look_at(page, "code wrong")
        by_mail(here, username)
        demand(page, here, Demand(fresh=True))
        name(page, username)
        give(page)
        look_at(page, "stuck")
        page.goto(warned(here, server, "mona"))
        look_at(page, "warned")
        press(page, "#keep-submit")
        look_at(page, "kept")
        page.goto(link_for(here, server, "otto"))
        look_at(page, "link")
    assert [problem for problems in found.values() for problem in problems] == []
    assert len(found) == 13
