"""Two organizations: no rule, and no row, puts something of one into the other."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

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
    own_memberships,
    ownership,
    policies,
    roles,
    scopes,
    teams,
)
from idp.organizations.account_groups import GroupSettings
from idp.organizations.accounts import AccountSettings
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.invitations import Offered
from idp.organizations.models import (
    AccountMove,
    Deputy,
    GroupAccount,
    InvitationGrant,
    MembershipStatus,
    Ownership,
    Placement,
    RoleGrant,
    TeamMember,
)
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.policies import PolicySettings
from idp.organizations.teams import TeamSettings
from idp.platform import clock, database
from idp.platform.database import Model
from idp.platform.errors import Forbidden, NotFound, Refusal
from tests.organizations.actors import (
    ACME,
    BEA,
    BIRCH,
    BORIS,
    CREW,
    DE,
    DRONE,
    EU,
    NICK,
    NORTH,
    OLIVIA,
    OPS,
    OSLO,
    ROBOT,
    SHARED,
    US,
    X_DESK,
    act,
    at,
    give,
    role,
    state,
    to,
)
from tests.traces import OPERATOR

Act = Callable[[Actor], object]


@pytest.fixture
def theirs(acme: Flask) -> dict[str, str]:
    """What Birch has of what has no id of its own choosing: a grant, a role, an invitation, an offer, a domain."""
    return {
        "grant": give(Wanted(Grantee("member", "mem_bea"), "analyst", at(OSLO))),
        "role": act(roles.create, BIRCH, role("x_theirs", "refunds.write")).id,
        "invitation": act(invitations.invite, BIRCH, "new@example.com", [])[0].id,
        "offer": act(moves.offer, BIRCH, OSLO, ACME).id,
        "domain": act(domains.claim, BIRCH, "birch.example").id,
    }


def acts_on(theirs: dict[str, str]) -> dict[str, Act]:
    """Every act of Acme's owner that names one thing of Birch's."""
    settings = AccountSettings("k", "K", "DE")
    nick = Grantee("member", "mem_nick")
    return {
        "account reconfigure": lambda by: accounts.reconfigure(ACME, OSLO, settings, by=by),
        "account by key": lambda by: accounts.suspend(ACME, "oslo", by=by),
        "account suspend": lambda by: accounts.suspend(ACME, OSLO, by=by),
        "account resume": lambda by: accounts.resume(ACME, OSLO, by=by),
        "account close": lambda by: accounts.close(ACME, OSLO, by=by),
        "offer their account": lambda by: moves.offer(ACME, OSLO, BIRCH, by=by),
        "withdraw their offer": lambda by: moves.withdraw(ACME, theirs["offer"], by=by),
        "group reconfigure": lambda by: account_groups.reconfigure(ACME, NORTH, GroupSettings("k", "K"), by=by),
        "group delete": lambda by: account_groups.delete(ACME, "north", by=by),
        "group add": lambda by: account_groups.add(ACME, NORTH, [DE], by=by),
        "account into group": lambda by: account_groups.add(ACME, EU, [OSLO], by=by),
        "account out of group": lambda by: account_groups.remove(ACME, EU, OSLO, by=by),
        "member suspend": lambda by: memberships.suspend(ACME, "mem_bea", by=by),
        "member reactivate": lambda by: memberships.reactivate(ACME, "mem_bea", by=by),
        "member remove": lambda by: memberships.remove(ACME, "mem_bea", by=by),
        "ownership": lambda by: ownership.transfer(ACME, "mem_bea", by=by),
        "deputy": lambda by: ownership.name_deputy(ACME, "mem_bea", by=by),
        "team reconfigure": lambda by: teams.reconfigure(ACME, CREW, TeamSettings("k", "K"), by=by),
        "team delete": lambda by: teams.delete(ACME, "crew", by=by),
        "team add": lambda by: teams.add(ACME, CREW, ["mem_nick"], by=by),
        "member into team": lambda by: teams.add(ACME, OPS, ["mem_bea"], by=by),
        "role change": lambda by: roles.change(ACME, theirs["role"], role("x_theirs"), by=by),
        "role delete": lambda by: roles.delete(ACME, "x_theirs", by=by),
        "grant to member": lambda by: grants.grant(Wanted(Grantee("member", "mem_bea"), "analyst", at(ACME)), by=by),
        "grant to team": lambda by: grants.grant(to(CREW, "analyst"), by=by),
        "grant to client": lambda by: grants.grant(to(DRONE, "analyst"), by=by),
        "grant of role": lambda by: grants.grant(to(NICK, "x_theirs"), by=by),
        "end grant": lambda by: grants.end(ACME, theirs["grant"], by=by),
        "grant at account": lambda by: grants.grant(Wanted(nick, "analyst", scopes.of_account(ACME, OSLO)), by=by),
        "grant at group": lambda by: grants.grant(Wanted(nick, "analyst", scopes.of_group(ACME, NORTH)), by=by),
        "invite to role": lambda by: invitations.invite(ACME, "a@example.com", [Offered("x_theirs", at(DE))], by=by),
        "revoke": lambda by: invitations.revoke(ACME, theirs["invitation"], by=by),
        "domain": lambda by: domains.release(ACME, theirs["domain"], by=by),
        "carry grant": lambda by: moves.accept(
            ACME, theirs["offer"], by=by, carried=moves.CarriedOver((grant_at_acme(),))
        ),
        "carry group": lambda by: moves.accept(ACME, theirs["offer"], by=by, carried=moves.CarriedOver((), (NORTH,))),
    }


def grant_at_acme() -> str:
    statement = select(RoleGrant.id).where(RoleGrant.organization_id == ACME, RoleGrant.scope == at(DE).id)
    return str(database.session().scalars(statement).first())


@pytest.mark.rule("ORG-11")
@pytest.mark.parametrize("by", [OLIVIA, OPERATOR], ids=["owner", "operator"])
def test_naming_what_is_anothers_is_naming_nothing(theirs: dict[str, str], by: Actor) -> None:
    before = state()
    answers: dict[str, type[BaseException] | None] = {}
    for name, one in acts_on(theirs).items():
        try:
            with database.writing():
                one(by)
            answers[name] = None
        except Refusal as refusal:
            answers[name] = type(refusal)
    assert answers == dict.fromkeys(answers, NotFound)
    assert state() == before


@pytest.mark.rule("ORG-11")
def test_in_another_organization_an_owner_may_nothing(theirs: dict[str, str]) -> None:
    before = state()
    acts: list[Act] = [
        lambda by: organizations.reconfigure(BIRCH, OrganizationSettings("other", "Other"), by=by),
        lambda by: accounts.open_account(BIRCH, accounts.NewAccount(AccountSettings("k", "K", "DE"), True), by=by),
        lambda by: accounts.close(BIRCH, OSLO, by=by),
        lambda by: account_groups.create(BIRCH, GroupSettings("k", "K"), by=by),
        lambda by: account_groups.add(BIRCH, NORTH, [OSLO], by=by),
        lambda by: memberships.add(BIRCH, memberships.NewMember(by.id, "invited"), by=by),
        lambda by: memberships.remove(BIRCH, "mem_bea", by=by),
        lambda by: ownership.transfer(BIRCH, "mem_bea", by=by),
        lambda by: teams.create(BIRCH, TeamSettings("k", "K"), by=by),
        lambda by: teams.add(BIRCH, CREW, ["mem_bea"], by=by),
        lambda by: roles.create(BIRCH, role("x_k"), by=by),
        lambda by: roles.delete(BIRCH, theirs["role"], by=by),
        lambda by: grants.grant(Wanted(Grantee("client", DRONE), "analyst", at(BIRCH)), by=by),
        lambda by: grants.end(BIRCH, theirs["grant"], by=by),
        lambda by: invitations.invite(BIRCH, "olivia@example.com", [], by=by),
        lambda by: invitations.revoke(BIRCH, theirs["invitation"], by=by),
        lambda by: moves.offer(BIRCH, OSLO, ACME, by=by),
        lambda by: moves.withdraw(BIRCH, theirs["offer"], by=by),
        lambda by: domains.claim(BIRCH, "other.example", by=by),
        lambda by: domains.release(BIRCH, theirs["domain"], by=by),
        lambda by: policies.change(BIRCH, PolicySettings(mfa="off"), by=by),
    ]
    for one in acts:
        with pytest.raises(Forbidden), database.writing():
            one(OLIVIA)
    assert state() == before


@pytest.mark.rule("ORG-11")
def test_lists_hold_nothing_of_another_organization(theirs: dict[str, str]) -> None:
    assert [grants.of_grantee(ACME, name) for name in ("mem_bea", CREW, DRONE)] == [[], [], []]
    assert [grants.at_scope(ACME, name) for name in (at(OSLO).placement_id, NORTH, BIRCH)] == [[], [], []]
    assert memberships.of_users(ACME, [BEA.id, BORIS.id]) == {}
    assert {one.owner for one in roles.visible_in(ACME)} == {"canopy", ACME}
    assert list(invitations.in_organization(ACME)) == []
    assert domains.in_organization(ACME) == []
    assert theirs["invitation"] in [one.id for one in invitations.in_organization(BIRCH)]


def test_a_slug_and_a_key_lead_to_ones_own(theirs: dict[str, str]) -> None:
    act(account_groups.create, ACME, GroupSettings("north", "North"))
    act(teams.create, ACME, TeamSettings("crew", "Crew"))
    act(accounts.open_account, ACME, accounts.NewAccount(AccountSettings("oslo", "Oslo", "NO"), True))
    assert account_groups.find(ACME, "north").id != NORTH
    assert teams.find(ACME, "crew").id != CREW
    assert scopes.of_account(ACME, "oslo").account_id != OSLO
    assert at("birch/oslo").account_id == OSLO
    assert at("birch/group:north").account_group_id == NORTH


# Rows


def placement(account_id: str) -> str:
    return scopes.named(account_id).placement_id


def granted(**what: object) -> dict[str, object]:
    """A row of `role_grants` of Acme, to Nick on the organization unless said otherwise."""
    instant = clock.now()
    row: dict[str, object] = {
        "organization_id": ACME,
        "grantee": "mem_nick",
        "member_id": "mem_nick",
        "role_owner": "canopy",
        "role_id": "role_analyst",
        "role_key": "analyst",
        "scope": ACME,
        "source": "manual",
        "made_by": "me",
        "started_at": instant,
        "effective_from": instant,
        "confirmed_at": instant,
    }
    return row | what


def offered(**what: object) -> dict[str, object]:
    """A row of `invitation_grants` of Acme's invitation."""
    row = {"organization_id": ACME, "invitation_id": "inv_ours", "role_owner": "canopy", "role_id": "role_analyst"}
    return row | {"role_key": "analyst"} | what


