"""The owner, who always remains; the deputy, who follows."""

import pytest
from flask import Flask
from sqlalchemy import func, select

from idp.audit.trail import Actor
from idp.organizations import grants, memberships, organizations, ownership, succession
from idp.organizations.models import Ownership
from idp.organizations.ownership import NotUsable, OwnerOnly, OwnerStays
from idp.platform import database
from idp.platform.errors import Conflict, Forbidden, NotFound
from idp.users import lifecycle, users
from tests.organizations.actors import (
    ACME,
    ADAM,
    BIRCH,
    BORIS,
    HOUSE,
    IRIS,
    NICK,
    OLIVIA,
    SAM,
    VERA,
    ZOE,
    act,
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

UPSTREAM = Actor("directory", "dir_1")


def owner() -> str:
    database.session().rollback()
    return ownership.owner_of(ACME).member_id


def owners() -> int:
    database.session().rollback()
    live = select(func.count()).where(Ownership.organization_id == ACME, Ownership.ended_at.is_(None))
    return database.session().execute(live).scalar_one()


@pytest.mark.parametrize("by", [OLIVIA, OPERATOR])
def test_ownership_passes_to_another_member_who_is_super_admin_by_it(acme: Flask, by: Actor) -> None:
    act(ownership.transfer, ACME, "mem_nick", by=by)
    act(ownership.transfer, ACME, "mem_nick", by=OPERATOR)
    assert owner() == "mem_nick"
    assert owners() == 1
    assert roles_of(NICK) == {"super_admin"}
    assert roles_of(OLIVIA) == set()
    assert losses() == [("grant", {"sub": OLIVIA.id, "org_id": ACME})]
    assert events(ACME).count("organization.owner.changed") == 2


def test_the_former_owner_keeps_what_was_granted(acme: Flask) -> None:
    give(to(OLIVIA, "super_admin"))
    act(ownership.transfer, ACME, "mem_nick", by=OLIVIA)
    assert roles_of(OLIVIA) == {"super_admin"}


@pytest.mark.rule("ORG-03")
@pytest.mark.parametrize("by", [SAM, ADAM, IRIS, NICK, BORIS, ZOE, HOUSE])
def test_nobody_but_the_owner_passes_ownership_on_or_names_a_deputy(acme: Flask, by: Actor) -> None:
    with refused(OwnerOnly):
        ownership.transfer(ACME, "mem_sam", by=by)
    with refused(OwnerOnly):
        ownership.name_deputy(ACME, "mem_sam", by=by)


@pytest.mark.rule("ORG-03")
def test_the_former_owner_cannot_take_it_back(acme: Flask) -> None:
    give(to(OLIVIA, "super_admin"))
    act(ownership.transfer, ACME, "mem_sam", by=OLIVIA)
    with refused(OwnerOnly):
        ownership.transfer(ACME, "mem_olivia", by=OLIVIA)


@pytest.mark.rule("ORG-04")
def test_whoever_cannot_act_does_not_become_owner(acme: Flask) -> None:
    act(memberships.suspend, ACME, "mem_adam")
    act(lifecycle.disable, users.find(SAM.id))
    act(memberships.remove, ACME, "mem_nick")
    for unable in ("mem_adam", "mem_sam", "mem_nick", "mem_ina"):
        with refused(NotUsable):
            ownership.transfer(ACME, unable, by=OLIVIA)
    for unknown in ("mem_boris", "mem_none"):
        with refused(NotFound):
            ownership.transfer(ACME, unknown, by=OLIVIA)


@pytest.mark.rule("ORG-04")
def test_the_owner_is_neither_disabled_nor_deleted(acme: Flask) -> None:
    for rule in (lifecycle.disable, lifecycle.delete):
        with refused(OwnerStays):
            rule(users.find(OLIVIA.id), by=OPERATOR)
    act(ownership.transfer, ACME, "mem_sam", by=OLIVIA)
    act(lifecycle.disable, users.find(OLIVIA.id))
    with refused(OwnerStays):
        lifecycle.disable(users.find(SAM.id), by=OPERATOR)


@pytest.mark.rule("ORG-04")
def test_the_owner_is_not_demoted(acme: Flask) -> None:
    take(give(to(OLIVIA, "super_admin")), by=SAM)
    assert roles_of(OLIVIA) == {"super_admin"}
    assert grants.of_grantee(ACME, "mem_olivia") == []


def test_the_deputy_is_another_super_admin(acme: Flask) -> None:
    for unfit in ("mem_olivia", "mem_adam", "mem_nick", "mem_ina"):
        with refused(NotUsable):
            ownership.name_deputy(ACME, unfit, by=OLIVIA)
    for unknown in ("mem_boris", "mem_none"):
        with refused(NotFound):
            ownership.name_deputy(ACME, unknown, by=OLIVIA)
    for _ in range(2):
        act(ownership.name_deputy, ACME, "mem_sam", by=OLIVIA)
    deputy = ownership.deputy_of(ACME)
    assert deputy
    assert deputy.member_id == "mem_sam"
    assert roles_of(SAM) == {"super_admin"}
    for _ in range(2):
        act(ownership.name_deputy, ACME, None, by=OLIVIA)
    assert ownership.deputy_of(ACME) is None
    assert events(ACME).count("organization.deputy.named") == 2


def test_a_deputy_who_becomes_owner_is_deputy_no_more(acme: Flask) -> None:
    act(ownership.name_deputy, ACME, "mem_sam", by=OLIVIA)
    act(ownership.transfer, ACME, "mem_sam", by=OLIVIA)
    assert ownership.deputy_of(ACME) is None
    assert owner() == "mem_sam"


@pytest.mark.rule("ORG-04")
def test_the_deputy_follows_an_owner_whom_a_directory_deactivates(acme: Flask) -> None:
    act(ownership.name_deputy, ACME, "mem_sam", by=OLIVIA)
    act(succession.deactivated_upstream, ACME, "mem_olivia", by=UPSTREAM)
    assert owner() == "mem_sam"
    assert owners() == 1
    assert roles_of(OLIVIA) == set()
    assert memberships.status_of(memberships.of_user(ACME, OLIVIA.id)) == "suspended"
    assert events(ACME)[-1] == "organization.owner.succeeded"
    assert events("mem_olivia")[-1] == "member.suspended"
    assert losses() == [
        ("grant", {"sub": OLIVIA.id, "org_id": ACME}),
        ("membership", {"sub": OLIVIA.id, "org_id": ACME}),
    ]


@pytest.mark.rule("ORG-04")
@pytest.mark.parametrize("unable", ["unnamed", "suspended", "disabled", "demoted"])
def test_without_a_usable_deputy_the_owner_stays(acme: Flask, unable: str) -> None:
    if unable != "unnamed":
        act(ownership.name_deputy, ACME, "mem_sam", by=OLIVIA)
    if unable == "suspended":
        act(memberships.suspend, ACME, "mem_sam")
    elif unable == "disabled":
        act(lifecycle.disable, users.find(SAM.id))
    elif unable == "demoted":
        take(grant_of(SAM, "super_admin"))
    with refused(Conflict):
        succession.deactivated_upstream(ACME, "mem_olivia", by=UPSTREAM)


def test_anybody_else_is_deactivated_like_anyone(acme: Flask) -> None:
    for _ in range(2):
        act(succession.deactivated_upstream, ACME, "mem_adam", by=UPSTREAM)
    assert roles_of(ADAM) == set()
    assert losses() == [("membership", {"sub": ADAM.id, "org_id": ACME})]
    with refused(NotFound):
        succession.deactivated_upstream(ACME, "mem_boris", by=UPSTREAM)


@pytest.mark.rule("ORG-10")
def test_ownership_counts_for_nothing_while_the_organization_is_suspended(acme: Flask) -> None:
    act(organizations.suspend, ACME)
    assert roles_of(OLIVIA) == set()
    with refused(Forbidden):
        memberships.suspend(ACME, "mem_nick", by=OLIVIA)


def test_who_owns_one_organization_is_a_guest_in_another(acme: Flask) -> None:
    act(ownership.transfer, BIRCH, "mem_vera_of_birch")
    assert roles_of(VERA, organization_id=BIRCH) == {"super_admin", "developer"}
    assert roles_of(VERA) == {"view_only"}
    assert held(VERA).member_id == member(VERA)


def test_there_is_no_owner_of_nothing(acme: Flask) -> None:
    for rule in (ownership.transfer, ownership.name_deputy):
        with refused(NotFound):
            rule("org_none", "mem_sam", by=OPERATOR)
    with pytest.raises(NotFound):
        ownership.owner_of("org_none")
