"""Moving an account: who offers, withdraws, declines and accepts; what ends and what is carried over."""

import pytest
from flask import Flask

from idp.audit.trail import Actor
from idp.organizations import account_groups, accounts, grants, invitations, memberships, moves, organizations, roles
from idp.organizations.effective import Context, effective_roles, past
from idp.organizations.gains import WouldGain
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.invitations import InvitationVoid, Offered
from idp.organizations.models import AccountMove
from idp.organizations.moves import CarriedOver
from idp.platform import clock, database
from idp.platform.errors import Conflict, Forbidden, Invalid, NotFound
from tests.organizations.actors import (
    ACME,
    ADAM,
    BEA,
    BIRCH,
    BORIS,
    DE,
    EU,
    GREG,
    IRIS,
    MIA,
    NORTH,
    OLIVIA,
    OPS,
    ROBOT,
    SAM,
    SHARED,
    US,
    VERA,
    ZOE,
    account,
    act,
    at,
    give,
    held,
    holder,
    refused,
    role,
    roles_of,
    to,
)
from tests.traces import entries, events, losses


@pytest.fixture
def offer(acme: Flask) -> str:
    """The account `DE`, offered by Sam to Birch."""
    return act(moves.offer, ACME, DE, BIRCH, by=SAM).id


def outcome(move_id: str) -> str | None:
    database.session().rollback()
    return database.session().get_one(AccountMove, move_id).outcome


def told(move_id: str) -> list[tuple[str, str | None]]:
    return [(entry.event, entry.organization_id) for entry in entries(move_id)]


@pytest.mark.parametrize("by", [ADAM, IRIS, MIA, BORIS, BEA, ZOE])
def test_a_super_admin_alone_offers(acme: Flask, by: Actor) -> None:
    with refused(Forbidden):
        moves.offer(ACME, DE, BIRCH, by=by)


def test_an_offer_stands_once_and_names_one_organization(offer: str) -> None:
    assert act(moves.offer, ACME, DE, BIRCH, by=SAM).id == offer
    assert told(offer) == [("account.move.offered", ACME)]
    act(organizations.found, organizations.OrganizationSettings("cedar", "Cedar"), ZOE.id, id="org_cedar")
    with refused(Conflict):
        moves.offer(ACME, DE, "org_cedar", by=OLIVIA)
    with refused(Invalid):
        moves.offer(ACME, US, ACME, by=OLIVIA)
    assert losses() == []


@pytest.mark.rule("ORG-11")
def test_an_offer_names_its_target_by_id_so_that_nobody_finds_customers_by_guessing(acme: Flask) -> None:
    for target in ("birch", "nowhere", "org_none"):
        with refused(NotFound):
            moves.offer(ACME, DE, target, by=OLIVIA)


@pytest.mark.parametrize("by", [OLIVIA, SAM])
def test_who_may_offer_may_withdraw(offer: str, by: Actor) -> None:
    with refused(Forbidden):
        moves.withdraw(ACME, offer, by=ADAM)
    act(moves.withdraw, ACME, offer, by=by)
    assert outcome(offer) == "withdrawn"
    assert told(offer)[1:] == [("account.move.withdrawn", ACME), ("account.move.withdrawn", BIRCH)]
    with refused(NotFound):
        moves.accept(BIRCH, offer, by=BORIS)
    assert act(moves.offer, ACME, DE, BIRCH, by=SAM).id != offer


@pytest.mark.rule("ORG-03")
def test_who_may_no_longer_offer_has_offered_nothing(offer: str) -> None:
    act(memberships.suspend, ACME, "mem_sam")
    with refused(Conflict):
        moves.accept(BIRCH, offer, by=BORIS)
    act(memberships.reactivate, ACME, "mem_sam")
    assert act(moves.accept, BIRCH, offer, by=BORIS).account_id == DE


def test_a_super_admin_of_the_other_organization_declines(offer: str) -> None:
    with refused(Forbidden):
        moves.decline(BIRCH, offer, by=VERA)
    act(moves.decline, BIRCH, offer, by=BEA)
    assert outcome(offer) == "declined"
    assert told(offer)[1:] == [("account.move.declined", ACME), ("account.move.declined", BIRCH)]
    assert roles_of(MIA, DE) == {"iam_admin"}
    assert losses() == []


