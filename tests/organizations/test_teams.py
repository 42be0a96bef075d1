"""Teams: named sets of members that roles are granted to."""

import pytest
from flask import Flask

from idp.audit.trail import Actor
from idp.organizations import grants, teams
from idp.organizations.authority import MayNotGrant
from idp.organizations.gains import WouldGain
from idp.organizations.teams import TeamSettings
from idp.platform.errors import Conflict, Forbidden, Invalid, NotFound
from tests.organizations.actors import (
    ACME,
    ADAM,
    BORIS,
    CREW,
    DAN,
    DE,
    EU,
    GREG,
    INA,
    IRIS,
    MIA,
    NICK,
    OLIVIA,
    OPS,
    US,
    VERA,
    ZOE,
    act,
    at,
    crowd,
    give,
    refused,
    roles_of,
    to,
)
from tests.traces import OPERATOR, events, losses


def test_a_role_of_a_team_reaches_whoever_is_in_it(acme: Flask) -> None:
    give(to(OPS, "tax_analyst"))
    give(to(OPS, "analyst", at(EU)))
    assert act(teams.add, ACME, OPS, ["mem_nick", "mem_vera", "mem_nick"], by=IRIS) == 2
    assert act(teams.add, ACME, OPS, ["mem_nick"], by=IRIS) == 0
    assert roles_of(NICK) == roles_of(NICK, US) == {"tax_analyst"}
    assert roles_of(NICK, DE) == {"tax_analyst", "analyst"}
    assert roles_of(VERA) == {"view_only", "tax_analyst"}
    assert events("mem_nick") == ["member.added", "team.member.added"]
    assert losses() == []


def test_who_leaves_a_team_loses_what_it_brought(acme: Flask) -> None:
    give(to(OPS, "tax_analyst"))
    act(teams.add, ACME, OPS, ["mem_nick", "mem_vera"])
    for _ in range(2):
        act(teams.remove, ACME, OPS, "mem_nick", by=IRIS)
    assert roles_of(NICK) == set()
    assert roles_of(VERA) == {"view_only", "tax_analyst"}
    assert losses() == [("grant", {"sub": NICK.id, "org_id": ACME})]
    assert events("mem_nick")[2:] == ["team.member.removed"]


def test_in_a_team_too_only_active_members_hold_anything(acme: Flask) -> None:
    give(to(OPS, "tax_analyst"))
    act(teams.add, ACME, OPS, ["mem_ina"])
    assert roles_of(INA) == set()


@pytest.mark.parametrize("by", [DAN, MIA, GREG, NICK, ZOE, BORIS])
def test_nobody_else_changes_teams(acme: Flask, by: Actor) -> None:
    with refused(Forbidden):
        teams.create(ACME, TeamSettings("new", "New"), by=by)
    with refused(Forbidden):
        teams.reconfigure(ACME, OPS, TeamSettings("new", "New"), by=by)
    with refused(Forbidden):
        teams.add(ACME, OPS, ["mem_nick"], by=by)
    with refused(Forbidden):
        teams.remove(ACME, OPS, "mem_nick", by=by)
    with refused(Forbidden):
        teams.delete(ACME, OPS, by=by)


def test_a_team_is_renamed_and_keeps_its_id(acme: Flask) -> None:
    assert act(teams.reconfigure, ACME, "ops", TeamSettings("run", "Run"), by=IRIS)
    assert not act(teams.reconfigure, ACME, OPS, TeamSettings("run", "Run"), by=IRIS)
    assert teams.find(ACME, "run").id == OPS
    assert events(OPS) == ["team.created", "team.changed"]
    act(teams.create, ACME, TeamSettings("ops", "Operations"), by=IRIS)
    with refused(Conflict):
        teams.reconfigure(ACME, OPS, TeamSettings("ops", "Run"), by=IRIS)
    with refused(Conflict):
        teams.create(ACME, TeamSettings("run", "Run"), by=IRIS)
    for wrong in (
        TeamSettings("", "Run"),
        TeamSettings("a b", "Run"),
        TeamSettings("team_ops", "Run"),
        TeamSettings("a", " "),
    ):
        with refused(Invalid):
            teams.create(ACME, wrong, by=IRIS)


@pytest.mark.rule("ORG-07")
def test_nothing_of_a_deleted_team_applies_to_its_namesake(acme: Flask) -> None:
    give(to(OPS, "tax_analyst"))
    act(teams.add, ACME, OPS, ["mem_nick"])
    act(teams.delete, ACME, OPS, by=IRIS)
    assert roles_of(NICK) == set()
    assert losses() == [("grant", {"sub": NICK.id, "org_id": ACME})]
    assert events(OPS)[-1] == "team.deleted"
    with refused(Conflict):
        teams.create(ACME, TeamSettings("ops", "Operations"), id=OPS, by=OPERATOR)
    again = act(teams.create, ACME, TeamSettings("ops", "Operations"), by=IRIS)
    assert teams.members_of(again) == []
    assert grants.of_grantee(ACME, again.id) == []
    with refused(NotFound):
        teams.add(ACME, OPS, ["mem_nick"], by=IRIS)


@pytest.mark.rule("ORG-03")
def test_putting_somebody_into_a_team_is_granting_all_its_roles(acme: Flask) -> None:
    give(to(OPS, "admin", at(DE)))
    with refused(MayNotGrant):
        teams.add(ACME, OPS, ["mem_nick"], by=IRIS)
    act(teams.add, ACME, OPS, ["mem_nick"], by=OLIVIA)
    assert roles_of(NICK, DE) == {"admin"}


@pytest.mark.rule("ORG-03")
def test_nobody_joins_a_team_through_which_they_gain(acme: Flask) -> None:
    give(to(OPS, "developer"))
    for by in (IRIS, ADAM):
        with refused(WouldGain):
            teams.add(ACME, OPS, [by.id.replace("usr_", "mem_"), "mem_nick"], by=by)
    act(teams.add, ACME, OPS, ["mem_dan"], by=IRIS)
    assert roles_of(IRIS) == {"iam_admin"}


@pytest.mark.rule("ORG-11")
def test_another_organizations_team_or_member_cannot_be_told_from_none(acme: Flask) -> None:
    for team, name in ((OPS, "mem_boris"), (OPS, "mem_none"), (CREW, "mem_nick"), (CREW, "mem_boris")):
        with refused(NotFound):
            teams.add(ACME, team, [name], by=OLIVIA)
    with refused(NotFound):
        teams.remove(ACME, CREW, "mem_boris", by=OLIVIA)
    with refused(NotFound):
        teams.delete(ACME, "crew", by=OLIVIA)
    act(teams.remove, ACME, OPS, "mem_boris", by=OLIVIA)
    assert events("mem_boris") == ["member.added"]


def test_a_loss_that_reaches_more_than_a_hundred_people_is_told_once(acme: Flask) -> None:
    people = crowd(101)
    give(to(OPS, "tax_analyst", at(DE)))
    second = give(to(OPS, "x_desk"))
    act(teams.add, ACME, OPS, people[:100])
    act(grants.end, ACME, second)
    assert len(losses()) == 100
    assert losses()[0][1].keys() == {"sub", "org_id"}
    act(teams.add, ACME, OPS, people[100:])
    act(teams.delete, ACME, OPS)
    assert losses()[100:] == [("grant", {"org_id": ACME, "role": "tax_analyst"})]
