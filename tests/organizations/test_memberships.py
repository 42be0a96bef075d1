"""Memberships: invited, active, suspended, removed; what revives and what does not."""

import pytest
from flask import Flask

from idp.audit.trail import Actor
from idp.organizations import authority, grants, memberships, ownership, teams
from idp.organizations.memberships import NewMember
from idp.organizations.ownership import OwnerStays
from idp.platform.errors import Conflict, Forbidden, Invalid, NotFound
from idp.users import lifecycle, users
from tests.organizations.actors import (
    ACME,
    ADAM,
    BIRCH,
    BORIS,
    DAN,
    DE,
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
    US,
    VERA,
    ZOE,
    act,
    allowed,
    at,
    give,
    grant_of,
    held,
    member,
    refused,
    roles_of,
    take,
    to,
)
from tests.traces import OPERATOR, events, losses


def status(who: Actor) -> str:
    return memberships.status_of(memberships.of_user(ACME, who.id))


def test_only_an_active_member_holds_anything(acme: Flask) -> None:
    give(to(INA, "developer"))
    assert status(INA) == "invited"
    assert roles_of(INA) == set()
    assert held(INA).member_id == ""
    for _ in range(2):
        act(memberships.accept, ACME, by=INA)
    assert status(INA) == "active"
    assert roles_of(INA) == {"developer"}
    assert events("mem_ina") == ["member.added", "member.activated"]
    assert losses() == []


def test_nobody_accepts_for_another(acme: Flask) -> None:
    with refused(NotFound):
        memberships.accept(ACME, by=ZOE)
    with refused(Forbidden):
        memberships.accept(ACME, by=HOUSE)
    with refused(Forbidden):
        memberships.accept(ACME, by=OPERATOR)
    with refused(Conflict):
        memberships.reactivate(ACME, "mem_ina", by=OLIVIA)


def test_members_are_invited_by_who_may_and_made_active_by_the_operator_alone(acme: Flask) -> None:
    for by in (DAN, MIA, GREG, VERA, NICK, INA, BORIS, ZOE):
        with refused(Forbidden):
            memberships.add(ACME, NewMember(ZOE.id, "invited"), by=by)
    for state in ("active", "suspended"):
        with refused(Forbidden):
            memberships.add(ACME, NewMember(ZOE.id, state), by=OLIVIA)
    made = act(memberships.add, ACME, NewMember(ZOE.id, "invited"), by=IRIS).id
    assert act(memberships.add, ACME, NewMember(ZOE.id, "invited"), by=IRIS).id == made
    assert events(made) == ["member.added"]
    with refused(NotFound):
        memberships.add(ACME, NewMember("usr_nobody"), by=OPERATOR)


@pytest.mark.rule("ORG-07")
def test_ids_of_memberships_are_never_used_again(acme: Flask) -> None:
    act(memberships.remove, ACME, "mem_nick")
    for taken in ("mem_nick", "mem_boris", "mem_sam"):
        with refused(Conflict):
            memberships.add(ACME, NewMember(ZOE.id, id=taken), by=OPERATOR)
    with refused(Invalid):
        memberships.add(ACME, NewMember(ZOE.id, id="usr_zoe"), by=OPERATOR)
    with refused(Conflict):
        memberships.add_many(ACME, [NewMember(ZOE.id, id="mem_x"), NewMember(BORIS.id, id="mem_x")], by=OPERATOR)


@pytest.mark.parametrize("by", [DAN, MIA, GREG, VERA, NICK, INA, BORIS, ZOE])
def test_who_does_not_administer_members_neither_suspends_nor_reactivates_nor_removes(acme: Flask, by: Actor) -> None:
    for rule in (memberships.suspend, memberships.reactivate, memberships.remove):
        with refused(Forbidden):
            rule(ACME, "mem_adam", by=by)


@pytest.mark.parametrize("name", ["mem_boris", "mem_vera_of_birch", "mem_none", "mem_nick"])
@pytest.mark.rule("ORG-11")
def test_another_organizations_member_cannot_be_told_from_none(acme: Flask, name: str) -> None:
    if name == "mem_nick":
        act(memberships.remove, ACME, name)
    for rule in (memberships.suspend, memberships.reactivate, memberships.remove):
        with refused(NotFound):
            rule(ACME, name, by=OLIVIA)


def test_of_a_suspended_membership_the_grants_alone_revive(acme: Flask) -> None:
    act(teams.add, ACME, OPS, ["mem_dan"])
    give(to(OPS, "tax_analyst", at(DE)))
    for _ in range(2):
        act(memberships.suspend, ACME, "mem_dan", by=IRIS)
    assert roles_of(DAN) == roles_of(DAN, DE) == set()
    assert losses() == [("membership", {"sub": DAN.id, "org_id": ACME})]
    for _ in range(2):
        act(memberships.reactivate, ACME, "mem_dan", by=IRIS)
    assert roles_of(DAN, DE) == {"developer", "tax_analyst"}
    assert events("mem_dan")[-2:] == ["member.suspended", "member.reactivated"]
    assert len(losses()) == 1


@pytest.mark.rule("ORG-03")
def test_nobody_is_made_a_member_by_being_suspended_and_reactivated(acme: Flask) -> None:
    give(to(INA, "view_only"))
    act(memberships.suspend, ACME, "mem_ina", by=IRIS)
    act(memberships.reactivate, ACME, "mem_ina", by=IRIS)
    assert status(INA) == "invited"
    assert roles_of(INA) == set()
    act(memberships.accept, ACME, by=INA)
    act(memberships.suspend, ACME, "mem_ina", by=IRIS)
    act(memberships.reactivate, ACME, "mem_ina", by=IRIS)
    assert roles_of(INA) == {"view_only"}


