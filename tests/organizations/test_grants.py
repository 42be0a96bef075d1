"""Role grants: made once, ended never edited; expiry, cooling-off, scopes and sources."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from idp.clients import clients
from idp.organizations import account_groups, grants, memberships, ownership, policies, roles, teams
from idp.organizations.effective import Context, Moment, effective_roles, past
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.models import RoleGrant
from idp.organizations.policies import PolicySettings
from idp.organizations.roles import RoleSettings
from idp.organizations.scopes import Scope
from idp.platform import clock, database
from idp.platform.errors import Forbidden, Invalid, NotFound
from tests.organizations.actors import (
    ACME,
    BIRCH,
    BOX,
    CREW,
    DAN,
    DE,
    DRONE,
    EU,
    GREG,
    HOUSE,
    IRIS,
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
    ZOE,
    act,
    at,
    crowd,
    give,
    grant_of,
    held,
    holder,
    refused,
    roles_of,
    state,
    take,
    to,
)
from tests.traces import OPERATOR, events, losses


@pytest.fixture
def watch() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC), tick=False) as traveller:
        yield traveller


def test_a_role_counts_at_its_scope_and_below(acme: Flask) -> None:
    give(to(NICK, "analyst"), by=IRIS)
    give(to(NICK, "tax_analyst", at(DE)), by=MIA)
    give(to(NICK, "refund_analyst", at(EU)), by=GREG)
    assert roles_of(NICK) == roles_of(NICK, US) == roles_of(NICK, BOX) == {"analyst"}
    assert roles_of(NICK, DE) == {"analyst", "tax_analyst", "refund_analyst"}
    there = held(NICK, DE)
    assert there.organization_roles == {"analyst"}
    assert there.account_roles == {"tax_analyst", "refund_analyst"}
    assert losses() == []


def test_a_grant_says_who_made_it_why_and_when(acme: Flask, watch: time_machine.Traveller) -> None:
    made = act(grants.grant, to(NICK, "analyst", at(DE), reason="quarter"), by=MIA)
    assert (made.made_by, made.reason, made.source) == (MIA.id, "quarter", "manual")
    assert made.started_at == made.effective_from == made.confirmed_at == clock.now()
    assert events(made.id) == ["grant.made"]


def test_granting_twice_changes_nothing(acme: Flask) -> None:
    wanted = to(NICK, "analyst", at(DE))
    first = give(wanted)
    before = state()
    assert give(wanted, by=MIA) == first
    with database.writing():
        assert grants.grant_many([wanted, wanted], by=OPERATOR) == 0
        assert grants.grant_many([], by=OPERATOR) == 0
    assert state() == before


def test_two_sources_may_say_the_same_and_each_ends_its_own(acme: Flask) -> None:
    by_hand, by_api = give(to(NICK, "analyst")), give(to(NICK, "analyst"), source="api")
    assert by_hand != by_api
    take(by_api)
    assert roles_of(NICK) == {"analyst"}
    take(by_hand)
    assert roles_of(NICK) == set()


@pytest.mark.rule("ORG-06")
def test_a_grant_that_ended_counts_no_more_at_once(acme: Flask) -> None:
    grant = give(to(NICK, "analyst", at(DE)))
    for _ in range(2):
        take(grant, by=MIA)
    assert roles_of(NICK, DE) == set()
    assert losses() == [("grant", {"sub": NICK.id, "org_id": ACME, "account_id": DE})]
    assert events(grant) == ["grant.made", "grant.ended"]
    assert give(to(NICK, "analyst", at(DE))) != grant


def test_other_terms_end_the_grant_and_make_another(acme: Flask, watch: time_machine.Traveller) -> None:
    first = give(to(NICK, "analyst"))
    until = clock.now() + clock.HOUR
    watch.shift(1)
    second = give(to(NICK, "analyst", expires_at=until))
    assert first != second
    assert held(NICK).expires_at == until
    [live] = grants.of_grantee(ACME, "mem_nick")
    assert live.id == second
    assert events(first) == ["grant.made", "grant.ended"]


def test_a_grant_expires_by_itself(acme: Flask, watch: time_machine.Traveller) -> None:
    give(to(NICK, "analyst", expires_at=clock.now() + clock.HOUR))
    watch.shift(3_599)
    assert roles_of(NICK) == {"analyst"}
    watch.shift(1)
    assert roles_of(NICK) == set()
    assert losses() == []
    for late in (clock.now(), clock.now() - 1):
        with refused(Invalid):
            grants.grant(to(NICK, "analyst", expires_at=late), by=OLIVIA)


def test_an_expired_grant_can_be_given_again(acme: Flask, watch: time_machine.Traveller) -> None:
    give(to(NICK, "analyst", expires_at=clock.now() + clock.HOUR))
    watch.shift(3_600)
    give(to(NICK, "analyst"))
    assert roles_of(NICK) == {"analyst"}


def test_a_sensitive_role_cools_off_where_the_policy_says_so(acme: Flask, watch: time_machine.Traveller) -> None:
    act(policies.change, ACME, PolicySettings(cooling_off=7_200))
    give(to(NICK, "developer"), by=OLIVIA)
    give(to(NICK, "view_only"), by=OLIVIA)
    give(to(MIA, "developer"))
    assert roles_of(NICK) == {"view_only"}
    assert roles_of(MIA) == {"developer"}  # on the operator's word nothing waits
    watch.shift(7_199)
    assert roles_of(NICK) == {"view_only"}
    watch.shift(1)
    assert roles_of(NICK) == {"view_only", "developer"}


def test_what_cools_off_is_the_grant_and_nothing_that_leads_to_it(acme: Flask, watch: time_machine.Traveller) -> None:
    act(policies.change, ACME, PolicySettings(cooling_off=3_600))
    give(to(OPS, "developer", at(EU)), by=OLIVIA)
    act(teams.add, ACME, OPS, ["mem_vera"])
    act(policies.change, ACME, PolicySettings(cooling_off=0))
    watch.shift(3_599)
    assert roles_of(VERA, DE) == {"view_only"}
    watch.shift(1)
    assert roles_of(VERA, DE) == {"view_only", "developer"}
    act(policies.change, ACME, PolicySettings(cooling_off=3_600))
    act(teams.add, ACME, OPS, ["mem_nick"])
    act(account_groups.add, ACME, EU, [US])
    assert roles_of(NICK, DE) == roles_of(NICK, US) == {"developer"}
    act(ownership.transfer, ACME, "mem_nick")
    assert "super_admin" in roles_of(NICK)
    give(to(OPS, "developer", at(EU), expires_at=clock.now() + clock.DAY), by=SAM)
    assert roles_of(NICK, US) == {"super_admin"}


def test_what_was_held_then_can_still_be_asked(acme: Flask, watch: time_machine.Traveller) -> None:
    grant = give(to(NICK, "analyst", at(DE), expires_at=clock.now() + clock.HOUR))
    made = clock.now()
    watch.shift(60)
    take(grant)
    ended = clock.now()
    context = Context(ACME, DE)
    asked = {
        instant: effective_roles(holder(NICK), context, past(instant)).roles
        for instant in (made - 1, made, ended - 1, ended)
    }
    assert list(asked.values()) == [set(), {"analyst"}, {"analyst"}, set()]
    assert effective_roles(holder(NICK), context, Moment(made, made + clock.HOUR)).roles == set()


def test_grants_to_teams_and_clients(acme: Flask) -> None:
    act(teams.add, ACME, OPS, ["mem_nick"])
    give(to(OPS, "analyst", at(DE)))
    for client in (ROBOT, SHARED):
        give(to(client, "developer", at(EU)))
    assert roles_of(NICK, DE) == {"analyst"}
    assert roles_of(HOUSE, DE) == {"developer"}
    assert roles_of(HOUSE) == set()


def test_of_an_api_client_the_loss_names_its_id(acme: Flask) -> None:
    take(give(to(ROBOT, "developer")))
    take(give(to(ROBOT, "developer", at(DE))))
    assert losses() == [
        ("grant", {"sub": ROBOT, "org_id": ACME}),
        ("grant", {"sub": ROBOT, "org_id": ACME, "account_id": DE}),
    ]


def test_a_role_is_granted_only_where_it_is_assignable(acme: Flask) -> None:
    act(roles.create, ACME, RoleSettings("x_top", "Top", frozenset(), at_account=False))
    act(roles.create, ACME, RoleSettings("x_low", "Low", frozenset(), at_organization=False))
    for key, scope in (("x_top", DE), ("x_top", EU), ("x_low", ACME)):
        with refused(Invalid):
            grants.grant(to(NICK, key, at(scope)), by=OPERATOR)
    for key, scope in (("x_top", ACME), ("x_low", DE), ("x_low", EU)):
        give(to(NICK, key, at(scope)))


def test_who_is_gone_is_given_nothing(acme: Flask) -> None:
    act(memberships.remove, ACME, "mem_nick")
    act(teams.delete, ACME, OPS)
    act(clients.delete, clients.named(ROBOT))
    for grantee in (NICK, OPS, ROBOT):
        with refused(NotFound):
            grants.grant(to(grantee, "analyst"), by=OPERATOR)


def test_one_act_says_one_thing(acme: Flask) -> None:
    soon = clock.now() + clock.HOUR
    with refused(Invalid):
        grants.grant_many([to(NICK, "analyst"), to(NICK, "analyst", expires_at=soon)], by=OPERATOR)
    with pytest.raises(ValueError, match="several organizations"), database.writing():
        grants.grant_many([to(NICK, "analyst"), to(NICK, "analyst", at(BIRCH))], by=OPERATOR)
    with database.writing():
        assert grants.grant_many([to(NICK, "analyst", reason="a"), to(NICK, "analyst", reason="b")], by=OPERATOR) == 1


def test_of_many_grants_all_are_made_or_none(acme: Flask) -> None:
    with refused(Forbidden):
        grants.grant_many([to(NICK, "analyst"), to(NICK, "admin")], by=IRIS)
    with refused(NotFound):
        grants.grant_many([to(NICK, "analyst"), to(NICK, "unknown")], by=OLIVIA)


@pytest.mark.rule("ORG-11")
def test_another_organizations_grantee_role_scope_or_grant_cannot_be_told_from_none(acme: Flask) -> None:
    for grantee in (
        Grantee("member", "mem_boris"),
        Grantee("member", "mem_none"),
        Grantee("team", CREW),
        Grantee("client", DRONE),
        Grantee("client", "app_none"),
    ):
        with refused(NotFound):
            grants.grant(Wanted(grantee, "analyst", at(DE)), by=OLIVIA)
    theirs = give(Wanted(Grantee("member", "mem_bea"), "analyst", at(OSLO)))
    for name in (theirs, "grant_none"):
        with refused(NotFound):
            grants.end(ACME, name, by=OLIVIA)
        with pytest.raises(NotFound):
            grants.find(ACME, name)


@pytest.mark.rule("ORG-11")
def test_a_scope_put_together_from_two_organizations_is_refused(acme: Flask) -> None:
    oslo, north = at(OSLO), at(NORTH)
    for forged in (
        Scope(ACME, oslo.placement_id, OSLO, livemode=True),
        Scope(ACME, account_group_id=north.account_group_id),
    ):
        with refused(IntegrityError):
            grants.grant(to(NICK, "analyst", forged), by=OPERATOR)
        with refused(Forbidden):
            grants.grant(to(NICK, "analyst", forged), by=SAM if forged.account_id else MIA)


def test_ending_takes_members_write_at_the_scope(acme: Flask) -> None:
    on_all, on_group = grant_of(DAN, "developer"), give(to(NICK, "developer", at(EU)))
    for grant in (on_all, on_group):
        for by in (DAN, MIA, NICK, ZOE):
            with refused(Forbidden):
                grants.end(ACME, grant, by=by)
    take(on_group, by=GREG)
    take(on_all, by=IRIS)


def test_a_loss_that_reaches_more_than_a_hundred_people_names_the_role(acme: Flask) -> None:
    act(teams.add, ACME, OPS, crowd(101))
    take(give(to(OPS, "tax_analyst", at(DE))))
    assert losses() == [("grant", {"org_id": ACME, "role": "tax_analyst"})]


def test_every_grant_stays_in_the_table(acme: Flask) -> None:
    grant = give(to(NICK, "analyst"))
    take(grant)
    row = database.session().scalars(select(RoleGrant).where(RoleGrant.id == grant)).one()
    assert row.ended_at is not None
    assert grants.find(ACME, grant).id == grant
