"""Invitations as people get them: by a letter that really arrives, in Chromium, with the mistakes that are made."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from idp.audit.trail import Actor
from idp.organizations import grants, invitations, memberships, policies, scopes
from idp.organizations.invitations import Offered
from idp.organizations.memberships import NewMember
from idp.organizations.models import Invitation
from idp.organizations.policies import PolicySettings
from idp.platform import database
from tests import mailboxes
from tests.actors import GOOD
from tests.flows import browsers, people
from tests.flows.browsers import Look, Visitor, accessibility_problems, press
from tests.flows.people import EVIL, LONG
from tests.flows.test_sign_in import LOOKS, SCRIPTS, fits, give, is_at, sign_in
from tests.mailboxes import MailServer
from tests.phones import Phone
from tests.traces import OPERATOR

OTTO = Actor("user", "usr_otto")


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    """Where letters arrive."""
    with mailboxes.serving() as found:
        yield found


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory, server: MailServer) -> Iterator[Visitor]:
    """Somebody with a browser, at a provider that has people and sends letters."""
    folder = tmp_path_factory.mktemp("site")
    with (
        browsers.visitor(folder, people.build, rate_limits="off", mail=server.url) as found,
        mailboxes.delivering(found.app),
    ):
        yield found


def invite(
    visitor: Visitor, server: MailServer, address: str, *roles: tuple[str, str], to: str = "northwind", by: Actor = OTTO
) -> str:
    """The link in the letter that has come to the address. A role: its key, and where."""
    before = len([mail for mail in server.mails(address) if "/invitations/" in mail.link])
    with visitor.app.app_context():
        with database.writing():
            offered = [Offered(key, scopes.named(at)) for key, at in roles or (("view_only", to),)]
            invitations.invite(scopes.organization_named(to), address, offered, by=by, message="Welcome")
        database.db.session.remove()
    mail = server.wait_for(address, "Join", number=before + 1)
    assert mail.link.startswith(f"{visitor.url}/invitations/cinv_")
    assert "Welcome" in mail.text
    return mail.link


def change(visitor: Visitor, act: Callable[[], object]) -> None:
    """Let something happen meanwhile."""
    with visitor.app.app_context():
        with database.writing():
            act()
        database.db.session.remove()


def accept(page: Page) -> None:
    press(page, "#invitation-accept")


def make_account(page: Page, name: str, password: str = GOOD) -> None:
    expect(page.locator("h1")).to_have_text("Create your account")
    page.fill("#name", name)
    page.fill("#password", password)
    press(page, "#invitation-create")


def is_in(page: Page, organization: str) -> None:
    expect(page.locator("h1")).to_have_text(f"You are a member of {organization}")


def is_void(page: Page) -> None:
    """The page says that the invitation cannot be used, and leads on."""
    expect(page.locator("body")).to_have_attribute("data-error", "invitation_void")
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


@SCRIPTS
def test_somebody_new_is_invited_and_joins(visitor: Visitor, server: MailServer, look: Look) -> None:
    address = f"nora{look.scripts:d}@example.com"
    link = invite(visitor, server, address, ("view_only", "northwind"), ("developer", "northwind/eu"))
    with visitor.visit("/login", look) as page:
        page.goto(link)
        expect(page).to_have_title("Invitation - Northwind")
        expect(page.locator("h1")).to_have_text("Join Northwind")
        expect(page.get_by_role("main")).to_contain_text(
            re.compile(r"Otto invites .*View only.*Developer.*EU shop", re.DOTALL)
        )
        accept(page)
        make_account(page, "Nora New", "too short")
        expect(page.get_by_role("alert")).to_be_focused()
        expect(page).to_have_title(re.compile("^Error: Create your account"))
        make_account(page, "Nora New")
        expect(page.locator("h1")).to_have_text("Join Northwind")
        expect(page.get_by_role("main")).to_contain_text("Nora New")
        accept(page)
        is_in(page, "Northwind")
        expect(page.get_by_role("main")).to_contain_text(re.compile(r"View only.*EU shop.*Developer", re.DOTALL))
        server.wait_for(address, "You are a member of Northwind")
        page.get_by_role("link", name="Go to your own page").click()
        expect(page.get_by_role("main")).to_contain_text("Northwind")
        page.goto(link)
        is_in(page, "Northwind")
    with visitor.visit("/login", look) as page:
        page.goto(link)
        is_void(page)


@SCRIPTS
def test_somebody_else_is_signed_in_and_the_right_person_joins(
    visitor: Visitor, server: MailServer, look: Look
) -> None:
    username = "bob" if look.scripts else "nick"
    link = invite(visitor, server, f"{username}@northwind.test", to="hundreds")
    with visitor.visit("/login", look) as page:
        sign_in(page, visitor, "una")
        page.goto(link)
        expect(page.locator("#other-1")).to_contain_text("Una is signed in in this browser and cannot accept this")
        accept(page)
        is_at(page, "password")
        expect(page).to_have_title(re.compile("Hundreds & Sons"))
        give(page, "what was it")
        expect(page.get_by_role("alert")).to_be_focused()
        give(page)
        accept(page)
        is_in(page, "Hundreds & Sons")
        page.goto(f"{visitor.url}/me/organizations")
        expect(page.get_by_role("main")).to_contain_text("Hundreds & Sons")


@SCRIPTS
def test_where_the_organization_requires_it_a_second_factor_is_set_up_first(
    visitor: Visitor, server: MailServer, look: Look
) -> None:
    change(visitor, lambda: policies.change("org_evil", PolicySettings(mfa="required"), by=OPERATOR))
    address = f"mira{look.scripts:d}@example.com"
    with visitor.visit("/login", look) as page:
        page.goto(invite(visitor, server, address, to="evil"))
        accept(page)
        make_account(page, "Mira")
        is_at(page, "enrol")
        page.goto(f"{visitor.url}/me")
        is_at(page, "login")
        page.go_back()
        press(page, "#app-begin")
        page.get_by_text("No camera?").click()
        phone = Phone((page.locator("#app-key").text_content() or "").replace(" ", ""))
        page.fill("#otp", phone.code())
        press(page, "#otp-submit")
        page.check("#saved")
        press(page, "#codes-submit")
        expect(page.locator("h1")).to_have_text(f"Join {EVIL}")
        accept(page)
        is_in(page, EVIL)


def _expired() -> None:
    database.session().execute(update(Invitation).values(expires_at=0))


def _revoked() -> None:
    (found,) = invitations.in_organization("org_northwind")
    invitations.revoke("org_northwind", found.id, by=OPERATOR)


def _lost() -> None:
    (held,) = grants.of_grantee("org_northwind", "mem_bob")
    grants.end("org_northwind", held.id, by=OPERATOR)


@pytest.mark.parametrize("happens", [_expired, _revoked, _lost], ids=["expired", "revoked", "inviter lost the right"])
def test_what_happens_while_somebody_reads_is_told(
    visitor: Visitor, server: MailServer, happens: Callable[[], None]
) -> None:
    bob = Actor("user", "usr_bob")

    def promote() -> None:
        if "usr_bob" not in memberships.of_users("org_northwind", ["usr_bob"]):
            memberships.add("org_northwind", NewMember("usr_bob", id="mem_bob"), by=OPERATOR)
        wanted = grants.Wanted(grants.Grantee("member", "mem_bob"), "admin", scopes.named("northwind"))
        grants.grant(wanted, by=OPERATOR)

    change(visitor, promote)
    with visitor.visit("/login") as page:
        page.goto(invite(visitor, server, "late@example.com", by=bob))
        accept(page)
        page.fill("#name", "Late")
        page.fill("#password", GOOD)
        change(visitor, happens)
        press(page, "#invitation-create")
        is_void(page)
        page.get_by_role("link", name="Sign in").click()
        is_at(page, "login")


def test_what_is_begun_in_one_browser_is_not_gone_on_with_in_another(visitor: Visitor, server: MailServer) -> None:
    link = invite(visitor, server, "mona@northwind.test")
    with visitor.visit("/login") as page, visitor.visit("/login") as other:
        page.goto(link)
        accept(page)
        give(page)
        expect(page.locator("h1")).to_have_text("Join Northwind")
        other.goto(page.url)
        is_void(other)
        other.goto(link)
        accept(other)
        is_at(other, "password")
        accept(page)
        is_in(page, "Northwind")
        give(other)
        is_void(other)


@pytest.mark.parametrize("look", LOOKS.values(), ids=list(LOOKS))
def test_its_pages_are_for_everybody(visitor: Visitor, server: MailServer, look: Look) -> None:
    number = list(LOOKS.values()).index(look)
    address = f"maximiliane.freifrau.von.und.zu.hohenstein.wolkenburg{number}@lichtenfels-schwarzenbach.example"
    change(visitor, lambda: policies.change("org_evil", PolicySettings(), by=OPERATOR))
    link = invite(visitor, server, address, ("view_only", "evil"), ("developer", "evil/evil"), to="evil")
    with visitor.visit("/login", look) as page:
        for step in ("invitation", "account", "mistake", "mine", "joined"):
            if step == "invitation":
                page.goto(link)
            elif step == "account":
                accept(page)
            elif step == "mistake":
                page.fill("#name", LONG)
                page.fill("#password", "too short")
                press(page, "#invitation-create")
            elif step == "mine":
                page.fill("#password", GOOD)
                press(page, "#invitation-create")
            else:
                accept(page)
            is_at(page, "invitation")
            fits(page)
            assert accessibility_problems(page) == [], step
        page.goto(link)
        fits(page)
        assert accessibility_problems(page) == []
