"""Roles: the built-in ones as rows, and what organizations make themselves."""

import json
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from idp.app import start
from idp.audit.trail import Actor
from idp.clients import apis, declaration
from idp.clients.apis import ApiSettings
from idp.organizations import authority, grants, invitations, roles
from idp.organizations.effective import Context, HeldPermission, held_permissions, past
from idp.organizations.invitations import InvitationVoid, Offered
from idp.organizations.models import BUILT_IN, Role
from idp.organizations.roles import Permitted, RoleSettings
from idp.platform import clock, database
from idp.platform.errors import Conflict, Forbidden, Invalid, NotFound
from idp.platform.settings import settings
from tests.organizations.actors import (
    ACME,
    ADAM,
    BIRCH,
    BORIS,
    BOX,
    DAN,
    DE,
    GREG,
    IRIS,
    MIA,
    NICK,
    OLIVIA,
    OPS,
    X_DESK,
    X_GATE,
    ZOE,
    act,
    allowed,
    at,
    give,
    holder,
    refused,
    role,
    roles_of,
    state,
    to,
)
from tests.traces import OPERATOR, entries, events, losses

PAYMENTS, LEDGER = "https://payments.example.com", "https://ledger.example.com"


def declare(audience: str, *permissions: str) -> None:
    act(apis.declare, ApiSettings(audience, "An API", permissions=dict.fromkeys(permissions, ())))


def may(who: Actor, audience: str, account_id: str = "") -> set[HeldPermission]:
    database.session().rollback()
    return set(held_permissions(holder(who), Context(ACME, account_id), audience=audience))


# Built-in


def test_the_built_in_roles_are_those_of_the_data_file_and_starting_again_changes_nothing(acme: Flask) -> None:
    before = state()
    start()
    assert state() == before
    rows = {one.key: one for one in database.session().scalars(select(Role).where(Role.owner == BUILT_IN))}
    assert set(rows) == declaration.shipped().keys
    assert (rows["admin"].may_grant, rows["admin"].sensitive) == ("any -super_admin", 1)
    assert (rows["transfer_analyst"].demands, rows["view_only"].may_grant) == ("aal2", "none")
    assert rows["iam_admin"].id == "role_iam_admin"


def test_a_release_that_changes_a_built_in_role_says_so_in_the_trail(acme: Flask) -> None:
    shipped = declaration.shipped()
    changed = [replace(one, may_grant="none") if one.key == "iam_admin" else one for one in shipped.roles]
    for _ in range(2):
        with database.writing():
            roles.start_built_in(replace(shipped, roles=tuple(changed)))
    [made, said] = entries("role_iam_admin")
    assert (made.event, said.event, said.actor_kind) == ("role.created", "role.changed", "system")
    assert json.loads(made.after_json or "")["may_grant"] == json.loads(said.before_json or "")["may_grant"] != "none"
    assert json.loads(said.after_json or "")["may_grant"] == "none"
    assert events("role_admin") == ["role.created"]


def test_a_built_in_role_allows_what_the_issuers_api_declares_in_each_mode(acme: Flask) -> None:
    give(to(NICK, "sandbox_admin"))
    assert allowed(NICK, DE) & {"sandboxes.write", "refunds.write"} == {"sandboxes.write"}
    assert "refunds.write" in allowed(NICK, BOX)
    assert "members.write" not in allowed(NICK, BOX)


def test_a_built_in_role_is_nobodys_to_change(acme: Flask) -> None:
    for name in ("admin", "role_admin"):
        with refused(NotFound):
            roles.delete(ACME, name, by=OPERATOR)
        with refused(NotFound):
            roles.change(ACME, name, role("x_desk"), by=OPERATOR)


# Custom


def test_a_custom_role_allows_what_it_lists(acme: Flask) -> None:
    made = act(roles.create, ACME, role("x_new", "refunds.write", "payouts.read"), by=ADAM)
    give(to(NICK, "x_new", at(DE)))
    assert allowed(NICK, DE) >= {"refunds.write", "payouts.read"}
    assert "payouts.write" not in allowed(NICK, DE)
    assert allowed(NICK) & {"refunds.write", "payouts.read"} == set()
    assert events(made.id) == ["role.created"]
    assert roles.settings_of(made) == role("x_new", "refunds.write", "payouts.read")


def test_a_bare_permission_counts_at_every_api_that_declares_it_and_a_named_one_at_one(acme: Flask) -> None:
    declare(PAYMENTS, "refunds.write")
    act(roles.create, ACME, role("x_bare", "refunds.write"))
    act(roles.create, ACME, role("x_named", Permitted("refunds.write", PAYMENTS)))
    give(to(NICK, "x_bare", at(DE)))
    give(to(DAN, "x_named", at(DE)))
    for audience in (settings().issuer, PAYMENTS):
        assert HeldPermission(audience, "refunds.write", 1, 1) in may(NICK, audience, DE)
    assert may(DAN, PAYMENTS, DE) == {HeldPermission(PAYMENTS, "refunds.write", 1, 1)}
    assert may(NICK, LEDGER, DE) == set()
    declare(LEDGER, "refunds.write")
    assert may(NICK, LEDGER, DE) == {HeldPermission(LEDGER, "refunds.write", 1, 1)}
    assert may(DAN, LEDGER, DE) == set()
    act(apis.withdraw, apis.find(LEDGER))
    assert may(NICK, LEDGER, DE) == set()


