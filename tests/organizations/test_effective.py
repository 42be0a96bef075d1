"""Effective roles: what everything that decides asks, for people and API clients, now or in the past."""

from typing import Any

import pytest
from flask import Flask

from idp.clients import apis, clients
from idp.clients.apis import ApiSettings
from idp.feed import positions
from idp.organizations import (
    account_groups,
    accounts,
    effective,
    grants,
    memberships,
    organizations,
    ownership,
    roles,
    teams,
)
from idp.organizations.effective import Context, HeldPermission, Holder, effective_roles, held_permissions, past
from idp.platform import clock, database, driver
from idp.platform.settings import settings
from idp.users import lifecycle, users
from tests.organizations.actors import (
    ACME,
    ADAM,
    BIRCH,
    BORIS,
    BOX,
    DAN,
    DE,
    DRONE,
    EU,
    GREG,
    HOUSE,
    INA,
    MIA,
    NICK,
    NORTH,
    OLIVIA,
    OPS,
    OSLO,
    ROBOT,
    SAM,
    SHARED,
    US,
    VERA,
    WEST,
    X_GATE,
    ZOE,
    act,
    allowed,
    at,
    give,
    grant_of,
    held,
    holder,
    role,
    roles_of,
    take,
    to,
)


def test_who_is_nobody_holds_nothing(acme: Flask) -> None:
    nothing = effective_roles(Holder(), Context(ACME, DE))
    assert nothing.roles == set()
    assert nothing.member_id == ""
    for context in (Context(ACME, "acct_none"), Context("org_none"), Context("org_none", DE), Context("")):
        assert effective_roles(holder(OLIVIA), context).roles == set()
        assert held_permissions(holder(OLIVIA), context) == set()
    assert roles_of(ZOE) == roles_of(INA) == set()


def test_an_answer_says_mode_membership_and_how_fresh_it_is(acme: Flask) -> None:
    assert held(OLIVIA, DE).livemode
    assert not held(OLIVIA, BOX).livemode
    assert held(OLIVIA).livemode
    assert held(MIA, DE).member_id == "mem_mia"
    take(grant_of(DAN, "developer"))
    assert held(MIA, DE).head == positions.head()


