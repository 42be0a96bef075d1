"""Two at once: whatever the order, only outcomes of one after the other are possible, and an owner remains."""

import threading
import time
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select

from idp.audit.trail import Actor
from idp.clients import clients
from idp.clients.clients import ClientSettings
from idp.organizations import (
    account_groups,
    accounts,
    grants,
    invitations,
    locking,
    memberships,
    moves,
    organizations,
    ownership,
    roles,
    succession,
    teams,
)
from idp.organizations.accounts import AccountSettings, NewAccount
from idp.organizations.authority import MayNot, MayNotGrant
from idp.organizations.gains import WouldGain
from idp.organizations.invitations import InvitationVoid, Offered
from idp.organizations.memberships import NewMember
from idp.organizations.models import Ownership, RoleGrant
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.ownership import NotUsable, OwnerOnly, OwnerStays
from idp.platform import database
from idp.platform.errors import Conflict, NotFound, Refusal
from idp.users import lifecycle, users
from tests.organizations.actors import (
    ACME,
    BEA,
    BIRCH,
    BORIS,
    DE,
    EU,
    IRIS,
    MIA,
    NICK,
    OLIVIA,
    OPS,
    SAM,
    X_DESK,
    ZOE,
    act,
    at,
    at_once,
    give,
    grant_of,
    overlapping,
    role,
    roles_of,
    to,
)
from tests.traces import OPERATOR, losses

Rule = Callable[[], object]


def in_both_orders(app: Flask, one: Rule, other: Rule, *, reverse: bool) -> tuple[object, object]:
    """What `one` and `other` came to, where the second begins before the first has committed."""
    if not reverse:
        return overlapping(app, one, other)
    second, first = overlapping(app, other, one)
    return first, second


both_orders = pytest.mark.parametrize("reverse", [False, True], ids=["", "reverse"])


def require_usable_owner() -> None:
    """One owner there is, and they can act."""
    database.session().rollback()
    live = select(Ownership.member_id).where(Ownership.organization_id == ACME, Ownership.ended_at.is_(None))
    [member_id] = database.session().scalars(live)
    user_id = memberships.find(ACME, member_id).user_id
    assert roles_of(Actor("user", user_id)) >= {"super_admin"}


@pytest.mark.rule("ORG-03")
@both_orders
def test_of_two_who_demote_each_other_one_does(acme: Flask, reverse: bool) -> None:
    give(to(NICK, "super_admin"))
    sams, nicks = grant_of(SAM, "super_admin"), grant_of(NICK, "super_admin")
    by_sam, by_nick = in_both_orders(
        acme,
        lambda: grants.end(ACME, nicks, by=SAM),
        lambda: grants.end(ACME, sams, by=NICK),
        reverse=reverse,
    )
    assert (by_sam is None, by_nick is None) == (not reverse, reverse)
    assert isinstance(by_nick if not reverse else by_sam, MayNot)
    assert {who.id for who in (SAM, NICK) if roles_of(who)} == {(NICK if reverse else SAM).id}


@pytest.mark.rule("ORG-03")
@both_orders
def test_a_right_that_is_just_being_taken_away_grants_only_before(acme: Flask, reverse: bool) -> None:
    irises = grant_of(IRIS, "iam_admin")
    ended, granted = in_both_orders(
        acme,
        lambda: grants.end(ACME, irises, by=OLIVIA),
        lambda: grants.grant_many([to(NICK, "developer")], by=IRIS),
        reverse=reverse,
    )
    assert ended is None
    assert granted == 1 if reverse else isinstance(granted, MayNot)
    assert bool(roles_of(NICK)) == reverse


@pytest.mark.rule("ORG-03")
@both_orders
def test_a_role_that_is_just_growing_is_granted_only_before(acme: Flask, reverse: bool) -> None:
    grown, granted = in_both_orders(
        acme,
        lambda: roles.change(ACME, X_DESK, role("x_desk", "refunds.write", "members.write"), by=OLIVIA),
        lambda: grants.grant_many([to(NICK, "x_desk", at(DE))], by=MIA),
        reverse=reverse,
    )
    assert grown is True
    assert granted == 1 if reverse else isinstance(granted, MayNotGrant)


@pytest.mark.rule("ORG-03")
@both_orders
def test_nobody_joins_a_team_that_is_just_being_given_a_role(acme: Flask, reverse: bool) -> None:
    granted, joined = in_both_orders(
        acme,
        lambda: grants.grant_many([to(OPS, "developer")], by=OLIVIA),
        lambda: teams.add(ACME, OPS, ["mem_iris"], by=IRIS),
        reverse=reverse,
    )
    assert granted == 1
    assert joined == 1 if reverse else isinstance(joined, WouldGain)
    assert (roles_of(IRIS) == {"iam_admin"}) != reverse


