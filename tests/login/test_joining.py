"""Joining by an invitation: who can, what they show first, and everything that people and machines do with the link."""

import re
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

import pytest
import time_machine
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import func, select

from idp.app import start
from idp.audit.trail import Actor
from idp.credentials import passwords, phc
from idp.login import joining, shown_links
from idp.organizations import (
    accounts,
    domains,
    grants,
    invitations,
    memberships,
    organizations,
    policies,
    proven_addresses,
)
from idp.organizations.accounts import AccountSettings, NewAccount
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.invitations import InvitationVoid, Offered
from idp.organizations.memberships import NewMember
from idp.organizations.models import Invitation, Membership
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.policies import PolicySettings
from idp.organizations.scopes import named
from idp.platform import clock, database
from idp.platform.mail import rendering
from idp.platform.settings import settings
from idp.sessions import browsers, csrf
from idp.users import addresses, languages, lifecycle, users
from idp.users.users import UserSettings
from tests import mailboxes, proving
from tests.actors import GOOD, Browser, Page
from tests.login.conftest import made
from tests.login.test_enrol import methods_in, scanned, sessions_in
from tests.organizations.actors import at_once, state
from tests.traces import OPERATOR, events

NEW = "new@example.com"
OLIVIA = Actor("user", "usr_olivia")
_QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hashed here keeps no secret: nobody waits for it."""
    monkeypatch.setattr(phc, "_OURS", _QUICK)
    monkeypatch.setattr("tests.login.conftest._hash", _QUICK.hash(GOOD))


@pytest.fixture
def northwind(app: Flask) -> str:
    """Northwind, of Olivia, with one shop; its id."""
    start()
    owner = made("olivia", id=OLIVIA.id, email="olivia@northwind.test", given_name="Olivia", family_name="Lund")
    with database.writing():
        found = organizations.found(OrganizationSettings("northwind", "Northwind"), owner, by=OPERATOR).id
        shop = AccountSettings("eu-shop", "EU shop", "DE")
        accounts.open_account(found, NewAccount(shop, True), by=OPERATOR)
    return found


def invite(*roles: str, address: str = NEW, by: Actor = OLIVIA, to: str = "northwind", message: str = "") -> str:
    """The path that is mailed to that address. A role is `key` or `key@scope`."""
    database.session().rollback()
    with database.writing():
        home = named(to)
        offered = [Offered(key, named(at) if at else home) for key, _, at in (one.partition("@") for one in roles)]
        invitations.invite(home.organization_id, address, offered, by=by, message=message)
    return [letter.path for letter in mailboxes.letters(address) if letter.template == "invitation"][-1]


def policy(organization_id: str, **terms: object) -> None:
    database.session().rollback()
    with database.writing():
        policies.change(organization_id, PolicySettings(**terms), by=OPERATOR)  # type: ignore[arg-type]


def standing(organization_id: str, user_id: str) -> str:
    """What the person is there: the status of their membership, or nothing."""
    database.session().rollback()
    if user_id not in memberships.of_users(organization_id, [user_id]):
        return ""
    return memberships.status_of(memberships.of_user(organization_id, user_id))


def members(organization_id: str) -> int:
    database.session().rollback()
    live = select(func.count()).where(Membership.organization_id == organization_id, Membership.ended_at.is_(None))
    return database.session().scalar(live) or 0


def holder(address: str = NEW) -> str:
    """The id of the person who has the address."""
    database.session().rollback()
    found = addresses.held(address)
    return found.user_id if found else ""


def at_account(browser: Browser, path: str) -> Page:
    """The page on which somebody new says who they are."""
    page = browser.send(browser.get(path), "invitation-accept")
    assert (page.name, page.heading) == ("invitation", "Create your account"), page.text
    return page


def make_account(browser: Browser, path: str) -> Page:
    """Somebody new says who they are; the page that comes of it."""
    return browser.send(at_account(browser, path), "name", name="Nora New", password=GOOD)


def is_joined(page: Page) -> bool:
    return (page.status, page.path, page.name) == (200, "/invitations/joined", "invitation")


def is_void(page: Page) -> bool:
    told = (page.status, page.name, page.body.get("data-error"))
    return told == (410, "error", "invitation_void") and "/login" in [link["href"] for link in page.links]


# The story


def test_somebody_new_makes_an_account_and_joins(app: Flask, northwind: str) -> None:
    browser, path = Browser(app), invite("view_only", "developer@northwind/eu-shop")
    page = browser.get(path)
    assert (page.status, page.name, page.heading) == (200, "invitation", "Join Northwind")
    assert page.title == "Invitation - Northwind"
    for said in ("Olivia Lund", NEW, "View only", "Northwind", "Developer", "EU shop", "Live"):
        assert said in page.text
    page = make_account(browser, path)
    assert (page.name, page.heading) == ("invitation", "Join Northwind")
    assert "Nora New" in page.text
    nora = holder()
    assert standing(northwind, nora) == ""
    page = browser.send(page, "invitation-accept")
    assert is_joined(page)
    assert page.heading == "You are a member of Northwind"
    for said in ("View only", "EU shop", "Developer"):
        assert said in page.text
    assert standing(northwind, nora) == "active"
    assert [one.address for one in proven_addresses.counting(nora)] == [NEW]
    assert users.find(nora).username == NEW
    letter = mailboxes.only(NEW, "joined")
    assert (letter.facts["organization"], letter.path) == ("Northwind", "/me/organizations")
    other = Browser(app)
    assert other.sign_in(NEW).path == "/me"


@pytest.mark.rule("INV-03")
def test_somebody_who_has_an_account_signs_in_and_joins(app: Flask, northwind: str) -> None:
    nora = made("nora", email=NEW)
    browser, path = Browser(app), invite("view_only")
    page = browser.send(browser.get(path), "invitation-accept")
    assert page.name == "password"
    assert NEW in page.text
    page = browser.send(page, "password", password=GOOD)
    assert (page.heading, standing(northwind, nora)) == ("Join Northwind", "")
    assert is_joined(browser.send(page, "invitation-accept"))
    assert standing(northwind, nora) == "active"


def test_somebody_who_is_signed_in_presses_one_button(app: Flask, northwind: str) -> None:
    nora = made("nora", email=NEW, given_name="Nora", family_name="New")
    browser, path = Browser(app), invite("view_only")
    browser.sign_in("nora")
    page = browser.get(path)
    assert "Nora New" in page.text
    assert is_joined(browser.send(page, "invitation-accept"))
    assert standing(northwind, nora) == "active"


@pytest.mark.rule("RST-02")
def test_letters_go_to_the_address_as_its_holder_has_it_not_as_the_inviter_typed_it(app: Flask, northwind: str) -> None:
    made("nora", email=NEW)
    with database.writing():
        typed = [Offered("view_only", named("northwind"))]
        _, token = invitations.invite(northwind, NEW.upper(), typed, by=OLIVIA)
    browser = Browser(app)
    browser.sign_in("nora")
    assert is_joined(browser.send(browser.get(f"/invitations/{token}"), "invitation-accept"))
    assert [(one.template, one.to) for one in mailboxes.letters()] == [("invitation", NEW), ("joined", NEW)]


def test_the_letter_says_who_invites_whom_to_what_and_links_to_us_alone(app: Flask, northwind: str) -> None:
    path = invite("view_only", "developer@northwind/eu-shop", message="Welcome aboard")
    letter = mailboxes.only(NEW, "invitation")
    assert letter.facts == {
        "organization": "Northwind",
        "inviter": "Olivia Lund",
        "roles": "View only in all of Northwind, Developer in EU shop",
        "message": "Welcome aboard",
    }
    mail = rendering.message_of(letter, id="letter_1", posted_at=clock.now(), settings=settings())
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert re.findall(r"https?://\S+", text) == [f"{settings().issuer}{path}"]


def test_the_letter_is_in_the_language_of_whoever_it_finds(app: Flask, northwind: str) -> None:
    made("nora", email=NEW, locale="de-AT", zoneinfo="Europe/Vienna")
    invite()
    letter = mailboxes.only(NEW, "invitation")
    assert (letter.language, letter.zone) == ("de", "Europe/Vienna")
    invite(address="stranger@example.com")
    assert mailboxes.only("stranger@example.com", "invitation").language == "en"


@pytest.mark.rule("RST-02")
def test_the_letter_goes_to_the_address_as_its_holder_has_it(app: Flask, northwind: str) -> None:
    made("nora", email="Nora.New@example.com")
    database.session().rollback()
    with database.writing():
        invitations.invite(northwind, "nora.NEW@EXAMPLE.com", [], by=OLIVIA)
    assert [one.to for one in mailboxes.letters() if one.template == "invitation"] == ["Nora.New@example.com"]


# Whose it is


@pytest.mark.rule("INV-01")
def test_somebody_else_who_is_signed_in_cannot_accept(app: Flask, northwind: str) -> None:
    nora, bob = made("nora", email=NEW), made("bob", email="bob@example.com")
    browser, path = Browser(app), invite("view_only")
    browser.sign_in("bob")
    (session,) = sessions_in(browser)
    page = browser.get(path)
    for said in ("<bdi>bob</bdi> is signed in", "Use another account"):
        assert said in page.text
    page = browser.send(page, "invitation-accept", person=session.id)
    assert page.name == "password"
    page = browser.send(page, "password", password=GOOD)
    assert standing(northwind, bob) == standing(northwind, nora) == ""
    assert is_joined(browser.send(page, "invitation-accept"))
    assert (standing(northwind, bob), standing(northwind, nora)) == ("", "active")
    assert {one.user_id for one in sessions_in(browser)} == {bob, nora}


@pytest.mark.rule("INV-01")
def test_a_session_of_somebody_else_joins_nobody(app: Flask, northwind: str) -> None:
    made("nora", email=NEW)
    bob = made("bob", email="bob@example.com")
    browser, path = Browser(app), invite("view_only")
    browser.sign_in("bob")
    (session,) = sessions_in(browser)
    known = browsers.recognise(browser.cookie())
    assert known is not None
    with pytest.raises(InvitationVoid), database.writing():
        joining.join(path.rpartition("/")[2], session.id, known)
    assert standing(northwind, bob) == ""


@pytest.mark.rule("INV-01")
def test_an_address_that_is_about_to_leave_its_person_is_theirs_and_then_is_not(app: Flask, northwind: str) -> None:
    nora = made("nora", email="nora@example.com")
    with database.writing():
        held = addresses.add(users.find(nora), NEW, verified=True, by=OPERATOR)
        held.leaves_at = clock.now() + clock.HOUR
    assert joining.may_accept(nora, _invitation(invite()))
    with time_machine.travel(clock.now() / clock.SECOND + 3601):
        assert not joining.may_accept(nora, _invitation(invite()))


@pytest.mark.rule("RST-06")
def test_who_holds_the_address_and_never_proved_it_proves_it_by_the_link(app: Flask, northwind: str) -> None:
    nora = made("nora", email="nora@example.com")
    with database.writing():
        addresses.add(users.find(nora), NEW, by=OPERATOR)
        addresses.add(users.find(nora), "third@example.com", by=OPERATOR)
    browser, path = Browser(app), invite("view_only")
    browser.sign_in("nora")
    assert is_joined(browser.send(browser.get(path), "invitation-accept"))
    assert standing(northwind, nora) == "active"
    assert {one.address for one in proven_addresses.counting(nora)} == {"nora@example.com", NEW}
    recovering = {one.address for one in proven_addresses.recovering(nora)}
    assert recovering == {"nora@example.com"}, "an address recovers once whoever reads the other ones could object"


@pytest.mark.rule("LNK-04")
@pytest.mark.rule("INV-01")
def test_an_address_that_somebody_else_holds_unproven_goes_to_whoever_reads_it(app: Flask, northwind: str) -> None:
    with database.writing():
        squatter = users.create(UserSettings("squatter"), email=NEW, by=OPERATOR).id
    browser = Browser(app)
    page = make_account(browser, invite("view_only"))
    assert is_joined(browser.send(page, "invitation-accept"))
    nora = holder()
    assert nora != squatter
    assert (standing(northwind, nora), standing(northwind, squatter)) == ("active", "")
    assert addresses.of(squatter) == []


def test_who_says_that_they_have_an_account_signs_in(app: Flask, northwind: str) -> None:
    with database.writing():
        nora = users.create(UserSettings("nora"), email=NEW, by=OPERATOR).id
    _give_password(nora)
    browser = Browser(app)
    page = browser.send(at_account(browser, invite("view_only")), "way", way="sign_in")
    assert page.name == "login"
    page = browser.send(page, "username", username="nora")
    page = browser.send(page, "password", password=GOOD)
    assert is_joined(browser.send(page, "invitation-accept"))
    assert standing(northwind, nora) == "active"


def test_an_address_in_a_domain_of_another_organization_lets_nobody_in_who_is_not_there(
    app: Flask, northwind: str
) -> None:
    """Made here, the account could not even be signed in to with it."""
    boris = made("boris", email="boris@birch.test")
    with database.writing():
        birch = organizations.found(OrganizationSettings("birch", "Birch"), boris, by=OPERATOR).id
        domains.confirm(birch, domains.claim(birch, "birch.test", by=OPERATOR).id, by=OPERATOR)
    browser = Browser(app)
    page = browser.send(browser.get(invite("view_only", address="nora@birch.test")), "invitation-accept")
    assert page.name == "login"
    assert holder("nora@birch.test") == ""
    theirs = invite(address="nora@birch.test", to="birch", by=Actor("user", boris))
    page = make_account(browser, theirs)
    assert is_joined(browser.send(page, "invitation-accept"))
    assert standing(birch, holder("nora@birch.test")) == "active"


def test_who_was_there_before_comes_back_with_their_own_account(app: Flask, northwind: str) -> None:
    with database.writing():
        domains.confirm(northwind, domains.claim(northwind, "northwind.test", by=OPERATOR).id, by=OPERATOR)
    nora = made("nora", email="nora@northwind.test")
    browser, path = Browser(app), invite("view_only", address="nora@northwind.test")
    page = browser.send(browser.get(path), "invitation-accept")
    assert page.name == "password"
    page = browser.send(page, "password", password=GOOD)
    assert is_joined(browser.send(page, "invitation-accept"))
    assert standing(northwind, nora) == "active"


# What the link does, and when it does nothing


@pytest.mark.rule("RST-04")
def test_looking_changes_nothing(app: Flask, northwind: str) -> None:
    browser, path = Browser(app), invite("view_only")
    browser.get("/login")
    browser.get(path)
    before = state()
    for method in ("GET", "HEAD"):
        answer = browser.client.open(path, method=method)
        assert answer.status_code == 200
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        answer = browser.client.open(f"{path}/account", method=method)
        assert (answer.status_code, answer.headers["Referrer-Policy"]) == (200, "no-referrer")
    assert state() == before


def _unknown(_: Flask, __: str, path: str) -> str:
    return f"{path[:-1]}x" if not path.endswith("x") else f"{path[:-1]}y"


def _revoked(_: Flask, organization_id: str, path: str) -> str:
    invitation_id = _invitation(path).id
    _change(lambda: invitations.revoke(organization_id, invitation_id, by=OLIVIA))
    return path


def _replaced(_: Flask, __: str, path: str) -> str:
    invite()
    return path


def _accepted(app: Flask, _: str, path: str) -> str:
    browser = Browser(app)
    assert is_joined(browser.send(make_account(browser, path), "invitation-accept"))
    return path


def _inviter_lost_it(_: Flask, organization_id: str, path: str) -> str:
    _change(lambda: _demote(organization_id))
    return path


def _suspended(_: Flask, organization_id: str, path: str) -> str:
    _change(lambda: organizations.suspend(organization_id, by=OPERATOR))
    return path


def _demote(organization_id: str) -> None:
    (held,) = grants.of_grantee(organization_id, "mem_sam")
    grants.end(organization_id, held.id, by=OPERATOR)


VOID = {
    "unknown": _unknown,
    "revoked": _revoked,
    "replaced": _replaced,
    "accepted": _accepted,
    "inviter lost the right": _inviter_lost_it,
    "organization suspended": _suspended,
}


@pytest.mark.rule("INV-01")
@pytest.mark.parametrize("why", sorted(VOID))
def test_what_cannot_be_used_cannot_be_told_apart(app: Flask, northwind: str, why: str) -> None:
    sam = made("sam", id="usr_sam", email="sam@northwind.test")
    with database.writing():
        memberships.add(northwind, NewMember(sam, id="mem_sam"), by=OPERATOR)
        grants.grant(Wanted(Grantee("member", "mem_sam"), "admin", named("northwind")), by=OPERATOR)
    path = VOID[why](app, northwind, invite("view_only", by=Actor("user", sam)))
    browser = Browser(app)
    browser.get("/login")
    page = browser.get(path)
    assert is_void(page)
    assert _plain(page) == _plain(browser.get("/invitations/cinv_nothing"))
    assert page.response.headers["Referrer-Policy"] == "no-referrer"
    form = browser.get("/login").form("username")
    for address in (path, f"{path}/account"):
        answer = browser.client.post(address, data={"csrf_token": form.fields["csrf_token"], "name": "N"})
        assert answer.status_code in (403, 410)


@pytest.mark.rule("INV-01")
def test_an_operators_invitation_is_void_in_a_suspended_organization(app: Flask, northwind: str) -> None:
    path = invite("view_only", by=OPERATOR)
    nora = made("nora", email=NEW)
    _suspended(app, northwind, path)
    with pytest.raises(InvitationVoid), database.writing():
        invitations.accept(path.rpartition("/")[2], by=Actor("user", nora))


@pytest.mark.rule("INV-01")
def test_it_works_once_and_for_ten_days(app: Flask, northwind: str) -> None:
    browser = Browser(app)
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as watch:
        path = invite("view_only")
        watch.shift(10 * 86_400 - 1)
        page = browser.get(path)
        assert page.heading == "Join Northwind"
        watch.shift(1)
        assert is_void(browser.send(page, "invitation-accept"))
        assert is_void(browser.get(path))


@pytest.mark.rule("INV-01")
@pytest.mark.parametrize("why", ["inviter lost the right", "revoked"])
def test_what_happens_between_the_look_and_the_press_counts(app: Flask, northwind: str, why: str) -> None:
    sam = made("sam", id="usr_sam", email="sam@northwind.test")
    with database.writing():
        memberships.add(northwind, NewMember(sam, id="mem_sam"), by=OPERATOR)
        grants.grant(Wanted(Grantee("member", "mem_sam"), "admin", named("northwind")), by=OPERATOR)
    nora = made("nora", email=NEW)
    browser, path = Browser(app), invite("view_only", by=Actor("user", sam))
    browser.sign_in("nora")
    page = browser.get(path)
    VOID[why](app, northwind, path)
    count = members(northwind)
    assert is_void(browser.send(page, "invitation-accept"))
    assert (members(northwind), standing(northwind, nora)) == (count, "")


@pytest.mark.rule("INV-01")
def test_whoever_has_joined_by_it_is_told_so_and_nobody_else_is(app: Flask, northwind: str) -> None:
    made("nora", email=NEW)
    made("bob", email="bob@example.com")
    browser, other, path = Browser(app), Browser(app, "198.51.100.9"), invite("view_only")
    browser.sign_in("nora")
    page = browser.get(path)
    browser.send(page, "invitation-accept")
    count = members(northwind)
    assert is_joined(browser.send(page, "invitation-accept"))
    assert is_joined(browser.get(path))
    assert members(northwind) == count
    assert is_void(other.get(path))
    other.sign_in("bob")
    assert is_void(other.get(path))
    (nora,) = [one for one in memberships.everywhere(holder()) if one.organization_id == northwind]
    with database.writing():
        memberships.remove(northwind, nora.id, by=OPERATOR)
    assert is_void(browser.get(path))


@pytest.mark.rule("INV-01")
def test_the_way_back_works_in_the_browser_that_showed_the_link(app: Flask, northwind: str) -> None:
    made("nora", email=NEW)
    mine, other = Browser(app), Browser(app, "198.51.100.9")
    path = invite("view_only")
    page = mine.send(mine.get(path), "invitation-accept")
    back = mine.send(page, "password", password=GOOD)
    assert (back.heading, back.path != path) == ("Join Northwind", True)
    other.get("/login")
    assert is_void(other.get(back.path))
    other.sign_in("nora")
    assert is_void(other.get(back.path))
    assert is_joined(mine.send(back, "invitation-accept"))
    assert is_void(mine.get(back.path))


@pytest.mark.rule("INV-01")
def test_nothing_else_of_ours_stands_for_the_link(app: Flask, northwind: str) -> None:
    """Neither the id, which the inviter knows, nor a form's token that pages give to anybody."""
    browser, found = Browser(app), _invitation(invite("view_only"))
    browser.get("/login")
    database.session().rollback()
    known = browsers.recognise(browser.cookie())
    assert known is not None
    other = shown_links.handle(found.id, bytes(32), known.id).partition("~")[2]
    for mac in ("", "x", "é", csrf.token(known.id, "shown link"), csrf.token(known.id, found.id), other):
        assert is_void(browser.get(f"/invitations/{found.id}~{mac}"))
    assert is_void(browser.get(f"/invitations/{found.id}"))
    assert browser.get(joining.way_back(found, known)).status == 200


