"""Two organizations with people, accounts and programs in them, made through the rules; and short ways to act.

Ids are given, so that a test names who and what it is about. Everybody's membership of Acme is `mem_` and their name;
what Birch has is there to show that it stays Birch's.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from flask import Flask
from sqlalchemy import select

from idp.audit.trail import Actor
from idp.clients import clients
from idp.clients.clients import ClientSettings
from idp.organizations import account_groups, accounts, grants, memberships, organizations, roles, scopes, teams
from idp.organizations.account_groups import GroupSettings
from idp.organizations.accounts import AccountSettings, NewAccount
from idp.organizations.effective import Context, EffectiveRoles, Holder, effective_roles, held_permissions
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.models import RoleGrant
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.roles import Permitted, RoleSettings
from idp.organizations.scopes import Scope
from idp.organizations.teams import TeamSettings
from idp.platform import database
from idp.platform.database import Model
from idp.platform.errors import Refusal
from idp.platform.settings import settings
from idp.users import users
from idp.users.users import UserSettings
from tests.traces import OPERATOR

ACME, BIRCH = "org_acme", "org_birch"
DE, US, BOX = "acct_de", "acct_us", "acct_box"
"""Acme's accounts: two live ones, and a sandbox."""
OSLO = "acct_oslo"
"""Birch's account."""
EU, WEST, NORTH = "agrp_eu", "agrp_west", "agrp_north"
"""Groups: Acme's, which holds `DE`; Acme's, still empty; Birch's, which holds `OSLO`."""
OPS, CREW = "team_ops", "team_crew"
"""Teams without members: Acme's and Birch's."""
ROBOT, DRONE, SHARED = "app_robot", "app_drone", "app_shared"
"""API clients: Acme's, Birch's, the operator's."""
X_DESK, X_GATE = "role_desk", "role_gate"
"""Acme's custom roles: `x_desk` allows refunds; `x_gate` allows refunds and `members.write`, so it is privileged."""

OLIVIA, SAM, ADAM, IRIS, DAN = (Actor("user", f"usr_{name}") for name in ("olivia", "sam", "adam", "iris", "dan"))
"""Of Acme: the owner, and whoever holds `super_admin`, `admin`, `iam_admin`, `developer` on the organization."""
MIA, GREG = Actor("user", "usr_mia"), Actor("user", "usr_greg")
"""Of Acme: whoever holds `iam_admin` on the account `DE` alone, and on the group `EU` alone."""
VERA, NICK, INA = Actor("user", "usr_vera"), Actor("user", "usr_nick"), Actor("user", "usr_ina")
"""Of Acme: `view_only` (and `developer` of Birch), a member without roles, somebody who has not accepted yet."""
BORIS, BEA = Actor("user", "usr_boris"), Actor("user", "usr_bea")
"""Of Birch: the owner, and a `super_admin`."""
ZOE = Actor("user", "usr_zoe")
"""Of nowhere."""
HOUSE = Actor("client", ROBOT)
"""Acme's API client as somebody who acts."""

Result = TypeVar("Result")


def build() -> None:
    """Make all of the above."""
    with database.writing():
        for name in (
            "olivia",
            "sam",
            "adam",
            "iris",
            "dan",
            "mia",
            "greg",
            "vera",
            "nick",
            "ina",
            "boris",
            "bea",
            "zoe",
        ):
            users.create(UserSettings(name), id=f"usr_{name}", email=f"{name}@example.com", verified=True, by=OPERATOR)
        _build_acme()
        _build_birch()
        clients.create(machine("Shared"), id=SHARED, by=OPERATOR)