def test_a_permission_may_count_in_one_mode_only(acme: Flask) -> None:
    live, sandbox = Permitted("payouts.write", sandbox=False), Permitted("refunds.write", live=False)
    act(roles.create, ACME, role("x_split", live, sandbox))
    give(to(NICK, "x_split"))
    assert allowed(NICK, DE) & {"payouts.write", "refunds.write"} == {"payouts.write"}
    assert allowed(NICK, BOX) & {"payouts.write", "refunds.write"} == {"refunds.write"}
    assert allowed(NICK) & {"payouts.write", "refunds.write"} == {"payouts.write"}


def test_making_a_role_takes_the_permission_and_holding_all_of_it_on_the_organization(acme: Flask) -> None:
    for by in (DAN, IRIS, MIA, GREG, NICK, ZOE, BORIS):
        with refused(Forbidden):
            roles.create(ACME, role("x_new", "payments.read"), by=by)
        with refused(Forbidden):
            roles.change(ACME, X_DESK, role("x_desk"), by=by)
        with refused(Forbidden):
            roles.delete(ACME, X_DESK, by=by)


@pytest.mark.rule("ORG-03")
def test_nobody_puts_into_a_role_what_they_do_not_hold_on_the_organization(acme: Flask) -> None:
    with refused(authority.MayNotGrant):
        roles.create(ACME, role("x_new", "accounts.move"), by=ADAM)
    with refused(authority.MayNotGrant):
        roles.change(ACME, X_DESK, role("x_desk", "refunds.write", "accounts.move"), by=ADAM)
    act(roles.create, ACME, role("x_scribe", "roles.write"))
    give(to(NICK, "x_scribe"))
    give(to(NICK, "admin", at(DE)))
    with refused(authority.MayNotGrant):
        roles.create(ACME, role("x_new", "payouts.write"), by=NICK)
    give(to(NICK, "sandbox_admin"))
    with refused(authority.MayNotGrant):
        roles.create(ACME, role("x_new", "refunds.write"), by=NICK)
    act(roles.create, ACME, role("x_new", Permitted("refunds.write", live=False)), by=NICK)


@pytest.mark.rule("ORG-03")
def test_at_another_api_too_one_must_hold_what_one_puts_into_a_role(acme: Flask) -> None:
    act(roles.create, ACME, role("x_scribe", "roles.write", "refunds.write"))
    give(to(NICK, "x_scribe"))
    declare(PAYMENTS, "refunds.write", "vault.open")
    act(roles.create, ACME, role("x_one", "refunds.write"), by=NICK)
    for wanted in (role("x_two", "vault.open"), role("x_three", Permitted("vault.open", PAYMENTS))):
        with refused(authority.MayNotGrant):
            roles.create(ACME, wanted, by=NICK)
        act(roles.create, ACME, wanted, by=ADAM)


def test_what_no_api_declares_cannot_be_put_into_a_role(acme: Flask) -> None:
    declare(PAYMENTS, "vault.open")
    for wanted in ("nothing.at_all", Permitted("refunds.write", PAYMENTS), Permitted("vault.open", LEDGER)):
        with refused(Invalid):
            roles.create(ACME, role("x_new", wanted), by=OLIVIA)


def test_an_organization_has_at_most_forty_custom_roles(acme: Flask) -> None:
    with database.writing():
        for number in range(roles.MOST - 2):
            roles.create(ACME, role(f"x_{number}"), by=OPERATOR)
    with refused(Conflict):
        roles.create(ACME, role("x_more"), by=OLIVIA)
    act(roles.delete, ACME, X_DESK, by=OLIVIA)
    act(roles.create, ACME, role("x_more"), by=OLIVIA)
    act(roles.create, BIRCH, role("x_more"), by=BORIS)


def test_a_key_is_used_once_at_a_time_in_an_organization_and_never_changes(acme: Flask) -> None:
    with refused(Conflict):
        roles.create(ACME, role("x_desk"), by=OLIVIA)
    with refused(Invalid):
        roles.change(ACME, X_DESK, role("x_other", "refunds.write"), by=OLIVIA)
    act(roles.create, BIRCH, role("x_desk"), by=BORIS)


@pytest.mark.rule("ORG-12")
@pytest.mark.parametrize(
    "key",
    ["", "desk", "x_", "X_desk", "x_Desk", "x__desk", "x_" + "a" * 31, "x_dé", "x_de-sk", "admin", "x_desk\n"]
    + [f"x_{reserved}" for reserved in ("owner", "admin", "super_admin", "sub", "iss", "aud", "scope", "org_id")],
)
def test_a_key_that_is_reserved_or_not_one_is_refused(key: str) -> None:
    with pytest.raises(Invalid):
        RoleSettings(key, "Desk", frozenset())