def test_one_question_is_one_statement(acme: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    driven, drive = list[object](), driver.drive

    def counted(connection: Any, act: Any) -> Any:
        driven.append(act)
        return drive(connection, act)

    monkeypatch.setattr(driver, "drive", counted)
    assert effective_roles(holder(DAN), Context(ACME, DE)).roles == {"developer"}
    assert len(driven) == 1
    assert held_permissions(holder(DAN), Context(ACME, DE))
    assert len(driven) == 2


def test_permissions_at_one_api_are_found_by_its_name_however_many_apis_there_are(acme: Flask) -> None:
    everywhere = held_permissions(holder(DAN), Context(ACME, DE))
    audiences = {one.audience for one in everywhere}
    assert audiences
    for audience in audiences:
        there = held_permissions(holder(DAN), Context(ACME, DE), audience=audience)
        assert there == {one for one in everywhere if one.audience == audience}
    assert held_permissions(holder(DAN), Context(ACME, DE), audience="https://none.example.com") == set()
    if database.is_sqlite():
        statement = effective._PERMISSIONS_AT
        values = effective._values(holder(DAN), Context(ACME, DE), effective.now())
        cursor = database.session().connection().connection.cursor()
        cursor.execute(f"EXPLAIN QUERY PLAN {statement.sql()}", statement.parameters({**values, "audience": "a"}))
        plan = [str(row[3]) for row in cursor.fetchall()]
        assert any(line.startswith("SEARCH api_permission_holders") for line in plan), plan
        assert not [line for line in plan if line.startswith("SCAN api")], plan


@pytest.mark.rule("ORG-06")
def test_each_loss_shows_in_the_next_answer(acme: Flask) -> None:
    give(to(OPS, "analyst", at(EU)))
    act(teams.add, ACME, OPS, ["mem_nick"])
    assert roles_of(NICK, DE) == {"analyst"}
    act(account_groups.remove, ACME, EU, DE)
    assert roles_of(NICK, DE) == set()
    act(account_groups.add, ACME, EU, [DE])
    assert roles_of(NICK, DE) == {"analyst"}
    act(teams.remove, ACME, OPS, "mem_nick")
    assert roles_of(NICK, DE) == set()
    act(teams.add, ACME, OPS, ["mem_nick"])
    take(grants.of_grantee(ACME, OPS)[0].id)
    assert roles_of(NICK, DE) == set()
    give(to(NICK, "x_gate", at(DE)))
    assert "members.write" in allowed(NICK, DE)
    act(roles.change, ACME, X_GATE, role("x_gate", "refunds.write"))
    assert "members.write" not in allowed(NICK, DE)
    act(roles.delete, ACME, X_GATE)
    assert roles_of(NICK, DE) == set()
    act(ownership.transfer, ACME, "mem_sam")
    assert roles_of(OLIVIA) == set()
    act(lifecycle.disable, users.find(DAN.id))
    assert roles_of(DAN) == set()


def test_who_is_enabled_again_holds_what_was_granted(acme: Flask) -> None:
    act(lifecycle.disable, users.find(VERA.id))
    assert roles_of(VERA) == roles_of(VERA, organization_id=BIRCH) == set()
    act(lifecycle.enable, users.find(VERA.id))
    assert (roles_of(VERA), roles_of(VERA, organization_id=BIRCH)) == ({"view_only"}, {"developer"})


@pytest.mark.rule("ORG-10")
def test_nothing_is_effective_in_a_suspended_organization_for_anybody(acme: Flask) -> None:
    give(to(ROBOT, "developer"))
    give(to(SHARED, "developer"))
    give(to(SHARED, "analyst", at(BIRCH)))
    shared = Holder(client_id=SHARED)
    act(organizations.suspend, ACME)
    for who in (OLIVIA, SAM, ADAM, MIA, VERA, HOUSE):
        for context in (Context(ACME), Context(ACME, DE), Context(ACME, account_group_id=EU)):
            assert effective_roles(holder(who), context).roles == set()
            assert held_permissions(holder(who), context) == set()
            assert effective_roles(holder(who), context).member_id == ""
    assert effective_roles(shared, Context(ACME)).roles == set()
    assert effective_roles(shared, Context(BIRCH)).roles == {"analyst"}
    assert roles_of(VERA, OSLO, organization_id=BIRCH) == {"developer"}


def test_what_was_true_while_it_was_suspended_can_be_asked(acme: Flask) -> None:
    before = clock.now()
    act(organizations.suspend, ACME)
    during = clock.now()
    act(organizations.resume, ACME)
    asked = [effective_roles(holder(OLIVIA), Context(ACME), past(when)).roles for when in (before, during, clock.now())]
    assert asked == [{"super_admin"}, set(), {"super_admin"}]


def test_an_api_client_holds_what_it_is_granted_while_it_can_be_used(acme: Flask) -> None:
    give(to(ROBOT, "developer", at(EU)))
    give(to(SHARED, "analyst"))
    shared = Holder(client_id=SHARED)
    assert roles_of(HOUSE, DE) == {"developer"}
    assert effective_roles(shared, Context(ACME, US)).roles == {"analyst"}
    act(clients.switch, clients.named(SHARED), ACME, on=False)
    assert effective_roles(shared, Context(ACME, US)).roles == set()
    act(clients.switch, clients.named(SHARED), ACME, on=True)
    assert effective_roles(shared, Context(ACME, US)).roles == {"analyst"}
    act(clients.disable, clients.named(ROBOT))
    assert roles_of(HOUSE, DE) == set()
    act(clients.enable, clients.named(ROBOT))
    assert roles_of(HOUSE, DE) == {"developer"}
    act(clients.delete, clients.named(ROBOT))
    assert roles_of(HOUSE, DE) == set()


@pytest.mark.rule("ORG-11")
def test_a_question_across_organizations_finds_nothing(acme: Flask) -> None:
    give(to(SHARED, "super_admin", at(NORTH)))
    give(to(SHARED, "admin", at(OSLO)))
    for who in (Holder(client_id=SHARED), Holder(client_id=DRONE), holder(BORIS), holder(OLIVIA)):
        for context in (Context(ACME, OSLO), Context(BIRCH, DE)):
            assert effective_roles(who, context).roles == set()
            assert held_permissions(who, context) == set()
    forged = Context(ACME, account_group_id=NORTH)
    assert effective_roles(Holder(client_id=SHARED), forged).roles == set()
    assert held_permissions(Holder(client_id=SHARED), forged) == set()


def test_at_a_group_count_the_roles_on_it_and_on_the_organization(acme: Flask) -> None:
    give(to(NICK, "analyst", at(DE)))
    roles_at = {who.id: effective_roles(holder(who), at(EU).context).roles for who in (GREG, DAN, MIA, NICK)}
    assert roles_at == {GREG.id: {"iam_admin"}, DAN.id: {"developer"}, MIA.id: set(), NICK.id: set()}


def test_the_first_expiry_among_what_counts_is_told(acme: Flask) -> None:
    assert held(NICK).expires_at is None
    soon, late = clock.now() + clock.HOUR, clock.now() + clock.DAY
    give(to(NICK, "analyst", expires_at=late))
    give(to(NICK, "tax_analyst", at(DE), expires_at=soon))
    give(to(NICK, "view_only"))
    assert held(NICK).expires_at == late
    assert held(NICK, DE).expires_at == soon


def test_permissions_are_asked_for_one_audience_or_all(acme: Flask) -> None:
    audience = "https://payments.example.com"
    act(apis.declare, ApiSettings(audience, "Payments", permissions={"charge": ("developer",), "bill": ()}))
    asked = held_permissions(holder(DAN), Context(ACME, DE), audience=audience)
    assert asked == {HeldPermission(audience, "charge", 1, 1)}
    everywhere = {one.audience for one in held_permissions(holder(DAN), Context(ACME, DE))}
    assert everywhere == {audience, settings().issuer}
    assert {one.name for one in held_permissions(holder(ADAM), Context(ACME), audience=audience)} == {"charge", "bill"}


def test_every_member_reads_the_organization_and_what_they_may_enter(acme: Flask) -> None:
    assert allowed(NICK) == {"organization.read", "accounts.read"}
    assert allowed(NICK, DE) == allowed(INA) == allowed(ZOE) == set()
    give(to(NICK, "x_desk", at(DE)))
    assert allowed(NICK, DE) >= {"accounts.read", "refunds.write"}
    assert allowed(NICK, US) == set()
    act(memberships.suspend, ACME, "mem_nick")
    assert allowed(NICK) == set()


def test_an_account_in_two_groups_brings_the_roles_of_both(acme: Flask) -> None:
    give(to(NICK, "analyst", at(WEST)))
    give(to(NICK, "tax_analyst", at(EU)))
    act(account_groups.add, ACME, WEST, [DE, US])
    assert (roles_of(NICK, DE), roles_of(NICK, US)) == ({"analyst", "tax_analyst"}, {"analyst"})
    act(accounts.suspend, ACME, US)
    assert (roles_of(NICK, DE), roles_of(NICK, US)) == ({"analyst", "tax_analyst"}, set())