Row = tuple[type[Model], dict[str, object]]
ROWS: dict[str, Callable[[dict[str, str]], Row]] = {
    "their account in our group": lambda _: (
        GroupAccount,
        {"organization_id": ACME, "account_group_id": EU, "placement_id": placement(OSLO)},
    ),
    "our account in their group": lambda _: (
        GroupAccount,
        {"organization_id": ACME, "account_group_id": NORTH, "placement_id": placement(US)},
    ),
    "their member in our team": lambda _: (
        TeamMember,
        {"organization_id": ACME, "team_id": OPS, "member_id": "mem_bea"},
    ),
    "our member in their team": lambda _: (
        TeamMember,
        {"organization_id": ACME, "team_id": CREW, "member_id": "mem_nick"},
    ),
    "a status of their member": lambda _: (
        MembershipStatus,
        {"organization_id": ACME, "member_id": "mem_bea", "status": "suspended", "ended_at": 1},
    ),
    "their member as our owner": lambda _: (
        Ownership,
        {"organization_id": ACME, "member_id": "mem_bea", "ended_at": 1},
    ),
    "their member as our deputy": lambda _: (Deputy, {"organization_id": ACME, "member_id": "mem_bea"}),
    "our offer of their account": lambda _: (
        AccountMove,
        {
            "organization_id": ACME,
            "placement_id": placement(OSLO),
            "account_id": OSLO,
            "target_id": BIRCH,
            "asked_by_kind": "operator",
            "asked_by": "me",
        },
    ),
    "an offer to oneself": lambda _: (
        AccountMove,
        {
            "organization_id": ACME,
            "placement_id": placement(DE),
            "account_id": DE,
            "target_id": ACME,
            "asked_by_kind": "operator",
            "asked_by": "me",
        },
    ),
    "an account in two organizations": lambda _: (
        Placement,
        {"organization_id": BIRCH, "account_id": DE, "livemode": 1, "key": "de"},
    ),
    "a live account as a sandbox": lambda _: (
        Placement,
        {"organization_id": BIRCH, "account_id": DE, "livemode": 0, "key": "de", "ended_at": 1},
    ),
    "a grant to their member": lambda _: (RoleGrant, granted(grantee="mem_bea", member_id="mem_bea")),
    "a grant to their team": lambda _: (RoleGrant, granted(grantee=CREW, member_id=None, team_id=CREW)),
    "a grant to their client": lambda _: (
        RoleGrant,
        granted(grantee=DRONE, member_id=None, client_id=DRONE, client_owner=BIRCH),
    ),
    "a grant to their client as ours": lambda _: (
        RoleGrant,
        granted(grantee=DRONE, member_id=None, client_id=DRONE, client_owner=ACME),
    ),
    "a grant to a client of nobody": lambda _: (RoleGrant, granted(grantee=ROBOT, member_id=None, client_id=ROBOT)),
    "a grant on their account": lambda _: (
        RoleGrant,
        granted(scope=placement(OSLO), placement_id=placement(OSLO)),
    ),
    "a grant on their group": lambda _: (RoleGrant, granted(scope=NORTH, account_group_id=NORTH)),
    "a grant on their organization": lambda _: (RoleGrant, granted(scope=BIRCH)),
    "a grant of their role": lambda theirs: (
        RoleGrant,
        granted(role_owner=BIRCH, role_id=theirs["role"], role_key="x_theirs"),
    ),
    "a grant of their role as ours": lambda theirs: (
        RoleGrant,
        granted(role_owner=ACME, role_id=theirs["role"], role_key="x_theirs"),
    ),
    "a grant of a role under another key": lambda _: (RoleGrant, granted(role_key="super_admin")),
    "a grant that says another grantee": lambda _: (RoleGrant, granted(grantee="mem_sam")),
    "a grant to nobody": lambda _: (RoleGrant, granted(member_id=None)),
    "a grant to two": lambda _: (RoleGrant, granted(team_id=OPS)),
    "a grant that says another scope": lambda _: (RoleGrant, granted(placement_id=placement(DE))),
    "a grant on two scopes": lambda _: (
        RoleGrant,
        granted(scope=placement(DE), placement_id=placement(DE), account_group_id=EU),
    ),
    "an offer in their invitation": lambda theirs: (InvitationGrant, offered(invitation_id=theirs["invitation"])),
    "an offer on their account": lambda _: (InvitationGrant, offered(placement_id=placement(OSLO))),
    "an offer on their group": lambda _: (InvitationGrant, offered(account_group_id=NORTH)),
    "an offer of their role": lambda theirs: (
        InvitationGrant,
        offered(role_owner=BIRCH, role_id=theirs["role"], role_key="x_theirs"),
    ),
}