@pytest.mark.rule("ORG-12")
@pytest.mark.parametrize(
    "name",
    [
        *(
            "owner",
            "Owner",
            "Super Admin",
            "super-admin",
            "ADMIN",
            "\uff41dmin",
            " admin ",
            "sub",
            "ISS",
            "aud",
            "scope",
        ),
        *("org_id", "Org ID", "none", "operator", "", "\u202eowner", "a" * 129),
    ],
)
def test_a_name_that_is_reserved_or_not_one_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        RoleSettings("x_desk", name, frozenset())


def test_what_a_role_cannot_be_is_refused() -> None:
    for wrong in ({"at_organization": False, "at_account": False}, {"demands": "aal9"}):
        with pytest.raises(Invalid):
            RoleSettings("x_desk", "Desk", frozenset(), **wrong)
    with pytest.raises(Invalid):
        role("x_desk", Permitted("refunds.write", live=False, sandbox=False))
    with pytest.raises(Invalid):
        role("x_desk", Permitted("refunds.write", live=False), Permitted("refunds.write", sandbox=False))


@pytest.mark.rule("ORG-06")
def test_a_narrowed_role_allows_less_at_once_and_says_so(acme: Flask) -> None:
    give(to(NICK, "x_gate", at(DE)))
    assert {"refunds.write", "members.write"} <= allowed(NICK, DE)
    assert act(roles.change, ACME, X_GATE, role("x_gate", "refunds.write"), by=ADAM)
    assert "members.write" not in allowed(NICK, DE)
    assert losses() == [("role", {"org_id": ACME, "role": "x_gate"})]
    assert act(roles.change, ACME, X_GATE, role("x_gate", Permitted("refunds.write", live=False)), by=ADAM)
    assert "refunds.write" not in allowed(NICK, DE)
    assert len(losses()) == 2
    assert events(X_GATE) == ["role.created", "role.changed", "role.changed"]


def test_widening_and_renaming_lose_nothing(acme: Flask) -> None:
    wider = RoleSettings(
        "x_desk", "Service desk", role("x_desk", "refunds.write", "payouts.read").permissions, demands="aal2"
    )
    assert act(roles.change, ACME, X_DESK, wider, by=ADAM)
    assert not act(roles.change, ACME, "x_desk", wider, by=ADAM)
    assert roles.settings_of(roles.find(ACME, X_DESK)) == wider
    assert losses() == []
    assert events(X_DESK) == ["role.created", "role.changed"]


def test_what_a_role_allowed_then_can_still_be_asked(acme: Flask) -> None:
    give(to(NICK, "x_desk", at(DE)))
    then = clock.now()
    act(roles.change, ACME, X_DESK, role("x_desk", "payouts.read"), by=ADAM)
    context = Context(ACME, DE)
    names = {one.name for one in held_permissions(holder(NICK), context, past(then))}
    assert "refunds.write" in names
    assert "payouts.read" not in names


@pytest.mark.rule("ORG-07")
def test_nothing_of_a_deleted_role_applies_to_its_namesake(acme: Flask) -> None:
    give(to(NICK, "x_gate"))
    give(to(OPS, "x_gate"))
    _, link = act(invitations.invite, ACME, "zoe@example.com", [Offered("x_gate", at(DE))])
    act(roles.delete, ACME, X_GATE, by=ADAM)
    assert roles_of(NICK) == set()
    assert losses() == [("role", {"org_id": ACME, "role": "x_gate"})]
    assert events(X_GATE)[-1] == "role.deleted"
    with refused(Conflict):
        roles.create(ACME, role("x_gate"), id=X_GATE, by=OPERATOR)
    again = act(roles.create, ACME, role("x_gate", "members.write"), by=ADAM)
    assert again.id != X_GATE
    assert roles_of(NICK) == set()
    assert "members.write" not in allowed(NICK)
    assert grants.of_grantee(ACME, "mem_nick") == grants.of_grantee(ACME, OPS) == []
    with refused(InvitationVoid):
        invitations.accept(link, by=ZOE)


@pytest.mark.rule("ORG-11")
def test_another_organizations_role_cannot_be_told_from_none(acme: Flask) -> None:
    theirs = act(roles.create, BIRCH, role("x_theirs", "refunds.write"), by=BORIS).id
    for name in (theirs, "x_theirs", "role_none"):
        with refused(NotFound):
            roles.change(ACME, name, role("x_theirs"), by=OLIVIA)
        with refused(NotFound):
            roles.delete(ACME, name, by=OLIVIA)
    with refused(NotFound):
        grants.grant(to(NICK, "x_theirs"), by=OLIVIA)
    assert [one.key for one in roles.visible_in(ACME)][-2:] == ["x_desk", "x_gate"]