@pytest.mark.rule("ORG-11")
def test_nobody_settles_what_is_not_between_them(offer: str) -> None:
    for rule in (moves.decline, moves.accept):
        with refused(NotFound):
            rule(ACME, offer, by=OLIVIA)  # the one that offers does not accept
        with refused(NotFound):
            rule(BIRCH, "move_none", by=BORIS)
    with refused(NotFound):
        moves.withdraw(BIRCH, offer, by=BORIS)
    act(organizations.found, organizations.OrganizationSettings("cedar", "Cedar"), ZOE.id, id="org_cedar")
    for another in (moves.decline, moves.accept, moves.withdraw):
        with refused(NotFound):
            another("org_cedar", offer, by=ZOE)
    for by in (SAM, VERA, ZOE):
        with refused(Forbidden):
            moves.accept(BIRCH, offer, by=by)


@pytest.mark.rule("ORG-07")
def test_everything_on_an_account_ends_when_it_moves(offer: str) -> None:
    _, link = act(invitations.invite, ACME, "zoe@example.com", [Offered("developer", at(DE))])
    give(to(ROBOT, "developer", at(DE)))
    give(to(OPS, "developer", at(DE)))
    scope = act(moves.accept, BIRCH, offer, by=BORIS)
    assert scope == at(DE)
    assert scope.organization_id == BIRCH
    for who in (OLIVIA, MIA, GREG):
        assert roles_of(who, DE) == set()
        assert roles_of(who, DE, organization_id=BIRCH) == set()
    assert roles_of(BORIS, DE, organization_id=BIRCH) == {"super_admin"}
    assert roles_of(VERA, DE, organization_id=BIRCH) == {"developer"}
    assert grants.at_scope(BIRCH, scope.placement_id) == []
    assert account_groups.placements_of(account_groups.find(ACME, EU)) == []
    with refused(InvitationVoid):
        invitations.accept(link, by=ZOE)
    assert losses() == [("account", {"org_id": ACME, "account_id": DE})]
    assert told(offer)[1:] == [
        ("account.move.accepted", ACME),
        ("account.move.accepted", BIRCH),
        ("account.moved.away", ACME),
        ("account.moved.in", BIRCH),
    ]


@pytest.mark.rule("ORG-07")
def test_nothing_revives_when_an_account_comes_back(offer: str) -> None:
    act(moves.accept, BIRCH, offer, by=BORIS)
    back = act(moves.offer, BIRCH, DE, ACME, by=BEA).id
    act(moves.accept, ACME, back, by=OLIVIA)
    assert roles_of(OLIVIA, DE) == {"super_admin"}
    assert roles_of(MIA, DE) == roles_of(GREG, DE) == set()
    assert roles_of(BORIS, DE, organization_id=BIRCH) == set()


def test_the_past_of_the_former_stay_stays_visible(offer: str) -> None:
    then = clock.now()
    act(moves.accept, BIRCH, offer, by=BORIS)
    assert effective_roles(holder(MIA), Context(ACME, DE), past(then)).roles == {"iam_admin"}
    assert effective_roles(holder(GREG), Context(ACME, DE), past(then)).roles == {"iam_admin"}
    assert effective_roles(holder(BORIS), Context(BIRCH, DE), past(then)).roles == set()


def test_what_is_named_is_carried_over_and_counts_in_the_new_place(offer: str) -> None:
    act(moves.withdraw, ACME, offer, by=SAM)
    mine = give(to(VERA, "tax_analyst", at(DE), reason="audit"))
    shared = give(to(SHARED, "view_only", at(DE)))
    offer = act(moves.offer, ACME, DE, BIRCH, by=SAM).id
    scope = act(moves.accept, BIRCH, offer, by=BORIS, carried=CarriedOver((mine, shared), (NORTH,)))
    assert roles_of(VERA, DE, organization_id=BIRCH) == {"developer", "tax_analyst"}
    assert [one.role_key for one in grants.of_grantee(BIRCH, SHARED)] == ["view_only"]
    assert scope.placement_id in account_groups.placements_of(account_groups.find(BIRCH, NORTH))
    [anew] = grants.of_grantee(BIRCH, "mem_vera_of_birch")[1:]
    assert (anew.made_by, anew.reason) == (BORIS.id, "audit")