def _build_acme() -> None:
    organizations.found(OrganizationSettings("acme", "Acme"), OLIVIA.id, id=ACME, member_id="mem_olivia", by=OPERATOR)
    for actor in (SAM, ADAM, IRIS, DAN, MIA, GREG, VERA, NICK):
        memberships.add(ACME, NewMember(actor.id, id=member(actor)), by=OPERATOR)
    memberships.add(ACME, NewMember(INA.id, "invited", id="mem_ina"), by=OPERATOR)
    for key, live in (("de", True), ("us", True), ("box", False)):
        accounts.open_account(ACME, account(key, live=live), by=OPERATOR)
    account_groups.create(ACME, GroupSettings("eu", "Europe"), id=EU, by=OPERATOR)
    account_groups.create(ACME, GroupSettings("west", "West"), id=WEST, by=OPERATOR)
    account_groups.add(ACME, EU, [DE], by=OPERATOR)
    teams.create(ACME, TeamSettings("ops", "Operations"), id=OPS, by=OPERATOR)
    clients.create(machine("Robot"), owner=ACME, id=ROBOT, by=OPERATOR)
    roles.create(ACME, role("x_desk", "refunds.write"), id=X_DESK, by=OPERATOR)
    roles.create(ACME, role("x_gate", "refunds.write", "members.write"), id=X_GATE, by=OPERATOR)
    for actor, key in ((SAM, "super_admin"), (ADAM, "admin"), (IRIS, "iam_admin"), (DAN, "developer")):
        grants.grant(to(actor, key), by=OPERATOR)
    grants.grant(to(VERA, "view_only"), by=OPERATOR)
    grants.grant(to(MIA, "iam_admin", at(DE)), by=OPERATOR)
    grants.grant(to(GREG, "iam_admin", at(EU)), by=OPERATOR)


def _build_birch() -> None:
    organizations.found(OrganizationSettings("birch", "Birch"), BORIS.id, id=BIRCH, member_id="mem_boris", by=OPERATOR)
    memberships.add(BIRCH, NewMember(BEA.id, id="mem_bea"), by=OPERATOR)
    memberships.add(BIRCH, NewMember(VERA.id, id="mem_vera_of_birch"), by=OPERATOR)
    accounts.open_account(BIRCH, account("oslo"), by=OPERATOR)
    account_groups.create(BIRCH, GroupSettings("north", "North"), id=NORTH, by=OPERATOR)
    account_groups.add(BIRCH, NORTH, [OSLO], by=OPERATOR)
    teams.create(BIRCH, TeamSettings("crew", "Crew"), id=CREW, by=OPERATOR)
    clients.create(machine("Drone"), owner=BIRCH, id=DRONE, by=OPERATOR)
    grants.grant(to(BEA, "super_admin", at(BIRCH)), by=OPERATOR)
    grants.grant(Wanted(Grantee("member", "mem_vera_of_birch"), "developer", at(BIRCH)), by=OPERATOR)


# Short words


def machine(name: str) -> ClientSettings:
    """A client that speaks for itself."""
    return ClientSettings({"client_name": name, "grant_types": ["client_credentials"]})


def member(actor: Actor) -> str:
    """The id of the actor's membership in Acme (of Boris and Bea: in Birch)."""
    return actor.id.replace("usr_", "mem_")


def account(key: str, *, live: bool = True) -> NewAccount:
    """An account to be, whose id is that of its key."""
    return NewAccount(AccountSettings(key, key.capitalize(), "DE"), live, id=f"acct_{key}")


def role(key: str, *permissions: str | Permitted) -> RoleSettings:
    """A custom role that allows `permissions`, by their bare names or as given."""
    allowed = frozenset(one if isinstance(one, Permitted) else Permitted(one) for one in permissions)
    return RoleSettings(key, key.removeprefix("x_").capitalize(), allowed)


def at(name: str) -> Scope:
    """The scope that an id names: an organization, an account, a group."""
    return scopes.named(name)


def to(who: Actor | str, key: str, scope: Scope | None = None, **terms: Any) -> Wanted:
    """A grant to a person, or to the team or client whose id is given; on Acme unless said otherwise."""
    if isinstance(who, Actor):
        grantee = Grantee("client", who.id) if who.kind == "client" else Grantee("member", member(who))
    else:
        grantee = Grantee("team" if who.startswith("team_") else "client", who)
    return Wanted(grantee, key, scope or scopes.of_organization(ACME), **terms)


# Acting


