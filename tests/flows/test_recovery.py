"""Recovering a password and making oneself an account as people do it: in Chromium, with letters that really arrive."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from idp.credentials import not_me
from idp.credentials.models import MailedLink
from idp.login.demands import Demand
from idp.platform import database
from tests import mailboxes, phones
from tests.actors import GOOD
from tests.flows import browsers, people
from tests.flows.browsers import Look, Visitor, accessibility_problems, overflow, press
from tests.flows.test_second_factors import demand
from tests.flows.test_sign_in import LOOKS, SCRIPTS, give, is_at, name, sign_in
from tests.mailboxes import MailServer

NEW = "staple battery horse correct"
RESET, CONFIRM, KNOWN = "Choose a new password", "Confirm your e-mail address", "You have an account already"


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    """Where letters arrive."""
    with mailboxes.serving() as found:
        yield found


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory, server: MailServer) -> Iterator[Visitor]:
    """Somebody with a browser, at a provider that sends letters and lets people sign up."""
    folder = tmp_path_factory.mktemp("site")
    with (
        browsers.visitor(folder, people.build, rate_limits="off", signup="on", mail=server.url) as found,
        mailboxes.delivering(found.app),
    ):
        yield found


def forget(page: Page, visitor: Visitor, server: MailServer, username: str) -> str:
    """Ask for a link as somebody who cannot sign in, from the page that is open; the link."""
    mailbox = f"{username}@northwind.test"
    before = len([mail for mail in server.mails(mailbox) if mail.link.startswith(f"{visitor.url}/recover/")])
    page.get_by_role("link", name="Trouble signing in?").click()
    expect(page.locator("h1")).to_have_text("Reset your password")
    page.fill("#username", mailbox)
    press(page, "#recover-submit")
    expect(page.locator("h1")).to_have_text("Check your mail")
    mail = server.wait_for(mailbox, RESET, number=before + 1)
    assert mail.link.startswith(f"{visitor.url}/recover/")
    return mail.link


def choose(page: Page, password: str = NEW) -> None:
    """Choose a password on the page that a link leads to."""
    expect(page.locator("h1")).to_have_text("Choose a new password")
    page.fill("#password", password)
    press(page, "#recover-set-submit")


def expire(visitor: Visitor) -> None:
    """Every link is too old now."""
    with visitor.app.app_context(), database.writing():
        database.session().execute(update(MailedLink).values(expires_at=0))


def is_void(page: Page) -> None:
    """The page says that the link cannot be used."""
    expect(page.locator("body")).to_have_attribute("data-error", "link_void")


@SCRIPTS
def test_somebody_forgets_their_password_and_goes_on_where_they_were(
    visitor: Visitor, server: MailServer, look: Look
) -> None:
    username = "bob" if look.scripts else "nick"
    with visitor.visit("/login?return_to=/me?from=ledger", look) as page:
        name(page, username)
        give(page, "what was it")
        link = forget(page, visitor, server, username)
        page.goto(link)
        choose(page, "too short")
        expect(page.get_by_role("alert")).to_be_focused()
        expect(page).to_have_title(re.compile("^Error: Choose a new password"))
        choose(page)
        is_at(page, "me")
        assert page.url == f"{visitor.url}/me?from=ledger"
        page.goto(link)
        is_void(page)
        page.get_by_role("link", name="Ask for another link").click()
        is_at(page, "recover")
        page.goto(f"{visitor.url}/logout")
        press(page, "#logout-confirm")
        sign_in(page, visitor, username)
        expect(page.get_by_role("alert")).to_be_focused()
        give(page, NEW)
        is_at(page, "me")


@SCRIPTS
def test_the_second_factor_is_asked_for_on_the_way_to_the_application(
    visitor: Visitor, server: MailServer, look: Look
) -> None:
    username = "olivia" if look.scripts else "una"
    with visitor.app.app_context():
        phone = phones.given_to(f"usr_{username}")
        database.db.session.remove()
    with visitor.visit("/login", look) as page:
        demand(page, visitor, Demand(least="aal2"))
        link = forget(page, visitor, server, username)
        page.goto(link)
        expect(page).to_have_title("Choose a new password - Ledger - Canopy")
        choose(page)
        is_at(page, "otp")
        page.goto(f"{visitor.url}/me")
        is_at(page, "login")
        page.go_back()
        is_at(page, "otp")
        page.fill("#otp", phone.code())
        press(page, "#otp-submit")
        is_at(page, "me")


def test_in_another_browser_with_somebody_else_signed_in_the_link_says_so_and_works(
    visitor: Visitor, server: MailServer
) -> None:
    with visitor.visit("/login") as page:
        link = forget(page, visitor, server, "tom")
    with visitor.visit("/login") as page:
        sign_in(page, visitor, "otto")
        page.goto(link)
        expect(page.locator("#elsewhere")).to_contain_text("in another browser")
        expect(page.get_by_text("Otto is signed in in this browser")).to_be_visible()
        choose(page)
        expect(page.locator("h1")).to_have_text("Tom")
        page.goto(f"{visitor.url}/login")
        expect(page.get_by_role("button", name="Continue as Otto")).to_be_visible()


def test_a_link_that_is_too_old_leads_to_another_one(visitor: Visitor, server: MailServer) -> None:
    with visitor.visit("/login", Look(scripts=False)) as page:
        page.goto(forget(page, visitor, server, "otto"))
        page.fill("#password", NEW)
        expire(visitor)
        press(page, "#recover-set-submit")
        is_void(page)
        page.get_by_role("link", name="Ask for another link").click()
        expect(page.locator("h1")).to_have_text("Reset your password")


def test_who_did_not_do_it_says_so(visitor: Visitor) -> None:
    with visitor.visit("/login") as thief:
        sign_in(thief, visitor, "mona", "/me")
        is_at(thief, "me")
        with visitor.visit(disowning(visitor, "mona"), Look(scripts=False)) as page:
            expect(page.locator("h1")).to_have_text("This wasn't you?")
            press(page, "#not-me-submit")
            expect(page.locator("h1")).to_have_text("You are signed out everywhere")
            page.get_by_role("link", name="Reset your password").click()
            is_at(page, "recover")
        thief.reload()
        is_at(thief, "login")


def disowning(visitor: Visitor, username: str) -> str:
    """What stands in a letter to somebody for the case that they did not do it."""
    with visitor.app.app_context():
        with database.writing():
            path = not_me.path(f"usr_{username}", f"{username}@northwind.test", f"{username}@northwind.test")
        database.db.session.remove()
    return path


@SCRIPTS
def test_somebody_makes_themselves_an_account_once(visitor: Visitor, server: MailServer, look: Look) -> None:
    mailbox = f"ada-{look.scripts}@lovelace.test".lower()
    with visitor.visit("/login?return_to=/me?from=ledger", look) as page:
        link = begin(page, server, mailbox, CONFIRM)
        page.goto(link)
        page.fill("#name", "Ada Lovelace")
        page.fill("#password", "too short")
        press(page, "#signup-set-submit")
        expect(page.get_by_role("alert")).to_be_focused()
        expect(page.locator("#name")).to_have_value("Ada Lovelace")
        page.fill("#password", GOOD)
        press(page, "#signup-set-submit")
        expect(page.locator("h1")).to_have_text("Ada Lovelace")
        assert page.url == f"{visitor.url}/me?from=ledger"
        page.goto(link)
        is_void(page)
        page.goto(f"{visitor.url}/logout")
        press(page, "#logout-confirm")
        page.goto(f"{visitor.url}/login")
        assert begin(page, server, mailbox.upper().replace("LOVELACE.TEST", "lovelace.test"), KNOWN, mailbox).endswith(
            "/login"
        )
        page.get_by_role("link", name="Back to signing in").click()
        name(page, mailbox)
        give(page)
        is_at(page, "me")


def begin(page: Page, server: MailServer, typed: str, about: str, mailbox: str = "") -> str:
    """Ask for an account from the page where people sign in; the link that is mailed."""
    page.get_by_role("link", name="Create an account").click()
    expect(page.locator("h1")).to_have_text("Create an account")
    page.fill("#email", typed)
    press(page, "#signup-submit")
    expect(page.locator("h1")).to_have_text("Check your mail")
    return server.wait_for(mailbox or typed, about).link


def test_a_sign_up_that_took_too_long_begins_anew(visitor: Visitor, server: MailServer) -> None:
    with visitor.visit("/login", Look(scripts=False)) as page:
        link = begin(page, server, "late@lovelace.test", CONFIRM)
        expire(visitor)
        page.goto(link)
        is_void(page)
        page.get_by_role("link", name="Ask for another link").click()
        expect(page.locator("h1")).to_have_text("Create an account")


# How the pages look


def asked(page: Page, _: Visitor, server: MailServer) -> None:
    page.fill("#username", "hanna@northwind.test")
    press(page, "#recover-submit")


def missed(page: Page, _: Visitor, server: MailServer) -> None:
    page.locator("form[action^='/recover'], form[action^='/signup']").evaluate("form => form.noValidate = true")
    press(page, "#recover-submit, #signup-submit")
    expect(page.get_by_role("alert")).to_be_focused()


def opened(page: Page, visitor: Visitor, server: MailServer) -> None:
    """The page of a link that was asked for elsewhere, where somebody with a long name is signed in."""
    with visitor.visit("/login") as other:
        link = forget(other, visitor, server, "eve")
    page.goto(f"{visitor.url}/login")
    page.fill("[name=username]", "otto")
    press(page, "#identifier-submit")
    give(page)
    page.goto(link)


def refused(page: Page, visitor: Visitor, server: MailServer) -> None:
    opened(page, visitor, server)
    page.fill("#password", "too short")
    press(page, "#recover-set-submit")
    expect(page.get_by_role("alert")).to_be_focused()


def nothing(page: Page, visitor: Visitor, server: MailServer) -> None:
    pass


def disowned(page: Page, visitor: Visitor, server: MailServer) -> None:
    page.goto(visitor.url + disowning(visitor, "eve"))
    press(page, "#not-me-submit")


def disowned_not_yet(page: Page, visitor: Visitor, server: MailServer) -> None:
    page.goto(visitor.url + disowning(visitor, "eve"))


def signed_up(page: Page, _: Visitor, server: MailServer) -> None:
    """The page of a link to a new address, and what it says of a name that is missing."""
    page.fill("#email", "new@lovelace.test")
    press(page, "#signup-submit")
    page.goto(server.wait_for("new@lovelace.test", CONFIRM).link)
    page.locator("form[action^='/signup']").evaluate("form => form.noValidate = true")
    press(page, "#signup-set-submit")
    expect(page.get_by_role("alert")).to_be_focused()


PAGES: dict[str, tuple[str, Callable[[Page, Visitor, MailServer], None]]] = {
    "asking": ("/recover", nothing),
    "nothing entered": ("/recover", missed),
    "asked": ("/recover", asked),
    "opened": ("/recover", opened),
    "refused": ("/recover", refused),
    "void": ("/recover/clink_x", nothing),
    "not me": ("/recover", disowned_not_yet),
    "signed out": ("/recover", disowned),
    "sign up": ("/signup", nothing),
    "signed up": ("/signup", signed_up),
}


@pytest.mark.parametrize("looking", ["wide", "narrow and dark", "right to left, narrow"])
def test_every_page_is_accessible_and_fits(visitor: Visitor, server: MailServer, looking: str) -> None:
    is_read = LOOKS[looking].language == "en"
    for shown, (path, reach) in PAGES.items():
        if is_read or shown in ("asked", "not me", "signed up"):
            with visitor.visit(path, LOOKS[looking]) as page:
                reach(page, visitor, server)
                assert accessibility_problems(page) == [], shown
                assert overflow(page) == 0, shown