@pytest.mark.rule("ORG-11")
def test_no_row_can_say_it(theirs: dict[str, str]) -> None:
    ours = act(invitations.invite, ACME, "new@example.com", [])[0].id
    before = state()
    stored = []
    for name, make in ROWS.items():
        table, row = make(theirs)
        if row.get("invitation_id") == "inv_ours":
            row["invitation_id"] = ours
        try:
            with database.writing():
                database.session().execute(insert(table), [row])
            stored.append(name)
        except IntegrityError:
            pass
    assert stored == []
    assert state() == before


def test_rows_that_keep_to_one_organization_can_be_stored(theirs: dict[str, str]) -> None:
    """Else the refusals above would show nothing."""
    with database.writing():
        ours = invitations.invite(ACME, "new@example.com", [], by=OPERATOR)[0].id
        for table, row in (
            (GroupAccount, {"organization_id": ACME, "account_group_id": EU, "placement_id": placement(US)}),
            (
                AccountMove,
                {
                    "organization_id": ACME,
                    "placement_id": placement(DE),
                    "account_id": DE,
                    "target_id": BIRCH,
                    "asked_by_kind": "operator",
                    "asked_by": "me",
                },
            ),
            (MembershipStatus, {"organization_id": ACME, "member_id": "mem_nick", "status": "invited", "ended_at": 1}),
            (Deputy, {"organization_id": ACME, "member_id": "mem_sam"}),
            (TeamMember, {"organization_id": ACME, "team_id": OPS, "member_id": "mem_nick"}),
            (RoleGrant, granted()),
            (RoleGrant, granted(grantee=OPS, member_id=None, team_id=OPS)),
            (RoleGrant, granted(grantee=ROBOT, member_id=None, client_id=ROBOT, client_owner=ACME)),
            (RoleGrant, granted(grantee=SHARED, member_id=None, client_id=SHARED, client_owner="operator")),
            (RoleGrant, granted(scope=placement(DE), placement_id=placement(DE))),
            (RoleGrant, granted(scope=EU, account_group_id=EU)),
            (RoleGrant, granted(role_owner=ACME, role_id=X_DESK, role_key="x_desk")),
            (InvitationGrant, offered(invitation_id=ours)),
        ):
            database.session().execute(insert(table), [row])


@pytest.mark.rule("ORG-04")
def test_no_organization_has_two_owners_at_once(acme: Flask) -> None:
    with pytest.raises(IntegrityError), database.writing():
        database.session().execute(insert(Ownership), [{"organization_id": ACME, "member_id": "mem_sam"}])


def test_an_account_does_not_change_its_organization_in_place(acme: Flask) -> None:
    with pytest.raises(IntegrityError), database.writing():
        database.session().execute(update(Placement).where(Placement.account_id == DE).values(organization_id=BIRCH))


@pytest.mark.rule("ORG-11")
def test_leafing_behind_an_organization_of_others_tells_nothing_of_it(acme: Flask) -> None:
    behind = [[one.slug for one in own_memberships.of(NICK.id, after=slug)] for slug in ("birch", "nowhere", "acme")]
    assert behind == [["acme"], ["acme"], []]