@pytest.mark.rule("COD-07")
def test_no_link_is_stored(app: Flask, northwind: str) -> None:
    made("nora", email=NEW)
    path = invite("view_only")
    token = path.rpartition("/")[2]
    assert token not in repr(state())
    browser = Browser(app)
    page = browser.send(browser.get(path), "invitation-accept")
    assert token not in repr(state())
    browser.send(browser.send(page, "password", password=GOOD), "invitation-accept")
    assert token not in repr(state())


def test_a_form_that_was_shown_to_one_person_joins_no_other(app: Flask, northwind: str) -> None:
    nora = made("nora", email=NEW)
    browser, path = Browser(app), invite("view_only")
    signed_out = browser.get(path)
    browser.sign_in("nora")
    page = browser.send(signed_out, "invitation-accept")
    assert (page.heading, standing(northwind, nora)) == ("Join Northwind", "")
    browser.send(browser.get("/logout"), "logout-confirm")
    page = browser.send(page, "invitation-accept")
    assert (page.name, standing(northwind, nora)) == ("password", "")


def test_an_account_is_made_for_an_address_that_is_nobodys(app: Flask, northwind: str) -> None:
    browser, path = Browser(app), invite("view_only")
    page = at_account(browser, path)
    nora = made("nora", email=NEW)
    page = browser.send(page, "name", name="Nora", password=GOOD)
    assert (page.heading, holder()) == ("Join Northwind", nora)
    assert browser.get(f"{path}/account").heading == "Join Northwind"


