"""Random walks by mail: recovery, changes of address and invitations in any order, on top of everything about proofs.

Whoever reads a mailbox opens the letters in it, in whichever browser, at whichever moment, whoever is signed in there.
"""

import os
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from idp.app import start
from idp.audit.trail import Actor
from idp.clients.clients import ClientContext
from idp.credentials import mailed_links, phc
from idp.credentials.mailed_links import LinkVoid
from idp.organizations import grants, invitations, memberships, organizations, policies, proven_addresses, scopes
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.invitation_limits import TooManyInvitations
from idp.organizations.invitations import Offered
from idp.organizations.memberships import NewMember
from idp.organizations.models import Invitation, Membership
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.policies import PolicySettings
from idp.platform import clock, database
from idp.platform.errors import Refusal
from idp.platform.outbox import Letter
from idp.users import addresses, users
from idp.users.models import Address
from idp.users.users import UserSettings
from tests import asking, mailboxes
from tests.actors import Page
from tests.authenticators import Authenticator
from tests.flows.test_random_proofs import NTH, OFTEN, TWO, Person, Taken, Walk, Window, _shows, level
from tests.oauth import minting
from tests.oauth.actors import RelyingParty, relying_party
from tests.traces import OPERATOR

OPENED = ("recover", "verify", "undo", "invitation")
"""Letters whose links do something."""

OF_THE_CLUB: tuple[dict[str, Any], ...] = (
    {},
    {"mfa": "required"},
    {"mfa": "required", "trusted_devices": False},
    {"methods": ("password", "passkey")},
)
ROLES = ("view_only", "transfer_analyst", "developer")

CLUB = 2
"""The place of the club among the organizations: neither of the two people is in it unless invited."""