@pytest.mark.rule("ORG-04")
@both_orders
def test_ownership_passes_or_the_next_owner_is_removed(acme: Flask, reverse: bool) -> None:
    passed, removed = in_both_orders(
        acme,
        lambda: ownership.transfer(ACME, "mem_nick", by=OLIVIA),
        lambda: memberships.remove(ACME, "mem_nick", by=IRIS),
        reverse=reverse,
    )
    if reverse:
        assert removed is None
        assert isinstance(passed, NotUsable)
    else:
        assert passed is None
        assert isinstance(removed, OwnerStays)
    require_usable_owner()


@pytest.mark.rule("ORG-04")
@both_orders
def test_ownership_passes_or_the_next_owner_is_suspended(acme: Flask, reverse: bool) -> None:
    passed, suspended = in_both_orders(
        acme,
        lambda: ownership.transfer(ACME, "mem_nick", by=OLIVIA),
        lambda: memberships.suspend(ACME, "mem_nick", by=IRIS),
        reverse=reverse,
    )
    assert (passed is None) != (suspended is None)
    require_usable_owner()


@pytest.mark.rule("ORG-04")
@pytest.mark.parametrize("rule", [lifecycle.disable, lifecycle.delete], ids=["disabled", "deleted"])
@both_orders
def test_ownership_passes_or_the_next_owner_is_gone(acme: Flask, rule: Callable[..., None], reverse: bool) -> None:
    passed, gone = in_both_orders(
        acme,
        lambda: ownership.transfer(ACME, "mem_nick", by=OLIVIA),
        lambda: rule(users.find(NICK.id), by=OPERATOR),
        reverse=reverse,
    )
    if reverse:
        assert gone is None
        assert isinstance(passed, NotUsable)
    else:
        assert passed is None
        assert isinstance(gone, OwnerStays)
    require_usable_owner()


def test_who_deletes_a_person_and_who_makes_them_owner_do_not_wait_for_each_other(acme: Flask) -> None:
    begun = threading.Event()

    def passes() -> None:
        with database.writing():
            locking.lock(ACME)
            begun.set()
            time.sleep(0.3)  # the other has come as far as it can by then
            ownership.transfer(ACME, "mem_nick", by=OLIVIA)

    def deletes() -> None:
        begun.wait()
        act(lifecycle.delete, users.find(NICK.id))

    passed, deleted = at_once(acme, passes, deletes)
    assert passed is None
    assert isinstance(deleted, OwnerStays)
    require_usable_owner()


@both_orders
def test_who_is_just_being_deleted_does_not_join(acme: Flask, reverse: bool) -> None:
    joined, deleted = in_both_orders(
        acme,
        lambda: memberships.add_many(ACME, [NewMember(ZOE.id)], by=OPERATOR),
        lambda: lifecycle.delete(users.find(ZOE.id), by=OPERATOR),
        reverse=reverse,
    )
    assert isinstance(joined, NotFound) if reverse else isinstance(joined, dict)
    assert deleted is None or isinstance(deleted, Conflict)
    database.session().rollback()
    assert lifecycle.is_disabled(ZOE.id) == (deleted is None)
    assert bool(memberships.of_users(ACME, [ZOE.id])) == (deleted is not None)


@pytest.mark.rule("ORG-04")
@both_orders
def test_an_owner_leaves_only_once_ownership_has_passed_on(acme: Flask, reverse: bool) -> None:
    passed, left = in_both_orders(
        acme,
        lambda: ownership.transfer(ACME, "mem_nick", by=OLIVIA),
        lambda: memberships.remove(ACME, "mem_olivia", by=OLIVIA),
        reverse=reverse,
    )
    assert passed is None
    assert isinstance(left, OwnerStays) if reverse else left is None
    require_usable_owner()


@pytest.mark.rule("ORG-04")
def test_ownership_passes_to_one_of_two_at_once(acme: Flask) -> None:
    to_nick, to_sam = overlapping(
        acme,
        lambda: ownership.transfer(ACME, "mem_nick", by=OLIVIA),
        lambda: ownership.transfer(ACME, "mem_sam", by=OLIVIA),
    )
    assert to_nick is None
    assert isinstance(to_sam, OwnerOnly)
    require_usable_owner()


@pytest.mark.rule("ORG-04")
@both_orders
def test_nobody_is_deputy_who_was_just_removed(acme: Flask, reverse: bool) -> None:
    named, removed = in_both_orders(
        acme,
        lambda: ownership.name_deputy(ACME, "mem_sam", by=OLIVIA),
        lambda: memberships.remove(ACME, "mem_sam", by=IRIS),
        reverse=reverse,
    )
    assert removed is None
    assert isinstance(named, NotUsable) if reverse else named is None
    assert ownership.deputy_of(ACME) is None


