"""What every rule leaves behind: its one entry in the trail, and exactly the losses that it causes in the feed."""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from idp.audit.models import Entry, EntryDetail
from idp.audit.trail import Actor
from idp.organizations import (
    account_groups,
    accounts,
    domains,
    grants,
    invitations,
    memberships,
    moves,
    organizations,
    ownership,
    policies,
    roles,
    succession,
    teams,
)
from idp.organizations.account_groups import GroupSettings
from idp.organizations.accounts import AccountSettings
from idp.organizations.invitations import Offered
from idp.organizations.memberships import NewMember
from idp.organizations.models import AccountMove, Invitation, RoleGrant
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.policies import PolicySettings
from idp.organizations.roles import Permitted
from idp.organizations.teams import TeamSettings
from idp.platform import correlation, database
from idp.platform.correlation import Origin
from idp.platform.errors import Forbidden, Refusal
from idp.users import lifecycle, users
from tests.organizations.actors import (
    ACME,
    BIRCH,
    BOX,
    DAN,
    DE,
    EU,
    GREG,
    INA,
    MIA,
    NICK,
    OLIVIA,
    OPS,
    ROBOT,
    US,
    VERA,
    X_DESK,
    X_GATE,
    ZOE,
    account,
    act,
    at,
    give,
    member,
    refused,
    role,
    state,
    to,
)
from tests.traces import OPERATOR, entries, losses

Loss = tuple[str, dict[str, str]]


def nothing() -> None:
    """What most acts need to be prepared by."""


@dataclass(frozen=True)
class Case:
    """An act, what it writes into the trail, what it takes away, and what has to be there before.

    `own`: roles do not decide who may. `repeats`: done again, it does something again.
    """

    act: Callable[[Actor], object]
    events: tuple[str, ...]
    losses: tuple[Loss, ...] = ()
    before: Callable[[], object] = nothing
    own: bool = False
    repeats: bool = False
    by: Actor = field(default=OPERATOR)


def in_team() -> None:
    give(to(OPS, "analyst"))
    act(teams.add, ACME, OPS, ["mem_nick", "mem_vera"])


def on_everything() -> None:
    """Whatever can hang on the account `DE`."""
    give(to(ROBOT, "developer", at(DE)))
    act(invitations.invite, ACME, "zoe@example.com", [Offered("developer", at(DE))])
    act(moves.offer, ACME, DE, BIRCH)


def offered() -> str:
    return act(moves.offer, ACME, DE, BIRCH).id


def the_offer() -> str:
    return str(database.session().scalars(select(AccountMove.id)).one())


def the_invitation() -> str:
    return str(database.session().scalars(select(Invitation.id)).one())


def the_grant(grantee: str) -> str:
    """The one grant that the member, team or client has or had."""
    return str(database.session().scalars(select(RoleGrant.id).where(RoleGrant.grantee == grantee)).one())


TOKEN: list[str] = []


def invited() -> None:
    TOKEN[:] = [act(invitations.invite, ACME, "zoe@example.com", [Offered("developer", at(DE))])[1]]


def deputy() -> None:
    act(ownership.name_deputy, ACME, "mem_sam")


def emptied() -> None:
    for one in (DE, US, BOX):
        act(accounts.close, ACME, one)


def changed(key: str) -> AccountSettings:
    return AccountSettings(key, "New", "AT")


SUB = {"org_id": ACME}
ON_DE: Loss = ("account", {"org_id": ACME, "account_id": DE})
ALL_OF_ACME: tuple[Loss, ...] = (("organization", SUB), ("client", {"client_id": "app_robot"}))
WIDER = role("x_desk", "refunds.write", "payouts.read")
DOMAIN = "acme.example"