class MailWalk(Walk):
    """As `Walk`; besides, both people have mailboxes, so has a stranger, and a club invites."""

    def __init__(self, app: Flask, shop: RelyingParty) -> None:
        super().__init__(app, shop)
        self.boxes = {self.address(name): name[0] for name in ("0", "1", "0spare", "1spare", "2new")}
        self.proven: dict[str, set[str]] = {box: set() for box in self.boxes}
        for person in self.people:
            box = self.address(f"{person.number}")
            with database.writing():
                addresses.add(users.find(person.id), box, verified=True, by=OPERATOR)
            self.proven[box].add(person.id)
        self.club, self.manager = self._club()
        self.organizations.append(self.club)
        self.policies.append({})
        self.may_invite = True
        self.known_members: set[str] = set()
        self.opened: dict[str, str] = {}
        self.passwords = 0

    def address(self, name: str) -> str:
        return f"box{name}-{self.number}@example.com"

    def _club(self) -> tuple[str, Actor]:
        """The club, and who invites to it: an administrator who is not its owner."""
        with database.writing():
            owner, manager = (users.create(UserSettings(f"{one}-{self.number}"), by=OPERATOR) for one in ("own", "man"))
            club = organizations.found(OrganizationSettings(f"club-{self.number}", "Club"), owner.id, by=OPERATOR).id
            member = memberships.add(club, NewMember(manager.id), by=OPERATOR)
            self.manages = Wanted(Grantee("member", member.id), "admin", scopes.of_organization(club))
            grants.grant(self.manages, by=OPERATOR)
        return club, Actor("user", manager.id)

    # A beginning that has something of everything

    @initialize(
        who=TWO,
        at=TWO,
        policy=st.sampled_from(OF_THE_CLUB),
        box=st.sampled_from(["1", "0spare", "2new"]),
        role=st.sampled_from(ROLES),
        meanwhile=st.sampled_from(["", "lost", "revoked"]),
        way=NTH,
    )
    def begin(self, who: int, at: int, policy: dict[str, Any], box: str, role: str, meanwhile: str, way: int) -> None:
        self.go_all_the_way(at, who, 1 - who, {}, False, way)
        self.recover_all_the_way(1 - at, who, False, way)
        self.be_invited_and_join(at, "1", "transfer_analyst", way, True, "")
        self.change_the_policy_of_the_club(policy)
        self.be_invited_and_join(at, box, role, way, True, meanwhile)
        self.change_an_address_all_the_way(at, who, "0spare", True)

    # What people ask for

    @rule(at=TWO, box=st.sampled_from(["0", "1", "0spare", "1spare", "2new"]))
    def forget_a_password(self, at: int, box: str) -> None:
        window = self.windows[at]
        page = window.browser.get("/recover")
        self.see(window, window.browser.send(page, "username", username=self.address(box)))
        asking.answer()

    @rule(at=TWO, box=st.sampled_from(["0", "1", "0spare", "1spare", "2new"]), replaces=OFTEN)
    def ask_for_an_address(self, at: int, box: str, replaces: bool) -> None:
        window = self.windows[at]
        page = window.browser.get("/me/addresses")
        if page.status == 200 and page.path == "/me/addresses":
            values = {"change": "1"} if replaces and _shows(page, "change") else {}
            page = window.browser.send(page, "address-add", email=self.address(box), act="add", **values)
        self.see(window, page)

    @rule(at=TWO, who=TWO, box=st.sampled_from(["0spare", "1spare", "2new"]), replaces=OFTEN)
    def change_an_address_all_the_way(self, at: int, who: int, box: str, replaces: bool) -> None:
        """The link is opened wherever, by whoever reads that mailbox."""
        self.watch.shift(30)
        self.see(self.windows[at], self.windows[at].browser.get("/login?return_to=/me/addresses"))
        for number in range(4):
            if self.windows[at].page.path.startswith("/login") and self.windows[at].page.status == 200:
                self.answer(self.windows[at], self.people[who], True, False, number)
        self.ask_for_an_address(at, box, replaces)
        verifying = [one for one in self.letters() if one.template == "verify" and one.to == self.address(box)]
        self.open(self.windows[1 - at], verifying, 0)

    @rule(at=TWO, nth=NTH)
    def open_a_letter(self, at: int, nth: int) -> None:
        self.open(self.windows[at], self.letters(), nth)

    @rule(at=TWO, kind=st.sampled_from(OPENED))
    def open_the_last_of_a_kind(self, at: int, kind: str) -> None:
        self.open(self.windows[at], [one for one in self.letters() if one.template == kind], 0)

    @rule(at=TWO, who=TWO, trust=OFTEN, way=NTH)
    def recover_all_the_way(self, at: int, who: int, trust: bool, way: int) -> None:
        window, box = self.windows[at], self.address(f"{who}")
        page = window.browser.get("/recover")
        self.see(window, window.browser.send(page, "username", username=box))
        asking.answer()
        self.open(window, [one for one in self.letters() if one.template == "recover" and one.to == box], 0)
        self.watch.shift(30)
        for number in range(4):
            if window.page.path.startswith("/login") and window.page.status == 200:
                self.answer(window, self.people[who], True, trust, way + number)

    @rule(
        at=TWO,
        box=st.sampled_from(["0", "1", "1", "0spare", "2new"]),
        role=st.sampled_from(ROLES),
        way=NTH,
        is_here=OFTEN,
        meanwhile=st.sampled_from(["", "", "", "lost", "revoked"]),
    )
    def be_invited_and_join(self, at: int, box: str, role: str, way: int, is_here: bool, meanwhile: str) -> None:
        """The way in, without a detour, as far as it leads."""
        if not self.may_invite:
            self.take_the_right_to_invite_or_give_it_back()
        window, reader = self.windows[at], self.reader(box)
        if is_here and reader.number in (0, 1):
            self.go_all_the_way(at, reader.number, 1, {}, False, way)
        self.invite(box, role)
        mine = [one for one in self.letters() if one.template == "invitation" and one.to == self.address(box)]
        self.open(window, mine, 0)
        if meanwhile == "lost":
            self.take_the_right_to_invite_or_give_it_back()
        elif meanwhile == "revoked":
            self.revoke_an_invitation(0)
        self.watch.shift(30)
        for number in range(10):
            page = window.page
            if page.name == "invitation" and page.path != "/invitations/joined":
                self.go_on_joining(at)
            elif page.path.startswith("/login") and page.status == 200:
                self.answer(window, self.reader(box), True, False, way + number)

    @rule(at=TWO)
    def go_on_joining(self, at: int) -> None:
        window = self.windows[at]
        if _shows(window.page, "invitation-create"):
            self.make_account(window)
        elif _shows(window.page, "invitation-accept"):
            self.see(window, window.browser.send(window.page, "invitation-accept"))
            self.nobody_joins_but_by_an_invitation_that_stands_with_what_is_asked_for()  # before anything else changes

    @rule(at=TWO)
    def go_back_to_the_invitation(self, at: int) -> None:
        """By the link, in whichever browser and with whoever is signed in there."""
        letters = [one for one in self.letters() if one.template == "invitation"]
        if letters:
            self.see(self.windows[at], self.windows[at].browser.get(letters[-1].path))

    # What happens around them

    @rule(box=st.sampled_from(["0", "1", "0spare", "1spare", "2new"]), role=st.sampled_from(ROLES))
    def invite(self, box: str, role: str) -> None:
        try:
            with database.writing():
                offered = [Offered(role, scopes.of_organization(self.club))]
                invitations.invite(self.club, self.address(box), offered, by=self.manager)
        except TooManyInvitations:
            assert self.may_invite
        except Refusal:
            assert not self.may_invite
        else:
            assert self.may_invite

    @rule()
    def take_the_right_to_invite_or_give_it_back(self) -> None:
        with database.writing():
            if self.may_invite:
                grants.end(self.club, grants.live(self.manages, "manual").id, by=OPERATOR)
            else:
                grants.grant(self.manages, by=OPERATOR)
        self.may_invite = not self.may_invite

    @rule(nth=NTH)
    def revoke_an_invitation(self, nth: int) -> None:
        standing = invitations.in_organization(self.club)
        if standing:
            with database.writing():
                invitations.revoke(self.club, standing[nth % len(standing)].id, by=OPERATOR)

    @rule(policy=st.sampled_from(OF_THE_CLUB))
    def change_the_policy_of_the_club(self, policy: dict[str, Any]) -> None:
        with database.writing():
            policies.change(self.club, PolicySettings(**policy), by=OPERATOR)
        self.policies[CLUB] = policy

    @rule(nth=NTH)
    def leave_the_club(self, nth: int) -> None:
        joined = sorted(self.members())
        if joined:
            with database.writing():
                memberships.remove(self.club, joined[nth % len(joined)], by=OPERATOR)

    @rule(days=st.sampled_from([1, 8]))
    def days_pass(self, days: int) -> None:
        self.watch.shift(days * 86_400)

    @rule(at=TWO, who=TWO, way=NTH)
    def work_in_the_club(self, at: int, who: int, way: int) -> None:
        window = self.windows[at]
        self.see(window, window.browser.get(self.shop.authorize_url(organization=self.club)))
        self.answer(window, self.people[who], True, False, way)

    # How it is done

    def refreshed(self, one: Taken, organization_id: str) -> Taken | None:
        """As elsewhere, but not into the club, which not everybody is in."""
        return one if organization_id == self.club else super().refreshed(one, organization_id)

    def letters(self) -> list[Letter]:
        """Those that somebody can read in this walk and that lead to something, the oldest first."""
        return [one for one in mailboxes.letters() if one.to in self.boxes and one.template in OPENED]

    def reader(self, box: str) -> Person:
        """Who reads that mailbox: the stranger is whoever was made last for it, or else anybody."""
        found = addresses.held(self.address(box))
        known = [one for one in self.people if found and one.id == found.user_id]
        return known[0] if known else self.people[int(box[0]) % 2]

    def open(self, window: Window, letters: list[Letter], nth: int) -> None:
        """Open the link of a letter, counted from the youngest, and do what its page is for."""
        if not letters:
            return
        letter = letters[-1 - nth % len(letters)]
        page = window.browser.get(letter.path)
        self.see(window, page)
        if page.status != 200:
            assert page.status == 410, page.text
            return
        if letter.template == "recover":
            self.recover(window, letter, page)
        elif letter.template in ("verify", "undo"):
            self.press(window, letter, page)
        else:
            self.opened[letter.to] = letter.path

    def recover(self, window: Window, letter: Letter, page: Page) -> None:
        database.session().rollback()
        try:
            whose = mailed_links.find(letter.path.rpartition("/")[2], "recover").user_id or ""
        except LinkVoid:
            return
        person = self.people[self.index(whose)]
        self.passwords += 1
        password = f"staple battery horse {self.number} {self.passwords}"
        assert whose in self.proven[letter.to], "recovered by an address that nobody proved"
        before = {session.id for one in self.windows for session in one.sessions() if session.user_id == whose}
        person.password = password
        window.given[person.number].add(("password", clock.now()))
        for one in self.windows:
            one.trusting.discard(person.number)
        self.see(window, window.browser.send(page, "password", password=password))
        after = {session.id for one in self.windows for session in one.sessions()}
        assert not before & after, "a session outlived the password that was forgotten"

    def press(self, window: Window, letter: Letter, page: Page) -> None:
        purpose = "verify" if letter.template == "verify" else "undo"
        database.session().rollback()
        try:
            whose = mailed_links.find(letter.path.rpartition("/")[2], purpose).user_id or ""  # type: ignore[arg-type]
        except LinkVoid:
            return
        if purpose == "verify":
            self.proven[letter.to].add(whose)
        self.see(window, window.browser.send(page, "csrf_token"))

    def make_account(self, window: Window) -> None:
        """Somebody who was invited says who they are: from then on they are somebody."""
        page = window.page
        (box,) = {field["value"] for form in page.forms for field in form.inputs if field.get("name") == "username"}
        number, password = len(self.people), f"horse staple battery {self.number} {len(self.people)}"
        before = self.holder(box)
        given = ("password", clock.now())
        window.given[number].add(given)
        answer = window.browser.post(page, "invitation-create", name="Nora", password=password)
        assert answer.status_code in (303, 410, 503), answer.text
        now = self.holder(box)
        if now != before:
            device = Authenticator("http://localhost:8000")
            self.people.append(Person(number, now, box, password, device))
            self.held_before.append(set())
            self.proven[box].add(now)
        else:
            window.given[number].discard(given)
        self.see(window, window.browser._follow(answer))

    def holder(self, box: str) -> str:
        database.session().rollback()
        found = addresses.held(box)
        return found.user_id if found else ""

    def see(self, window: Window, page: Page) -> None:
        """What a page tells, also one that says that a link is void or that something is missing."""
        if page.status in (410, 403, 409, 422):
            window.page = page
        else:
            super().see(window, page)

    def members(self) -> dict[str, str]:
        """Who has joined the club: person by membership."""
        database.session().rollback()
        mine = [one.id for one in self.people]
        live = select(Membership.id, Membership.user_id).where(
            Membership.organization_id == self.club, Membership.user_id.in_(mine), Membership.ended_at.is_(None)
        )
        return dict(list(database.session().execute(live)))

    # What must hold

    @invariant()
    def an_address_counts_for_whoever_proved_it_and_for_nobody_else(self) -> None:
        database.session().rollback()
        held = select(Address).where(Address.address.in_(list(self.boxes)), Address.ended_at.is_(None))
        counting = [one for one in database.session().scalars(held) if proven_addresses.counts(one)]
        assert len({one.address_key for one in counting}) == len(counting)
        for one in counting:
            assert one.user_id in self.proven[one.address], (one.address, one.user_id)

    @invariant()
    def nobody_joins_but_by_an_invitation_that_stands_with_what_is_asked_for(self) -> None:
        joined = self.members()
        for id in joined.keys() - self.known_members:
            self.known_members.add(id)
            (by,) = database.session().scalars(select(Invitation).where(Invitation.member_id == id))
            assert by.outcome == "accepted"
            assert by.settled_at is not None
            assert by.expires_at > by.settled_at
            assert self.may_invite, "joined by an invitation of somebody who may not invite"
            assert joined[id] in self.proven[by.address]
            assert memberships.status_of(memberships.find(self.club, id)) == "active"
            self.require_shown(self.index(joined[id]), by)

    def require_shown(self, who: int, by: Invitation) -> None:
        """In some browser the person has shown what the club, and the roles that were offered, take."""
        shown = [one for window in self.windows for one in window.sessions() if one.user_id == self.people[who].id]
        assert shown, "joined without being signed in"
        policy = self.policies[CLUB]
        brought = {key for key, _ in invitations.roles_brought(by)}
        wanted = 2 if policy.get("mfa") == "required" or "transfer_analyst" in brought else 1
        allowed = policy.get("methods", policies.METHODS)
        for one in shown:
            counting = {proof.method for proof in one.proofs if proof.method in allowed}
            is_trusting = wanted == 2 and policy.get("trusted_devices", True) and who_trusts(self.windows, who)
            if level(counting) >= wanted or (is_trusting and level(counting) >= 1):
                return
        raise AssertionError((policy, brought, [one.proofs for one in shown]))


def who_trusts(windows: list[Window], who: int) -> bool:
    """Whether the person said of one of these browsers that it is to be trusted."""
    return any(who in window.trusting for window in windows)


@pytest.mark.rule("INV-01")
@pytest.mark.rule("LNK-04")
@pytest.mark.rule("RST-01")
@pytest.mark.rule("RST-06")
@pytest.mark.rule("TOT-05")
@pytest.mark.rule("TOT-07")
def test_whatever_is_mailed_and_opened_in_whatever_order_a_link_proves_a_mailbox_and_nothing_else(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phc, "_OURS", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    start()
    minting.make_keys()
    shop = relying_party(
        app, "shop", context=ClientContext("any"), first_party=True, id_token_signed_response_alg="ES256"
    )
    run_state_machine_as_test(
        lambda: MailWalk(app, shop),  # type: ignore[arg-type]
        settings=settings(
            max_examples=int(os.environ.get("CANOPY_WALKS", "4")),
            stateful_step_count=30,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