@pytest.mark.parametrize(
    ("name", "password", "field"), [("", GOOD, "name"), ("Nora", "short", "password"), ("Nora", "", "password")]
)
def test_what_is_missing_is_said(app: Flask, northwind: str, name: str, password: str, field: str) -> None:
    browser, path = Browser(app), invite("view_only")
    page = browser.send(at_account(browser, path), "name", name=name, password=password)
    assert (page.status, page.alerts, page.heading) == (422, 1, "Create your account")
    assert f'href="#{field}"' in page.text
    assert holder() == ""
    page = browser.send(page, "name", name="Nora", password=GOOD)
    assert is_joined(browser.send(page, "invitation-accept"))


@pytest.mark.rule("INV-02")
@pytest.mark.parametrize("round", range(3))
def test_two_acceptances_at_once_make_one_membership(app: Flask, northwind: str, round: int) -> None:
    nora = made("nora", email=NEW)
    with database.writing():
        addresses.add(users.find(nora), "nora@example.com", verified=True, by=OPERATOR)
    paths = [invite("view_only"), invite("view_only", address="nora@example.com")]
    results = at_once(app, *(partial(_accept, path.rpartition("/")[2], nora) for path in (*paths, *paths)))
    assert [isinstance(one, InvitationVoid) for one in results].count(True) == 2
    live = select(Membership.id).where(Membership.user_id == nora, Membership.ended_at.is_(None))
    assert len(database.session().scalars(live).all()) == 1
    held = grants.of_grantee(northwind, memberships.of_user(northwind, nora).id)
    assert len(held) == 1


