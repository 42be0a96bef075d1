"""Addresses and one's own page, in Chromium and with letters that really come: verify, change, undo, mistakes."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from idp.credentials.models import MailedLink
from idp.organizations import domains
from idp.platform import clock, database
from idp.users import addresses, leaving, users
from tests import mailboxes
from tests.flows import browsers, people
from tests.flows.browsers import Look, Visitor, accessibility_problems, press
from tests.flows.test_sign_in import SCRIPTS, fits, is_at, name, sign_in
from tests.mailboxes import MailServer
from tests.traces import OPERATOR

LONG = "maximiliane.freifrau.von.und.zu.hohenstein.wolkenburg@a-very-long-name-of-a-domain.lichtenfels.example"


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    with mailboxes.serving() as found:
        yield found


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory, mail: MailServer) -> Iterator[Visitor]:
    """Somebody with a browser, at a provider that has people and sends mail."""
    folder = tmp_path_factory.mktemp("site")
    with (
        browsers.visitor(folder, people.build, rate_limits="off", mail=mail.url) as found,
        mailboxes.delivering(found.app),
    ):
        yield found


def ask(page: Page, visitor: Visitor, address: str, *, is_change: bool = False) -> None:
    """Have a link mailed to an address that is to be added."""
    page.goto(f"{visitor.url}/me")
    press(page, "#addresses-change")
    page.fill("#email", address)
    if is_change:
        page.check("[name=change]")
    press(page, "#address-add")
    says(page, "Look into your mailbox")


def says(page: Page, words: str) -> None:
    expect(page.get_by_role("status").first).to_contain_text(words)


@SCRIPTS
def test_somebody_adds_an_address_and_signs_in_with_it(visitor: Visitor, mail: MailServer, look: Look) -> None:
    username = "bob" if look.scripts else "tom"
    new = f"{username}.new@example.com"
    with visitor.visit("/login", look) as page, visitor.visit("/login", look) as elsewhere:
        sign_in(page, visitor, username)
        page.goto(f"{visitor.url}/me/addresses")
        page.fill("#email", "nobody")
        press(page, "#address-add")
        expect(page.get_by_role("alert")).to_be_focused()
        ask(page, visitor, new)
        link = mail.wait_for(new, "Confirm").link
        assert link.startswith(f"{visitor.url}/verify-email/")
        elsewhere.goto(link)
        is_at(elsewhere, "verify")
        press(elsewhere, "#verify-submit")
        expect(elsewhere.locator("h1")).to_have_text("The address is confirmed")
        elsewhere.reload()
        expect(elsewhere.locator("h1")).to_have_text("The address is confirmed")
        elsewhere.goto(link)
        is_at(elsewhere, "error")
        elsewhere.goto(f"{visitor.url}/login")
        sign_in(elsewhere, visitor, new)
        is_at(elsewhere, "me")
        assert "signs you in" in mail.wait_for(f"{username}@northwind.test", "added").text


@SCRIPTS
def test_somebody_changes_their_address_and_the_old_one_undoes_it(
    visitor: Visitor, mail: MailServer, look: Look
) -> None:
    username = "nick" if look.scripts else "otto"
    old, new = f"{username}@northwind.test", f"{username}.new@example.com"
    with visitor.visit("/login", look) as page, visitor.visit("/login", look) as elsewhere:
        sign_in(page, visitor, username)
        ask(page, visitor, new, is_change=True)
        page.goto(mail.wait_for(new, "Confirm").link)
        press(page, "#verify-submit")
        is_at(page, "me")
        says(page, "The address is confirmed.")
        expect(page.get_by_text("It leaves you on")).to_be_visible()
        sign_in(elsewhere, visitor, "una")
        link = mail.wait_for(old, "was changed").link
        elsewhere.goto(link)
        expect(elsewhere.get_by_text("You are signed in here as Una")).to_be_visible()
        press(elsewhere, "#undo-submit")
        expect(elsewhere.locator("h1")).to_have_text("The change was undone")
        page.goto(f"{visitor.url}/me")
        is_at(page, "login")
        elsewhere.goto(link)
        is_at(elsewhere, "error")
        elsewhere.goto(f"{visitor.url}/me")
        is_at(elsewhere, "me")
        name_is_nobodys(page, new)
        assert mail.wait_for(old, "was undone").link == f"{visitor.url}/recover"


def name_is_nobodys(page: Page, address: str) -> None:
    """The address signs nobody in."""
    name(page, address)
    page.fill("#password", "correct horse battery staple")
    press(page, "#login-submit")
    is_at(page, "password")


def test_a_link_that_is_too_old_or_was_replaced_leads_to_a_new_one(visitor: Visitor, mail: MailServer) -> None:
    with visitor.visit("/login") as page:
        sign_in(page, visitor, "una")
        ask(page, visitor, "una.new@example.com")
        first = mail.wait_for("una.new@example.com").link
        page.get_by_role("button", name="Send again").click()
        second = mail.wait_for("una.new@example.com", number=2).link
        for link in (first, expired(visitor, second)):
            page.goto(link)
            is_at(page, "error")
        page.get_by_role("link", name="Ask for another link").click()
        expect(page.locator("h1")).to_have_text("E-mail addresses")


def expired(visitor: Visitor, link: str) -> str:
    with visitor.app.app_context(), database.writing():
        database.session().execute(update(MailedLink).values(expires_at=clock.now()))
    return link


@SCRIPTS
def test_somebody_chooses_language_zone_and_looks(visitor: Visitor, look: Look) -> None:
    username = "olivia" if look.scripts else "eve"
    with visitor.visit("/login", look) as page:
        sign_in(page, visitor, username)
        page.fill("#given_name", "Olive")
        page.select_option("#zoneinfo", label="Tokyo")
        page.select_option("#locale", "de")
        page.check("[name=theme][value=dark]")
        press(page, "#profile-submit")
        expect(page.locator("html")).to_have_attribute("lang", "de")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.goto(f"{visitor.url}/me/sessions")
        expect(page.locator("time").first).to_contain_text(":")
        page.goto(f"{visitor.url}/logout")
        press(page, "#logout-confirm")
        expect(page.locator("html")).to_have_attribute("lang", "de")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert not look.scripts or accessibility_problems(page) == []


# Looks


LOOKS = {"wide": Look(), "right to left, narrow and dark": Look(width=320, scheme="dark", language="ar")}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_everybody_can_read_and_use_these_pages(visitor: Visitor, mail: MailServer, look: Look) -> None:
    with visitor.visit("/login", look) as page:
        for _ in every_page(page, visitor, mail):
            assert accessibility_problems(page) == []
            fits(page)


def test_longer_words_still_fit(visitor: Visitor, mail: MailServer) -> None:
    with visitor.visit("/login?ui_locales=xx-long", Look(width=320)) as page:
        for _ in every_page(page, visitor, mail):
            fits(page)


def every_page(page: Page, visitor: Visitor, mail: MailServer) -> Iterator[str]:
    """Lead `page` over these pages: with one address and many, long ones, and with what goes wrong."""
    equip(visitor)
    mail.forget()
    sign_in(page, visitor, "mona")
    yield "me"
    page.evaluate("document.querySelectorAll('[maxlength]').forEach((one) => one.removeAttribute('maxlength'))")
    page.fill("#name", "x" * 300)
    press(page, "#profile-submit")
    is_at(page, "me")
    yield "me-error"
    page.goto(f"{visitor.url}/me/addresses")
    yield "addresses"
    page.fill("#email", "nobody")
    press(page, "#address-add")
    yield "addresses-error"
    page.fill("#email", "mona.new@example.com")
    press(page, "#address-add")
    yield "addresses-asked"
    link = mail.wait_for("mona.new@example.com").link
    page.goto(link)
    yield "verify"
    page.goto(f"{visitor.url}/logout")
    press(page, "#logout-confirm")
    page.goto(link)
    press(page, "#verify-submit")
    yield "verified"
    page.goto(link)
    yield "void"
    sign_in(page, visitor, "una")
    link = mail.wait_for("mona@northwind.test").link
    page.goto(link)
    yield "undo"
    press(page, "#undo-submit")
    yield "undone"


def equip(visitor: Visitor) -> None:
    """Let Mona have addresses in every state."""
    with visitor.app.app_context():
        with database.writing():
            domain = domains.claim("org_hundreds", "hundreds.example", by=OPERATOR)
            domains.confirm("org_hundreds", domain.id, by=OPERATOR)
            elsewhere = domains.claim("org_evil", "elsewhere.example", by=OPERATOR)
            domains.confirm("org_evil", elsewhere.id, by=OPERATOR)
            mona = users.find("usr_mona")
            for text in (LONG, "mona@hundreds.example", "mona@elsewhere.example", "leaving@example.com"):
                addresses.add(mona, text, verified=True, by=OPERATOR)
            addresses.add(mona, "unproven@example.com", by=OPERATOR)
            leaving.let_go(addresses.find(mona.id, "leaving@example.com"), by=OPERATOR)
        database.db.session.remove()