@pytest.mark.rule("ORG-04")
@pytest.mark.parametrize("how", ["removed", "demoted", "disabled"])
@both_orders
def test_a_deputy_follows_or_is_gone(acme: Flask, how: str, reverse: bool) -> None:
    act(ownership.name_deputy, ACME, "mem_sam", by=OLIVIA)
    sams = grant_of(SAM, "super_admin")
    ways: dict[str, Rule] = {
        "removed": lambda: memberships.remove(ACME, "mem_sam", by=IRIS),
        "demoted": lambda: grants.end(ACME, sams, by=IRIS),
        "disabled": lambda: lifecycle.disable(users.find(SAM.id), by=OPERATOR),
    }
    followed, gone = in_both_orders(
        acme,
        lambda: succession.deactivated_upstream(ACME, "mem_olivia", by=OPERATOR),
        ways[how],
        reverse=reverse,
    )
    if reverse:
        assert isinstance(followed, NotUsable)
    else:
        assert followed is None
        assert how == "demoted" or isinstance(gone, OwnerStays)
    require_usable_owner()


@pytest.mark.rule("ORG-04")
@both_orders
def test_an_organization_is_founded_with_somebody_who_can_act(acme: Flask, reverse: bool) -> None:
    founded, disabled = in_both_orders(
        acme,
        lambda: organizations.found(OrganizationSettings("cedar", "Cedar"), ZOE.id, by=OPERATOR).id,
        lambda: lifecycle.disable(users.find(ZOE.id), by=OPERATOR),
        reverse=reverse,
    )
    assert isinstance(founded, NotUsable) if reverse else isinstance(disabled, OwnerStays)


@both_orders
def test_an_offer_is_accepted_or_withdrawn(acme: Flask, reverse: bool) -> None:
    offer = act(moves.offer, ACME, DE, BIRCH).id
    accepted, withdrawn = in_both_orders(
        acme,
        lambda: moves.accept(BIRCH, offer, by=BORIS).organization_id,
        lambda: moves.withdraw(ACME, offer, by=SAM),
        reverse=reverse,
    )
    assert isinstance(accepted if reverse else withdrawn, NotFound)
    assert at(DE).organization_id == (ACME if reverse else BIRCH)


def test_an_offer_is_accepted_once(acme: Flask) -> None:
    offer = act(moves.offer, ACME, DE, BIRCH).id
    answers = overlapping(
        acme,
        lambda: moves.accept(BIRCH, offer, by=BORIS).account_id,
        lambda: moves.accept(BIRCH, offer, by=BEA).account_id,
    )
    assert answers[0] == DE
    assert isinstance(answers[1], NotFound)
    assert losses() == [("account", {"org_id": ACME, "account_id": DE})]


def test_two_accounts_move_in_opposite_directions_at_once(acme: Flask) -> None:
    """The organizations are locked in one order: neither waits for the other for ever."""
    there, here = act(moves.offer, ACME, DE, BIRCH).id, act(moves.offer, BIRCH, "acct_oslo", ACME).id
    answers = overlapping(
        acme,
        lambda: moves.accept(BIRCH, there, by=BORIS).organization_id,
        lambda: moves.accept(ACME, here, by=OLIVIA).organization_id,
    )
    assert answers == (BIRCH, ACME)


@both_orders
def test_a_grant_on_an_account_that_is_just_moving_does_not_stay(acme: Flask, reverse: bool) -> None:
    offer, scope = act(moves.offer, ACME, DE, BIRCH).id, at(DE)
    moved, granted = in_both_orders(
        acme,
        lambda: moves.accept(BIRCH, offer, by=BORIS).organization_id,
        lambda: grants.grant_many([to(NICK, "analyst", scope)], by=OLIVIA),
        reverse=reverse,
    )
    assert moved == BIRCH
    assert granted == 1 if reverse else isinstance(granted, Refusal)
    assert grants.at_scope(ACME, scope.placement_id) == []


def test_of_the_same_grant_at_once_there_is_one(acme: Flask) -> None:
    wanted = to(NICK, "analyst", at(DE))

    def grant() -> int:
        with database.writing():
            return grants.grant_many([wanted], by=OLIVIA)

    assert sorted(map(str, at_once(acme, grant, grant, grant, grant))) == ["0", "0", "0", "1"]
    database.session().rollback()
    same = select(func.count()).where(RoleGrant.member_id == "mem_nick")
    assert database.session().execute(same).scalar_one() == 1