# What it takes


@pytest.mark.rule("TOT-07")
def test_where_a_second_factor_is_required_nobody_is_a_member_without(app: Flask, northwind: str) -> None:
    policy(northwind, mfa="required")
    browser, path = Browser(app), invite("view_only")
    page = make_account(browser, path)
    assert (page.name, page.title) == ("enrol", "Set up a second factor - Northwind"), page.title
    nora = holder()
    assert (sessions_in(browser), standing(northwind, nora)) == ([], "")
    page = browser.send(page, "app-begin")
    page = browser.send(page, "otp", otp=scanned(page).code())
    assert standing(northwind, nora) == ""
    page = browser.send(page, "codes-submit", saved="yes")
    assert (page.heading, methods_in(browser)) == ("Join Northwind", ["password", "totp"])
    assert is_joined(browser.send(page, "invitation-accept"))
    assert standing(northwind, nora) == "active"


@pytest.mark.rule("TOT-07")
@pytest.mark.parametrize(
    ("terms", "roles", "more"),
    [
        ({"mfa": "required"}, ["view_only"], ["totp"]),
        ({"privileged": "phr"}, ["admin"], ["passkey"]),
        ({"privileged": "aal2"}, ["iam_admin@northwind/eu-shop"], ["totp"]),
        ({}, ["transfer_analyst@northwind/eu-shop"], ["totp"]),
        ({"methods": ("passkey",)}, ["view_only"], ["passkey"]),
    ],
    ids=["mfa", "privileged", "privileged on an account", "role", "methods"],
)
def test_what_the_roles_will_take_is_shown_before(
    app: Flask, northwind: str, terms: dict[str, object], roles: list[str], more: list[str]
) -> None:
    policy(northwind, **terms)
    nora = made("nora", email=NEW)
    browser, path = Browser(app), invite(*roles)
    browser.sign_in("nora")
    page = browser.send(browser.get(path), "invitation-accept")
    assert (page.name, standing(northwind, nora)) == ("enrol", "")
    assert browser.get(path).heading == "Join Northwind"
    proving.set_up(nora, more[0])
    page = proving.prove(browser, page, *more)
    assert (page.heading, standing(northwind, nora)) == ("Join Northwind", "")
    assert is_joined(browser.send(page, "invitation-accept"))
    assert standing(northwind, nora) == "active"


