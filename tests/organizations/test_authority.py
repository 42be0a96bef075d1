"""Who may change whose roles: every way to give a role, tried by everybody, for every kind of role and scope."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product

import pytest
import time_machine
from flask import Flask
from sqlalchemy import update

from idp.audit.trail import SYSTEM, Actor
from idp.clients import clients
from idp.organizations import (
    account_groups,
    authority,
    gains,
    grants,
    invitations,
    memberships,
    organizations,
    ownership,
    policies,
    roles,
    teams,
)
from idp.organizations.effective import effective_roles
from idp.organizations.gains import WouldGain
from idp.organizations.invitations import Offered
from idp.organizations.models import Role
from idp.organizations.policies import PolicySettings
from idp.platform import clock, database
from idp.platform.errors import Forbidden
from idp.users import lifecycle, users
from tests.organizations.actors import (
    ACME,
    ADAM,
    BORIS,
    BOX,
    DAN,
    DE,
    EU,
    GREG,
    HOUSE,
    INA,
    IRIS,
    MIA,
    NICK,
    OLIVIA,
    OPS,
    ROBOT,
    SAM,
    SHARED,
    US,
    VERA,
    WEST,
    X_DESK,
    act,
    at,
    give,
    holder,
    refused,
    role,
    state,
    to,
)

NOBODY = (DAN, INA, BORIS, HOUSE)
"""Whoever may grant nothing at all."""
ROLES = ("super_admin", "admin", "iam_admin", "x_desk", "x_gate")
SCOPES = (ACME, DE, US, EU)

SUPER = frozenset(ROLES)
ADMIN = SUPER - {"super_admin"}
IAM = ADMIN - {"admin", "x_gate"}
"""`x_gate` is privileged, and who is `iam_admin` does not hold all of it."""

Powers = dict[Actor, dict[str, frozenset[str]]]
MAY_GRANT: Powers = {
    OLIVIA: dict.fromkeys(SCOPES, SUPER),
    SAM: dict.fromkeys(SCOPES, SUPER),
    ADAM: dict.fromkeys(SCOPES, ADMIN),
    IRIS: dict.fromkeys(SCOPES, IAM),
    MIA: {DE: IAM},
    GREG: {EU: IAM, DE: IAM},
}
Attempt = tuple[Actor, str, str]
"""Who tries to give which role at which scope."""


class Undone(Exception):
    """Nothing of it is to stay."""


def permitted(rule: Callable[[], object]) -> bool:
    """Whether the rule lets it happen; it does not happen."""
    try:
        with database.writing():
            rule()
            raise Undone
    except Forbidden:
        return False
    except Undone:
        return True


def permitted_of(way: Callable[[Actor, str, str], object], scopes: tuple[str, ...] = SCOPES) -> set[Attempt]:
    """Those attempts, of all at `scopes`, that were let through `way`."""
    before = state()
    tried = (*product(MAY_GRANT, ROLES, scopes), *product(NOBODY, ["x_desk"], scopes))
    found = {one for one in tried if permitted(lambda: way(*one))}  # noqa: B023
    assert state() == before
    return found


def attempts(powers: Powers, scopes: tuple[str, ...] = SCOPES) -> set[Attempt]:
    return {(who, key, scope) for who, some in powers.items() for scope in scopes for key in some.get(scope, ())}


@pytest.mark.rule("ORG-03")
def test_who_grants_to_another(acme: Flask) -> None:
    tried = permitted_of(lambda by, key, scope: grants.grant(to("team_ops", key, at(scope)), by=by))
    assert tried == attempts(MAY_GRANT)


@pytest.mark.rule("ORG-03")
def test_who_grants_to_an_api_client_holds_all_of_the_role(acme: Flask) -> None:
    iam = frozenset({"iam_admin"})
    powers = MAY_GRANT | {IRIS: dict.fromkeys(SCOPES, iam), MIA: {DE: iam}, GREG: {EU: iam, DE: iam}}
    assert permitted_of(lambda by, key, scope: grants.grant(to(ROBOT, key, at(scope)), by=by)) == attempts(powers)


@pytest.mark.rule("ORG-03")
def test_who_invites(acme: Flask) -> None:
    powers = MAY_GRANT | {GREG: {DE: IAM}}  # a group is no account: to invite to it takes the whole organization
    tried = permitted_of(
        lambda by, key, scope: invitations.invite(ACME, "new@example.com", [Offered(key, at(scope))], by=by)
    )
    assert tried == attempts(powers)


@pytest.mark.rule("ORG-03")
def test_who_puts_somebody_into_a_team_with_roles(acme: Flask) -> None:
    def add(by: Actor, key: str, scope: str) -> None:
        grants.grant(to(OPS, key, at(scope)), by=SYSTEM)
        teams.add(ACME, OPS, ["mem_vera"], by=by)

    powers = {who: scopes for who, scopes in MAY_GRANT.items() if who not in (MIA, GREG)}
    assert permitted_of(add, (ACME, DE)) == attempts(powers, (ACME, DE))


@pytest.mark.rule("ORG-03")
def test_who_puts_an_account_into_a_group_with_roles(acme: Flask) -> None:
    def add(by: Actor, key: str, scope: str) -> None:
        grants.grant(to("team_ops", key, at(WEST)), by=SYSTEM)
        account_groups.add(ACME, WEST, [scope] if scope.startswith("acct") else [DE, US], by=by)

    powers = {who: scopes for who, scopes in MAY_GRANT.items() if who not in (IRIS, MIA, GREG)}
    assert permitted_of(add, (ACME, DE)) == attempts(powers, (ACME, DE))


@pytest.mark.rule("ORG-03")
def test_who_revives_a_suspended_member_with_roles(acme: Flask) -> None:
    act(memberships.suspend, ACME, "mem_vera")

    def reactivate(by: Actor, key: str, scope: str) -> None:
        grants.grant(to("team_ops", key, at(scope)), by=SYSTEM)
        teams.add(ACME, OPS, ["mem_vera"], by=SYSTEM)
        memberships.reactivate(ACME, "mem_vera", by=by)

    powers = {who: scopes for who, scopes in MAY_GRANT.items() if who not in (MIA, GREG)}
    assert permitted_of(reactivate, (ACME, DE)) == attempts(powers, (ACME, DE))


@pytest.mark.rule("ORG-03")
@pytest.mark.parametrize("permission", ["refunds.write", "members.write", "accounts.move"])
def test_who_widens_a_role_that_others_hold(acme: Flask, permission: str) -> None:
    act(roles.create, ACME, role("x_new", "customers.read"))
    give(to(OPS, "x_new", at(DE)))
    wanted = role("x_new", "customers.read", permission)
    before = state()
    tried = {who for who in (*MAY_GRANT, *NOBODY) if permitted(lambda: roles.change(ACME, "x_new", wanted, by=who))}  # noqa: B023
    assert state() == before
    assert tried == ({OLIVIA, SAM} if permission == "accounts.move" else {OLIVIA, SAM, ADAM})


@pytest.mark.rule("ORG-03")
def test_who_may_change_roles_but_not_grant_them_widens_none(acme: Flask) -> None:
    act(roles.create, ACME, role("x_scribe", "roles.write", "refunds.write", "payouts.write"))
    give(to(NICK, "x_scribe"))
    with refused(Forbidden):
        roles.change(ACME, X_DESK, role("x_desk", "refunds.write", "payouts.write"), by=NICK)
    act(roles.change, ACME, X_DESK, role("x_desk"), by=NICK)


@pytest.mark.rule("ORG-03")
def test_who_might_grant_a_role_but_does_not_administer_members_grants_nothing(acme: Flask) -> None:
    with database.writing():
        database.session().execute(update(Role).where(Role.key == "developer").values(may_grant="any"))
    with refused(Forbidden):
        grants.grant(to(NICK, "view_only"), by=DAN)


@pytest.mark.rule("ORG-03")
def test_nobody_gives_themselves_what_they_lack(acme: Flask) -> None:
    for who in (OLIVIA, SAM, ADAM, IRIS, MIA, GREG):
        for key, scope in product(ROLES, SCOPES):
            if key not in effective_roles(holder(who), at(scope).context).roles:
                with pytest.raises(Forbidden), database.writing():
                    grants.grant(to(who, key, at(scope)), by=who)


@pytest.mark.rule("ORG-03")
def test_nobody_lengthens_or_hastens_what_they_hold(acme: Flask) -> None:
    soon = clock.now() + clock.DAY
    give(to(NICK, "admin", expires_at=soon))
    with refused(WouldGain):
        grants.grant(to(NICK, "admin"), by=NICK)
    with refused(WouldGain):
        grants.grant(to(NICK, "admin", expires_at=soon + 1), by=NICK)
    with refused(WouldGain):
        grants.grant(to(NICK, "admin"), by=NICK, source="api")
    with refused(WouldGain):
        grants.grant(to(NICK, "admin", at(DE)), by=NICK)
    act(grants.grant, to(NICK, "admin", expires_at=soon - 1), by=NICK)
    act(grants.grant, to(NICK, "admin", at(DE), expires_at=soon - 1), by=NICK)


@pytest.mark.rule("ORG-03")
def test_nobody_keeps_by_a_role_of_their_own_what_runs_out(acme: Flask) -> None:
    give(to(NICK, "x_desk"))
    give(to(NICK, "admin", expires_at=clock.now() + clock.DAY))
    wanted = role("x_desk", "refunds.write", "payouts.write")
    with refused(WouldGain):
        roles.change(ACME, X_DESK, wanted, by=NICK)
    act(roles.change, ACME, X_DESK, wanted, by=ADAM)


@pytest.mark.rule("ORG-03")
def test_a_role_of_ones_own_is_widened_by_what_one_holds_anyway(acme: Flask) -> None:
    give(to(ADAM, "x_desk", at(DE)))
    act(roles.change, ACME, X_DESK, role("x_desk", "refunds.write", "payouts.write"), by=ADAM)


@pytest.mark.rule("ORG-03")
def test_an_api_client_is_bound_as_people_are(acme: Flask) -> None:
    give(to(ROBOT, "admin"))
    for key in ROLES:
        assert permitted(lambda: grants.grant(to(NICK, key), by=HOUSE)) == (key in ADMIN)  # noqa: B023
    with refused(WouldGain):
        grants.grant(to(ROBOT, "developer"), by=HOUSE)
    act(clients.disable, clients.named(ROBOT))
    with refused(Forbidden):
        grants.grant(to(NICK, "developer"), by=HOUSE)


@pytest.mark.rule("ORG-03")
def test_the_operators_client_is_bound_to_organizations_that_have_it_on(acme: Flask) -> None:
    give(to(SHARED, "admin"))
    shared = Actor("client", SHARED)
    act(grants.grant, to(NICK, "developer"), by=shared)
    act(clients.switch, clients.named(SHARED), ACME, on=False)
    with refused(Forbidden):
        grants.grant(to(NICK, "analyst"), by=shared)


@pytest.mark.rule("ORG-03")
@pytest.mark.parametrize("unable", ["suspended", "disabled", "expired", "cooling off"])
def test_authority_that_does_not_count_grants_nothing(acme: Flask, unable: str) -> None:
    with time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC), tick=False) as watch:
        if unable == "cooling off":
            act(policies.change, ACME, PolicySettings(cooling_off=3_600))
        give(to(NICK, "admin", expires_at=clock.now() + clock.HOUR if unable == "expired" else None), by=OLIVIA)
        if unable == "suspended":
            act(memberships.suspend, ACME, "mem_nick")
        elif unable == "disabled":
            act(lifecycle.disable, users.find(NICK.id))
        elif unable == "expired":
            watch.shift(3_600)
        with refused(Forbidden):
            grants.grant(to(INA, "developer"), by=NICK)
        if unable == "cooling off":
            watch.shift(3_600)
            act(grants.grant, to(INA, "developer"), by=NICK)


@pytest.mark.rule("ORG-03")
@pytest.mark.parametrize("by", [Actor("connection", "conn_1"), Actor("directory", "dir_1"), Actor("user", "")])
def test_whoever_is_nobody_grants_nothing(acme: Flask, by: Actor) -> None:
    with refused(Forbidden):
        grants.grant(to(NICK, "view_only"), by=by)


@pytest.mark.rule("ORG-03")
def test_an_operator_in_somebodys_name_is_not_the_operator(acme: Flask) -> None:
    guest = Actor("operator", "usr_guest", on_behalf_of=VERA.id)
    with refused(Forbidden):
        grants.grant(to(NICK, "view_only"), by=guest)
    with refused(Forbidden):
        ownership.transfer(ACME, "mem_sam", by=guest)


@pytest.mark.rule("ORG-03")
def test_an_operator_in_somebodys_name_is_not_unlimited(acme: Flask) -> None:
    impersonating = Actor("operator", "ops", on_behalf_of=SAM.id)
    with refused(Forbidden):
        grants.grant(to(NICK, "view_only"), by=impersonating)
    with refused(Forbidden):
        organizations.suspend(ACME, by=impersonating)
    with refused(Forbidden):
        ownership.transfer(ACME, "mem_sam", by=impersonating)


@pytest.mark.rule("ORG-03")
def test_a_sandbox_admin_gives_nothing_even_there(acme: Flask) -> None:
    give(to(NICK, "sandbox_admin"))
    with refused(Forbidden):
        grants.grant(to(INA, "sandbox_user", at(BOX)), by=NICK)


def test_what_may_grant_says() -> None:
    assert authority.allows("any", "super_admin")
    assert not authority.allows("any -super_admin", "super_admin")
    assert authority.allows("any -super_admin", "admin")
    assert authority.allows("developer analyst", "analyst")
    assert not authority.allows("developer", "analyst")
    assert not authority.allows("none", "developer")
    assert not authority.allows("", "developer")


@pytest.mark.parametrize(
    ("before", "after", "gained"),
    [
        ({}, {("a", "s"): [(0, 9)]}, True),
        ({("a", "s"): [(0, 9)]}, {("a", "s"): [(0, 9)]}, False),
        ({("a", "s"): [(0, 9)]}, {("a", "s"): [(0, 10)]}, True),
        ({("a", "s"): [(1, 9)]}, {("a", "s"): [(0, 9)]}, True),
        ({("a", "s"): [(0, 5), (5, 9)]}, {("a", "s"): [(0, 9)]}, False),
        ({("a", "s"): [(0, 5), (6, 9)]}, {("a", "s"): [(0, 9)]}, True),
        ({("a", "s"): [(0, 7), (3, 9)]}, {("a", "s"): [(2, 8)]}, False),
        ({("a", "o"): [(0, 9)]}, {("a", "o"): [(0, 9)], ("a", "s"): [(0, 9)]}, False),
        ({("a", "s"): [(0, 9)]}, {("a", "o"): [(0, 9)]}, True),
        ({("a", "s"): [(0, 9)]}, {("b", "s"): [(0, 9)]}, True),
        ({("a", "s"): [(0, 9)]}, {}, False),
    ],
)
def test_what_is_a_gain(before: gains.Possessions, after: gains.Possessions, gained: bool) -> None:
    assert bool(gains.gain(before, after, "o")) == gained