CASES: dict[str, Case] = {
    "found": Case(
        lambda by: organizations.found(OrganizationSettings("cedar", "Cedar"), ZOE.id, by=by),
        ("organization.created", "member.added", "organization.owner.changed"),
    ),
    "rename": Case(
        lambda by: organizations.reconfigure(ACME, OrganizationSettings("acme-2", "Acme"), by=by),
        ("organization.renamed",),
    ),
    "rename to people": Case(
        lambda by: organizations.reconfigure(ACME, OrganizationSettings("acme", "Acme 2"), by=by),
        ("organization.changed",),
    ),
    "suspend": Case(lambda by: organizations.suspend(ACME, by=by), ("organization.suspended",), ALL_OF_ACME),
    "resume": Case(
        lambda by: organizations.resume(ACME, by=by),
        ("organization.resumed",),
        before=lambda: act(organizations.suspend, ACME),
    ),
    "close": Case(
        lambda by: organizations.close(ACME, by=by),
        ("organization.closed",),
        ALL_OF_ACME,
        before=emptied,
    ),
    "policy": Case(
        lambda by: policies.change(ACME, PolicySettings(mfa="required"), by=by), ("organization.policy.changed",)
    ),
    "account open": Case(lambda by: accounts.open_account(ACME, account("fr"), by=by), ("account.created",)),
    "account change": Case(lambda by: accounts.reconfigure(ACME, DE, changed("d"), by=by), ("account.changed",)),
    "account suspend": Case(lambda by: accounts.suspend(ACME, DE, by=by), ("account.suspended",), (ON_DE,)),
    "account resume": Case(
        lambda by: accounts.resume(ACME, DE, by=by),
        ("account.resumed",),
        before=lambda: act(accounts.suspend, ACME, DE),
    ),
    "account close": Case(
        lambda by: accounts.close(ACME, DE, by=by),
        (
            "account.closed",
            *("account.move.withdrawn", "account.move.withdrawn"),
            *("grant.ended", "grant.ended"),
            "invitation.revoked",
        ),
        (ON_DE,),
        before=on_everything,
    ),
    "move offer": Case(lambda by: moves.offer(ACME, DE, BIRCH, by=by), ("account.move.offered",)),
    "move withdraw": Case(
        lambda by: moves.withdraw(ACME, the_offer(), by=by), ("account.move.withdrawn",) * 2, before=offered
    ),
    "move decline": Case(
        lambda by: moves.decline(BIRCH, the_offer(), by=by), ("account.move.declined",) * 2, before=offered
    ),
    "move accept": Case(
        lambda by: moves.accept(BIRCH, the_offer(), by=by),
        (
            *("account.move.accepted", "account.move.accepted", "account.moved.away", "account.moved.in"),
            *("grant.ended", "grant.ended"),
            "invitation.revoked",
        ),
        (ON_DE,),
        before=on_everything,
    ),
    "group create": Case(lambda by: account_groups.create(ACME, GroupSettings("s", "S"), by=by), ("group.created",)),
    "group change": Case(
        lambda by: account_groups.reconfigure(ACME, EU, GroupSettings("s", "S"), by=by), ("group.changed",)
    ),
    "group delete": Case(
        lambda by: account_groups.delete(ACME, EU, by=by),
        ("group.deleted", "grant.ended"),
        (("grant", {"sub": GREG.id} | SUB),),
    ),
    "group add": Case(lambda by: account_groups.add(ACME, EU, [US, BOX], by=by), ("group.account.added",) * 2),
    "group remove": Case(lambda by: account_groups.remove(ACME, EU, DE, by=by), ("group.account.removed",), (ON_DE,)),
    "member add": Case(lambda by: memberships.add(ACME, NewMember(ZOE.id, "invited"), by=by), ("member.added",)),
    "member accept": Case(lambda by: memberships.accept(ACME, by=INA), ("member.activated",), own=True, by=INA),
    "member suspend": Case(
        lambda by: memberships.suspend(ACME, "mem_dan", by=by),
        ("member.suspended",),
        (("membership", {"sub": DAN.id} | SUB),),
    ),
    "member reactivate": Case(
        lambda by: memberships.reactivate(ACME, "mem_dan", by=by),
        ("member.reactivated",),
        before=lambda: act(memberships.suspend, ACME, "mem_dan"),
    ),
    "member remove": Case(
        lambda by: memberships.remove(ACME, "mem_dan", by=by),
        ("member.removed", "grant.ended"),
        (("membership", {"sub": DAN.id} | SUB),),
    ),
    "ownership": Case(
        lambda by: ownership.transfer(ACME, "mem_nick", by=by),
        ("organization.owner.changed",),
        (("grant", {"sub": OLIVIA.id} | SUB),),
    ),
    "deputy": Case(lambda by: ownership.name_deputy(ACME, "mem_sam", by=by), ("organization.deputy.named",)),
    "no deputy": Case(
        lambda by: ownership.name_deputy(ACME, None, by=by), ("organization.deputy.named",), before=deputy
    ),
    "succession": Case(
        lambda by: succession.deactivated_upstream(ACME, "mem_olivia", by=by),
        ("organization.owner.succeeded", "member.suspended"),
        (("grant", {"sub": OLIVIA.id} | SUB), ("membership", {"sub": OLIVIA.id} | SUB)),
        before=deputy,
        own=True,
    ),
    "user disable": Case(
        lambda by: lifecycle.disable(users.find(DAN.id), by=by),
        ("user.disabled",),
        (("membership", {"sub": DAN.id}),),
        own=True,
    ),
    "team create": Case(lambda by: teams.create(ACME, TeamSettings("s", "S"), by=by), ("team.created",)),
    "team change": Case(lambda by: teams.reconfigure(ACME, OPS, TeamSettings("s", "S"), by=by), ("team.changed",)),
    "team add": Case(
        lambda by: teams.add(ACME, OPS, ["mem_nick", "mem_vera"], by=by),
        ("team.member.added",) * 2,
        before=lambda: give(to(OPS, "analyst")),
    ),
    "team remove": Case(
        lambda by: teams.remove(ACME, OPS, "mem_nick", by=by),
        ("team.member.removed",),
        (("grant", {"sub": NICK.id} | SUB),),
        before=in_team,
    ),
    "team delete": Case(
        lambda by: teams.delete(ACME, OPS, by=by),
        ("team.deleted", "grant.ended"),
        (("grant", {"sub": NICK.id} | SUB), ("grant", {"sub": VERA.id} | SUB)),
        before=in_team,
    ),
    "role create": Case(lambda by: roles.create(ACME, role("x_new", "tax.read"), by=by), ("role.created",)),
    "role widen": Case(lambda by: roles.change(ACME, X_DESK, WIDER, by=by), ("role.changed",)),
    "role narrow": Case(
        lambda by: roles.change(ACME, X_GATE, role("x_gate", "refunds.write"), by=by),
        ("role.changed",),
        (("role", {"role": "x_gate"} | SUB),),
    ),
    "role narrow in one mode": Case(
        lambda by: roles.change(ACME, X_DESK, role("x_desk", Permitted("refunds.write", live=False)), by=by),
        ("role.changed",),
        (("role", {"role": "x_desk"} | SUB),),
    ),
    "role delete": Case(
        lambda by: roles.delete(ACME, X_DESK, by=by),
        ("role.deleted", "grant.ended"),
        (("role", {"role": "x_desk"} | SUB),),
        before=lambda: give(to(NICK, "x_desk", at(DE))),
    ),
    "grant": Case(lambda by: grants.grant(to(VERA, "analyst", at(DE)), by=by), ("grant.made",)),
    "end grant on all": Case(
        lambda by: grants.end(ACME, the_grant(member(DAN)), by=by),
        ("grant.ended",),
        (("grant", {"sub": DAN.id} | SUB),),
    ),
    "end grant on group": Case(
        lambda by: grants.end(ACME, the_grant(member(GREG)), by=by),
        ("grant.ended",),
        (("grant", {"sub": GREG.id} | SUB),),
    ),
    "end grant on account": Case(
        lambda by: grants.end(ACME, the_grant(member(MIA)), by=by),
        ("grant.ended",),
        (("grant", {"sub": MIA.id, "account_id": DE} | SUB),),
    ),
    "end grant of team": Case(
        lambda by: grants.end(ACME, the_grant(OPS), by=by),
        ("grant.ended",),
        (("grant", {"sub": NICK.id} | SUB), ("grant", {"sub": VERA.id} | SUB)),
        before=in_team,
    ),
    "end grant of client": Case(
        lambda by: grants.end(ACME, the_grant(ROBOT), by=by),
        ("grant.ended",),
        (("grant", {"sub": ROBOT} | SUB),),
        before=lambda: give(to(ROBOT, "developer")),
    ),
    "invite": Case(
        lambda by: invitations.invite(ACME, "zoe@example.com", [Offered("analyst", at(DE))], by=by),
        ("invitation.created",),
        repeats=True,
    ),
    "invite again": Case(
        lambda by: invitations.invite(ACME, "zoe@example.com", [Offered("analyst", at(DE))], by=by),
        ("invitation.created", "invitation.replaced"),
        before=invited,
        repeats=True,
    ),
    "invitation revoke": Case(
        lambda by: invitations.revoke(ACME, the_invitation(), by=by), ("invitation.revoked",), before=invited
    ),
    "invitation accept": Case(
        lambda by: invitations.accept(TOKEN[0], by=ZOE),
        ("invitation.accepted", "member.added", "grant.made"),
        before=invited,
        own=True,
        by=ZOE,
    ),
    "domain claim": Case(lambda by: domains.claim(ACME, DOMAIN, by=by), ("domain.claimed",)),
    "domain confirm": Case(
        lambda by: domains.confirm(ACME, DOMAIN, by=by),
        ("domain.verified",),
        before=lambda: act(domains.claim, ACME, DOMAIN),
    ),
    "domain release": Case(
        lambda by: domains.release(ACME, DOMAIN, by=by),
        ("domain.released",),
        before=lambda: act(domains.claim, ACME, DOMAIN),
    ),
}