@pytest.mark.rule("TOT-07")
def test_a_session_from_before_is_asked_for_more_and_then_joins(app: Flask, northwind: str) -> None:
    policy(northwind, mfa="required")
    nora = made("nora", email=NEW)
    browser, path = Browser(app), invite("view_only")
    browser.sign_in("nora")
    proving.set_up(nora)
    page = browser.send(browser.get(path), "invitation-accept")
    assert (page.name, standing(northwind, nora)) == ("otp", "")
    page = proving.prove(browser, page, "totp")
    assert is_joined(browser.send(page, "invitation-accept"))


@pytest.mark.rule("TOT-07")
def test_a_policy_counts_from_the_moment_it_is_made(app: Flask, northwind: str) -> None:
    nora = made("nora", email=NEW)
    browser, path = Browser(app), invite("view_only")
    browser.sign_in("nora")
    page = browser.get(path)
    policy(northwind, mfa="required")
    page = browser.send(page, "invitation-accept")
    assert (page.name, standing(northwind, nora)) == ("enrol", "")


@pytest.mark.rule("TOT-07")
def test_what_waits_for_somebody_invited_counts_too(app: Flask, northwind: str) -> None:
    """A membership that somebody made for them, with a role that demands more: nothing but their joining is missing."""
    nora = made("nora", email=NEW)
    with database.writing():
        memberships.add(northwind, NewMember(nora, "invited", id="mem_nora"), by=OPERATOR)
        grants.grant(Wanted(Grantee("member", "mem_nora"), "transfer_analyst", named("northwind")), by=OPERATOR)
    browser, path = Browser(app), invite("view_only")
    browser.sign_in("nora")
    page = browser.send(browser.get(path), "invitation-accept")
    assert (page.name, standing(northwind, nora)) == ("enrol", "invited")