def test_what_cannot_be_carried_over_stops_the_move(offer: str) -> None:
    team = give(to(OPS, "developer", at(DE)))
    stranger = give(to(ADAM, "developer", at(DE)))
    robot = give(to(ROBOT, "developer", at(DE)))
    elsewhere = give(to(VERA, "developer", at(US)))
    for wanted, kind in ((team, Invalid), (stranger, NotFound), (robot, NotFound), (elsewhere, NotFound)):
        with refused(kind):
            moves.accept(BIRCH, offer, by=BORIS, carried=CarriedOver((wanted,)))
    for group in (EU, "agrp_none"):
        with refused(NotFound):
            moves.accept(BIRCH, offer, by=BORIS, carried=CarriedOver(groups=(group,)))


@pytest.mark.rule("ORG-07")
def test_a_custom_role_is_not_carried_over_to_its_namesake(offer: str) -> None:
    desk = give(to(VERA, "x_desk", at(DE)))
    act(roles.create, BIRCH, role("x_desk", "members.write"))
    with refused(Invalid):
        moves.accept(BIRCH, offer, by=BORIS, carried=CarriedOver((desk,)))


@pytest.mark.rule("ORG-03")
def test_carrying_over_is_granting(offer: str) -> None:
    give(Wanted(Grantee("member", "mem_vera_of_birch"), "super_admin", at(BIRCH)))
    mine = give(to(VERA, "tax_analyst", at(DE)))
    with refused(WouldGain):
        moves.accept(BIRCH, offer, by=VERA, carried=CarriedOver((mine,)))
    act(moves.accept, BIRCH, offer, by=BEA, carried=CarriedOver((mine,)))


def test_a_key_that_is_taken_there_is_chosen_anew(offer: str) -> None:
    act(accounts.open_account, BIRCH, accounts.NewAccount(accounts.AccountSettings("de", "D", "DE"), True))
    with refused(Conflict):
        moves.accept(BIRCH, offer, by=BORIS)
    with refused(Invalid):
        moves.accept(BIRCH, offer, by=BORIS, key="D E")
    act(moves.accept, BIRCH, offer, by=BORIS, key="de-2")
    assert at("birch/de-2").account_id == DE


def test_the_mode_and_a_suspension_move_along(acme: Flask) -> None:
    act(accounts.open_account, ACME, account("lab", live=False))
    act(accounts.suspend, ACME, "acct_lab")
    act(moves.accept, BIRCH, act(moves.offer, ACME, "acct_lab", BIRCH).id, by=BORIS)
    assert roles_of(BORIS, "acct_lab", organization_id=BIRCH) == set()
    act(accounts.resume, BIRCH, "acct_lab", by=BORIS)
    assert not held(BORIS, "acct_lab", organization_id=BIRCH).livemode
    assert roles_of(BORIS, "acct_lab", organization_id=BIRCH) == {"super_admin"}


def test_an_offer_is_void_when_the_account_is_closed(offer: str) -> None:
    act(accounts.close, ACME, DE)
    assert outcome(offer) == "withdrawn"
    assert [one for one in events(offer) if one != "account.move.offered"] == ["account.move.withdrawn"] * 2
    with refused(NotFound):
        moves.accept(BIRCH, offer, by=BORIS)


def test_a_move_is_accepted_once(offer: str) -> None:
    act(moves.accept, BIRCH, offer, by=BORIS)
    for by in (BORIS, BEA):
        with refused(NotFound):
            moves.accept(BIRCH, offer, by=by)
    with refused(NotFound):
        moves.withdraw(ACME, offer, by=SAM)


@pytest.mark.rule("ORG-10")
def test_a_suspended_organization_neither_offers_nor_accepts(offer: str) -> None:
    act(organizations.suspend, BIRCH)
    with refused(Forbidden):
        moves.accept(BIRCH, offer, by=BORIS)
    act(organizations.suspend, ACME)
    with refused(Forbidden):
        moves.withdraw(ACME, offer, by=SAM)