@pytest.mark.rule("ORG-07")
def test_an_invitation_is_accepted_once(acme: Flask) -> None:
    _, token = act(invitations.invite, ACME, "zoe@example.com", [Offered("developer", at(DE))])

    def accept() -> str:
        with database.writing():
            return invitations.accept(token, by=ZOE).id

    answers = at_once(acme, accept, accept, accept)
    assert sum(isinstance(answer, str) for answer in answers) == 1
    assert sum(isinstance(answer, InvitationVoid) for answer in answers) == 2


@both_orders
def test_an_invitation_is_accepted_or_revoked(acme: Flask, reverse: bool) -> None:
    invitation, token = act(invitations.invite, ACME, "zoe@example.com", [Offered("developer", at(DE))])
    accepted, _ = in_both_orders(
        acme,
        lambda: invitations.accept(token, by=ZOE).id,
        lambda: invitations.revoke(ACME, invitation.id, by=OLIVIA),
        reverse=reverse,
    )
    assert isinstance(accepted, InvitationVoid) == reverse
    assert bool(roles_of(ZOE, DE)) != reverse


@both_orders
def test_an_account_joins_a_group_or_is_closed(acme: Flask, reverse: bool) -> None:
    joined, closed = in_both_orders(
        acme,
        lambda: account_groups.add(ACME, EU, ["acct_us"], by=OLIVIA),
        lambda: accounts.close(ACME, "acct_us", by=OLIVIA),
        reverse=reverse,
    )
    assert closed is None
    assert isinstance(joined, NotFound) if reverse else joined == 1
    assert len(account_groups.placements_of(account_groups.find(ACME, EU))) == 1


@both_orders
def test_an_organization_is_closed_or_gets_an_account(acme: Flask, reverse: bool) -> None:
    act(organizations.found, OrganizationSettings("cedar", "Cedar"), NICK.id, id="org_cedar")
    closed, opened = in_both_orders(
        acme,
        lambda: organizations.close("org_cedar", by=OPERATOR),
        lambda: accounts.open_account("org_cedar", NewAccount(AccountSettings("k", "K", "DE"), True), by=NICK),
        reverse=reverse,
    )
    assert isinstance(closed if reverse else opened, Conflict)


@pytest.mark.rule("ORG-10")
@both_orders
@pytest.mark.parametrize("rest", [organizations.suspend, organizations.close])
def test_a_client_is_told_to_be_lost_with_its_organization_or_comes_after(
    acme: Flask, rest: Callable[..., None], reverse: bool
) -> None:
    act(organizations.found, OrganizationSettings("cedar", "Cedar"), NICK.id, id="org_cedar")
    wanted = ClientSettings({"grant_types": ["client_credentials"]})
    rested, made = in_both_orders(
        acme,
        lambda: rest("org_cedar", by=OPERATOR),
        lambda: clients.create(wanted, owner="org_cedar", id="app_cedar", by=OPERATOR).id,
        reverse=reverse,
    )
    assert rested is None
    assert isinstance(made, Conflict) == (rest is organizations.close and not reverse)
    assert (("client", {"client_id": "app_cedar"}) in losses()) == reverse


def test_what_is_closed_gets_no_client(acme: Flask) -> None:
    act(organizations.found, OrganizationSettings("cedar", "Cedar"), NICK.id, id="org_cedar")
    act(organizations.close, "org_cedar")
    with pytest.raises(Conflict, match="closed"), database.writing():
        clients.create(ClientSettings({"grant_types": ["client_credentials"]}), owner="org_cedar", by=OPERATOR)


def test_of_a_slug_a_key_and_a_membership_at_once_there_is_one(acme: Flask) -> None:
    def found() -> str:
        with database.writing():
            return organizations.found(OrganizationSettings("cedar", "Cedar"), ZOE.id, by=OPERATOR).id

    def open_one() -> str:
        with database.writing():
            return accounts.open_account(ACME, NewAccount(AccountSettings("k", "K", "DE"), True), by=OLIVIA)

    def take_in() -> str:
        with database.writing():
            return memberships.add(ACME, NewMember(ZOE.id), by=OPERATOR).id

    for one in (found, open_one):
        answers = at_once(acme, one, one, one)
        assert sum(isinstance(answer, Conflict) for answer in answers) == 2
    assert len(set(at_once(acme, take_in, take_in, take_in))) == 1


def test_a_slug_is_taken_by_one_of_two_at_once(acme: Flask) -> None:
    first, second = overlapping(
        acme,
        lambda: organizations.found(OrganizationSettings("cedar", "Cedar"), ZOE.id, by=OPERATOR).id,
        lambda: organizations.reconfigure(BIRCH, OrganizationSettings("cedar", "Birch"), by=BORIS),
    )
    assert isinstance(first, str)
    assert isinstance(second, Conflict)