@pytest.mark.rule("TOT-07")
@pytest.mark.parametrize(("guests", "name"), [("mfa", "enrol"), ("any", "invitation"), ("sso_only", "invitation")])
def test_guests_show_what_guests_show(app: Flask, northwind: str, guests: str, name: str) -> None:
    with database.writing():
        domains.confirm(northwind, domains.claim(northwind, "northwind.test", by=OPERATOR).id, by=OPERATOR)
    policy(northwind, guests=guests)
    nora, mia = made("nora", email=NEW), made("mia", email="mia@northwind.test")
    browser, path = Browser(app), invite("view_only")
    browser.sign_in("nora")
    page = browser.send(browser.get(path), "invitation-accept")
    assert (page.name, is_joined(page), standing(northwind, nora) == "active") == (
        name,
        guests == "any",
        guests == "any",
    )
    if guests == "sso_only":
        assert (page.status, page.alerts, "company" in page.text) == (403, 1, True)
    home = Browser(app)
    home.sign_in("mia")
    page = home.send(home.get(invite("view_only", address="mia@northwind.test")), "invitation-accept")
    assert is_joined(page)
    assert standing(northwind, mia) == "active"


def test_who_could_not_join_is_told_before_they_sign_in_or_are_made(app: Flask, northwind: str) -> None:
    with database.writing():
        domains.confirm(northwind, domains.claim(northwind, "northwind.test", by=OPERATOR).id, by=OPERATOR)
    policy(northwind, guests="sso_only")
    made("mia", email="mia@example.com")
    browser = Browser(app)
    page = browser.send(browser.get(invite("view_only", address="mia@example.com")), "invitation-accept")
    assert (page.status, page.name, page.alerts) == (403, "invitation", 1)
    page = make_account(browser, invite("view_only"))
    assert (page.status, page.name, page.alerts, holder()) == (403, "invitation", 1, "")