def act(rule: Callable[..., Result], *arguments: Any, by: Actor = OPERATOR, **more: Any) -> Result:
    """Run one rule as a door does: in a transaction of its own."""
    with database.writing():
        return rule(*arguments, by=by, **more)


def crowd(number: int) -> list[str]:
    """The memberships of as many new people."""

    def take_in(*, by: Actor) -> list[str]:
        ids = [users.create(UserSettings(f"crowd{one}"), by=by).id for one in range(number)]
        return list(memberships.add_many(ACME, [NewMember(one) for one in ids], by=by).values())

    return act(take_in)


def give(wanted: Wanted, *, by: Actor = OPERATOR, source: str = "manual") -> str:
    """Make a grant; its id."""
    with database.writing():
        return grants.grant(wanted, by=by, source=source).id


def take(grant_id: str, *, by: Actor = OPERATOR, organization_id: str = ACME) -> None:
    """End a grant."""
    act(grants.end, organization_id, grant_id, by=by)


def grant_of(who: Actor, key: str) -> str:
    """The id of the one live grant of that role to the person in Acme."""
    live = select(RoleGrant.id).where(
        RoleGrant.member_id == member(who), RoleGrant.role_key == key, RoleGrant.ended_at.is_(None)
    )
    return database.session().execute(live).scalar_one()


@contextmanager
def refused(kind: type[Exception]) -> Iterator[None]:
    """The block is a transaction that must be refused, and not a row of any table may differ afterwards."""
    before = state()
    with pytest.raises(kind), database.writing():
        yield
    assert state() == before


def state() -> dict[str, list[str]]:
    """Every row of every table (but of what APIs declare), by the name of its table."""
    database.session().rollback()
    return {
        table.name: sorted(map(repr, database.session().execute(select(table))))
        for table in Model.metadata.sorted_tables
        if not table.name.startswith("api")
    }


# Asking


def holder(who: Actor) -> Holder:
    """The person or client as a holder of roles."""
    return Holder(client_id=who.id) if who.kind == "client" else Holder(user_id=who.id)


def held(who: Actor, account_id: str = "", *, organization_id: str = ACME) -> EffectiveRoles:
    """What the person or client holds now, on the organization or in one of its accounts."""
    database.session().rollback()
    return effective_roles(holder(who), Context(organization_id, account_id))


def roles_of(who: Actor, account_id: str = "", *, organization_id: str = ACME) -> set[str]:
    """The keys of the effective roles now."""
    return set(held(who, account_id, organization_id=organization_id).roles)


def allowed(who: Actor, account_id: str = "", *, organization_id: str = ACME) -> set[str]:
    """What the person or client may do now at the issuer's own audience, in the mode of the context."""
    livemode = held(who, account_id, organization_id=organization_id).livemode
    context = Context(organization_id, account_id)
    found = held_permissions(holder(who), context, audience=settings().issuer)
    return {one.name for one in found if (one.live if livemode else one.sandbox)}


# Several at once


def overlapping(app: Flask, first: Callable[[], object], second: Callable[[], object]) -> tuple[object, object]:
    """Run both rules in transactions of their own; the second begins when the first has acted but not committed.

    What they returned, or the refusal that they raised.
    """
    acted, over = threading.Event(), threading.Event()

    def begin() -> object:
        try:
            with database.writing():
                done = first()
                database.session().flush()
                acted.set()
                over.wait(0.15)  # in vain, if the second waits for its turn as it should
                return done
        finally:
            acted.set()

    def follow() -> object:
        acted.wait()
        try:
            with database.writing():
                return second()
        finally:
            over.set()

    one, other = at_once(app, begin, follow)
    return one, other


def at_once(app: Flask, *acts: Callable[[], object]) -> list[object]:
    """Run the acts in threads with application contexts of their own: what they returned, or the refusal raised."""

    def alone(one: Callable[[], object]) -> object:
        with app.app_context():
            try:
                return one()
            except Refusal as refusal:
                return refusal
            finally:
                database.db.session.remove()

    database.session().rollback()
    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(alone, acts))