def test_who_was_deleted_is_not_taken_in(acme: Flask) -> None:
    act(lifecycle.delete, users.find(ZOE.id))
    with refused(NotFound):
        memberships.add(ACME, NewMember(ZOE.id, "invited"), by=IRIS)


@pytest.mark.rule("ORG-03")
def test_reactivating_is_granting_all_that_revives(acme: Flask) -> None:
    act(memberships.suspend, ACME, "mem_adam", by=IRIS)
    with refused(authority.MayNotGrant):
        memberships.reactivate(ACME, "mem_adam", by=IRIS)
    give(to(OPS, "admin"))
    act(teams.add, ACME, OPS, ["mem_dan"])
    act(memberships.suspend, ACME, "mem_dan", by=IRIS)
    with refused(authority.MayNotGrant):
        memberships.reactivate(ACME, "mem_dan", by=IRIS)
    act(memberships.reactivate, ACME, "mem_adam", by=SAM)
    act(memberships.reactivate, ACME, "mem_dan", by=SAM)
    assert roles_of(DAN) == {"admin", "developer"}


def test_nobody_is_reactivated_by_themselves(acme: Flask) -> None:
    act(memberships.suspend, ACME, "mem_sam", by=OLIVIA)
    with refused(Forbidden):
        memberships.reactivate(ACME, "mem_sam", by=SAM)
    with refused(Conflict):
        memberships.accept(ACME, by=SAM)


@pytest.mark.rule("ORG-07")
def test_who_is_removed_and_comes_back_begins_with_nothing(acme: Flask) -> None:
    act(teams.add, ACME, OPS, ["mem_dan"])
    give(to(OPS, "tax_analyst"))
    act(memberships.remove, ACME, "mem_dan", by=IRIS)
    assert roles_of(DAN) == set()
    assert losses() == [("membership", {"sub": DAN.id, "org_id": ACME})]
    assert events("mem_dan") == ["member.added", "team.member.added", "member.removed"]
    again = act(memberships.add, ACME, NewMember(DAN.id)).id
    assert again != "mem_dan"
    assert roles_of(DAN) == set()
    assert held(DAN).member_id == again
    assert grants.of_grantee(ACME, again) == []
    assert teams.members_of(teams.find(ACME, OPS)) == []


def test_removal_elsewhere_is_not_noticed(acme: Flask) -> None:
    act(memberships.remove, ACME, "mem_vera", by=OLIVIA)
    assert roles_of(VERA, organization_id=BIRCH) == {"developer"}


def test_everybody_may_leave(acme: Flask) -> None:
    for who in (NICK, VERA, SAM):
        act(memberships.remove, ACME, member(who), by=who)
        assert roles_of(who) == set()
    act(memberships.remove, ACME, "mem_ina", by=INA)
    act(memberships.suspend, ACME, "mem_dan", by=OLIVIA)
    act(memberships.remove, ACME, "mem_dan", by=DAN)
    with refused(Forbidden):
        memberships.remove(ACME, "mem_mia", by=GREG)


@pytest.mark.rule("ORG-04")
@pytest.mark.parametrize("by", [OLIVIA, SAM, IRIS, OPERATOR])
def test_the_owner_is_neither_suspended_nor_removed_nor_leaves(acme: Flask, by: Actor) -> None:
    with refused(OwnerStays):
        memberships.suspend(ACME, "mem_olivia", by=by)
    with refused(OwnerStays):
        memberships.remove(ACME, "mem_olivia", by=by)
    assert roles_of(OLIVIA) == {"super_admin"}


def test_iam_admins_remove_anybody_but_the_owner(acme: Flask) -> None:
    act(memberships.remove, ACME, "mem_sam", by=IRIS)
    act(memberships.suspend, ACME, "mem_adam", by=IRIS)
    assert roles_of(SAM) == roles_of(ADAM) == set()


def test_members_write_on_an_account_reaches_the_grants_there_and_nothing_else(acme: Flask) -> None:
    assert allowed(MIA, DE) >= {"members.read", "members.write"}
    assert "members.write" not in allowed(MIA) | allowed(MIA, US)
    take(give(to(NICK, "developer", at(DE))), by=MIA)
    for elsewhere in (grant_of(DAN, "developer"), give(to(NICK, "developer", at(US)))):
        with refused(Forbidden):
            grants.end(ACME, elsewhere, by=MIA)
    for rule in (memberships.suspend, memberships.remove):
        with refused(Forbidden):
            rule(ACME, "mem_nick", by=MIA)


def test_a_deleted_person_is_a_member_no_more(acme: Flask) -> None:
    act(lifecycle.delete, users.find(VERA.id))
    for organization_id in (ACME, BIRCH):
        with pytest.raises(NotFound):
            memberships.of_user(organization_id, VERA.id)
    assert {tuple(match) for _, match in losses()} == {("sub",), ("org_id", "sub")}
    assert events("mem_vera")[-1] == events("mem_vera_of_birch")[-1] == "member.removed"


def test_a_deputy_who_leaves_is_deputy_no_more(acme: Flask) -> None:
    act(ownership.name_deputy, ACME, "mem_sam", by=OLIVIA)
    act(memberships.remove, ACME, "mem_sam", by=SAM)
    assert ownership.deputy_of(ACME) is None
    assert events(ACME)[-1] == "organization.deputy.removed"


def test_the_members_of_many_are_found_at_once(acme: Flask) -> None:
    assert memberships.of_users(ACME, [OLIVIA.id, BORIS.id, ZOE.id]) == {OLIVIA.id: "mem_olivia"}
    assert grants.of_grantee(ACME, ROBOT) == []