def test_a_disabled_person_joins_nothing(app: Flask, northwind: str) -> None:
    nora = made("nora", email=NEW)
    browser, path = Browser(app), invite("view_only")
    browser.sign_in("nora")
    page = browser.get(path)
    _change(lambda: lifecycle.disable(users.find(nora), by=OPERATOR))
    page = browser.send(page, "invitation-accept")
    assert (page.name, standing(northwind, nora)) == ("password", "")
    assert browser.send(page, "password", password=GOOD).alerts == 1


# What the inviter learns


@pytest.mark.rule("INV-03")
@pytest.mark.rule("LOG-03")
def test_the_inviter_learns_nothing_about_whom_they_invite(app: Flask, northwind: str) -> None:
    made("nora", email="Known@example.com", locale="ja")
    shown = []
    for address in ("known@example.com", "stranger@example.com"):
        database.session().rollback()
        with database.writing():
            invitation, _ = invitations.invite(northwind, address, [], by=OLIVIA)
            shown.append((invitation.address, invitation.outcome, invitation.member_id, invitation.id))
    assert [one[0] for one in shown] == ["known@example.com", "stranger@example.com"]
    known, stranger = shown
    assert known[1:3] == stranger[1:3]
    assert events(known[3]) == events(stranger[3]) == ["invitation.created"]
    assert len(mailboxes.letters()) == 2


def test_a_person_of_no_language_is_written_to_in_english(app: Flask, northwind: str) -> None:
    assert languages.of(users.find(made("nora", email=NEW))) == "en"


# Words


def _plain(page: Page) -> str:
    """The page without what differs from one answer to the next, and what it knows of its own address."""
    path = urlsplit(page.address).path
    return re.sub(r'(nonce|value)="[^"]*"|<code[^>]*>[^<]*</code>', "", page.text).replace(path, "")


def _invitation(path: str) -> Invitation:
    database.session().rollback()
    return invitations.presented(path.rpartition("/")[2])


def _accept(token: str, user_id: str) -> object:
    with database.writing():
        return invitations.accept(token, by=Actor("user", user_id)).id


def _change(change: Callable[[], object]) -> None:
    database.session().rollback()
    with database.writing():
        change()


def _give_password(user_id: str) -> None:
    with database.writing():
        passwords.store(user_id, phc.make(GOOD), by=OPERATOR)