@pytest.fixture(params=CASES)
def case(acme: Flask, request: pytest.FixtureRequest) -> Case:
    found = CASES[request.param]
    found.before()
    return found


@pytest.mark.rule("AUD-01")
def test_an_act_leaves_its_entry_and_its_losses_and_nothing_if_it_is_refused_or_done_again(case: Case) -> None:
    if not case.own:
        with refused(Forbidden):
            case.act(NICK)
    known, lost = {entry.id for entry in entries()}, losses()
    with correlation.working_for(Origin("req-1", "192.0.2.7", "A browser")), database.writing():
        case.act(case.by)
    new = [entry for entry in entries() if entry.id not in known]
    assert sorted(entry.event for entry in new) == sorted(case.events)
    assert in_order(losses()[len(lost) :]) == in_order(case.losses)
    for entry in new:
        require_complete(entry, case.by)
    if not case.repeats:
        after = state()
        with suppress(Refusal), database.writing():
            case.act(case.by)
        assert state() == after


def in_order(taken: Iterable[tuple[str, dict[str, Any]]]) -> list[str]:
    """One act takes what it takes in any order."""
    return sorted(json.dumps(one, sort_keys=True) for one in taken)


def require_complete(entry: Entry, by: Actor) -> None:
    """Who, in which organization, on account of which request, from where."""
    detail = database.session().get_one(EntryDetail, entry.id)
    assert (entry.request_id, detail.address, detail.user_agent) == ("req-1", "192.0.2.7", "A browser")
    assert (entry.actor_kind, entry.actor_id) == (by.kind, by.id) or entry.source == "invitation"
    assert (entry.organization_id is None) == entry.event.startswith("user.")
