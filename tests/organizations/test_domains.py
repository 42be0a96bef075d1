"""E-mail domains: one holder at a time; and when an address in one counts as proven."""

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from idp.audit.trail import Actor
from idp.organizations import accounts, domains, memberships, organizations, proven_addresses
from idp.organizations.memberships import NewMember
from idp.organizations.models import Domain
from idp.platform import clock, database
from idp.platform.errors import Conflict, Forbidden, Invalid, NotFound
from idp.users import addresses, lifecycle, users
from idp.users.models import Address
from tests.organizations.actors import (
    ACME,
    ADAM,
    BIRCH,
    BORIS,
    BOX,
    DAN,
    DE,
    IRIS,
    MIA,
    NICK,
    OLIVIA,
    US,
    ZOE,
    act,
    refused,
)
from tests.traces import OPERATOR, events, losses

NAME = "acme.example"


def proven(organization_id: str = ACME, name: str = NAME) -> str:
    """The id of a domain that the organization has proven."""
    domain = act(domains.claim, organization_id, name).id
    act(domains.confirm, organization_id, domain)
    return domain


def address(who: Actor, name: str = NAME, *, verified: bool = True) -> str:
    """The id of a new address of the person in that domain."""
    with database.writing():
        user = users.find(who.id)
        return addresses.add(user, f"{who.id[4:]}@{name}", verified=verified, by=OPERATOR).id


def counts(address_id: str) -> bool:
    database.session().rollback()
    return proven_addresses.counts(database.session().get_one(Address, address_id))


def test_a_claim_is_proven_by_a_value_of_the_organization_alone(acme: Flask) -> None:
    for by in (DAN, IRIS, MIA, NICK, ZOE, BORIS):
        with refused(Forbidden):
            domains.claim(ACME, NAME, by=by)
    ours = act(domains.claim, ACME, "ACME.example", by=ADAM)
    theirs = act(domains.claim, BIRCH, NAME, by=BORIS)
    assert ours.name == theirs.name == NAME
    assert ours.proof != theirs.proof
    assert act(domains.claim, ACME, NAME, by=ADAM).id == ours.id
    assert events(ours.id) == ["domain.claimed"]
    assert domains.holder_of(NAME) is None


@pytest.mark.parametrize(
    "name", ["", "example", "-.example", "a b.example", "gmail.com", "GMX.de", "[127.0.0.1]", "a@b.example"]
)
def test_what_is_no_domain_or_everybodys_is_refused(acme: Flask, name: str) -> None:
    with refused(Invalid):
        domains.claim(ACME, name, by=OLIVIA)


def test_one_organization_holds_a_domain_until_it_lets_go(acme: Flask) -> None:
    ours, theirs = act(domains.claim, ACME, NAME).id, act(domains.claim, BIRCH, NAME).id
    for by in (OLIVIA, ADAM):
        with refused(Forbidden):
            domains.confirm(ACME, ours, by=by)
    for _ in range(2):
        act(domains.confirm, ACME, ours)
    assert domains.holder_of(NAME) == ACME
    with refused(Conflict):
        domains.confirm(BIRCH, theirs, by=OPERATOR)
    with pytest.raises(IntegrityError), database.writing():
        database.session().execute(update(Domain).where(Domain.id == theirs).values(verified_at=clock.now()))
    act(domains.release, ACME, ours, by=ADAM)
    assert domains.holder_of(NAME) is None
    act(domains.confirm, BIRCH, theirs)
    assert domains.holder_of(NAME) == BIRCH
    assert events(ours) == ["domain.claimed", "domain.verified", "domain.released"]
    assert losses() == []


@pytest.mark.rule("ORG-11")
def test_another_organizations_domain_cannot_be_told_from_none(acme: Flask) -> None:
    theirs = proven(BIRCH)
    for name in (theirs, NAME, "dom_none"):
        with refused(NotFound):
            domains.release(ACME, name, by=OLIVIA)
        with refused(NotFound):
            domains.confirm(ACME, name, by=OPERATOR)
    assert domains.in_organization(ACME) == []


def test_a_managed_address_counts_while_its_person_is_an_active_member(acme: Flask) -> None:
    inside, outside, unproven = address(NICK), address(ZOE), address(DAN, verified=False)
    assert counts(inside)
    assert counts(outside)
    domain = proven()
    assert counts(inside)
    assert not counts(outside)
    assert not counts(unproven)
    assert proven_addresses.may_be_given(database.session().get_one(Address, outside))
    assert not proven_addresses.may_be_given(database.session().get_one(Address, inside))
    act(memberships.suspend, ACME, "mem_nick")
    assert not counts(inside)
    act(memberships.reactivate, ACME, "mem_nick")
    act(memberships.add, ACME, NewMember(ZOE.id, "invited"))
    assert not counts(outside)
    act(domains.release, ACME, domain)
    assert counts(outside)


@pytest.mark.rule("ORG-10")
def test_a_managed_address_stays_its_persons_while_the_organization_or_the_person_rests(acme: Flask) -> None:
    inside = address(NICK)
    proven()
    act(organizations.suspend, ACME)
    assert counts(inside)
    assert not proven_addresses.may_be_given(database.session().get_one(Address, inside))
    act(organizations.resume, ACME)
    act(lifecycle.disable, users.find(NICK.id))
    assert not proven_addresses.may_be_given(database.session().get_one(Address, inside))


@pytest.mark.rule("ORG-10")
def test_a_closed_organization_holds_no_domain(acme: Flask) -> None:
    inside, ours = address(NICK), proven()
    for account_id in (DE, US, BOX):
        act(accounts.close, ACME, account_id)
    act(organizations.close, ACME)
    assert counts(inside)
    assert events(ours)[-1] == "domain.released"
    assert domains.holder_of(NAME) is None
    proven(BIRCH)
    assert domains.holder_of(NAME) == BIRCH


def test_a_managed_address_may_go_to_another_person(acme: Flask) -> None:
    kept, free = address(NICK), address(ZOE)
    proven()
    with refused(addresses.AddressTaken):
        addresses.give("nick@acme.example", users.find(DAN.id), released=proven_addresses.may_be_given, by=OPERATOR)
    with database.writing():
        addresses.give("zoe@acme.example", users.find(DAN.id), released=proven_addresses.may_be_given, by=OPERATOR)
    assert counts(kept)
    assert not counts(free)
    assert [one.address for one in addresses.of(DAN.id)] == ["dan@example.com", "zoe@acme.example"]
    assert users.find(ZOE.id).deleted_at is None


def test_who_takes_somebody_in_asks_whether_they_have_proven_the_address(acme: Flask) -> None:
    proven()
    address(ZOE)
    address(DAN, verified=False)
    assert proven_addresses.has_proven(ZOE.id, "zoe@acme.example", ACME)
    assert not proven_addresses.has_proven(ZOE.id, "zoe@acme.example", BIRCH)
    assert not proven_addresses.has_proven(ZOE.id, "dan@acme.example", ACME)
    assert not proven_addresses.has_proven(DAN.id, "dan@acme.example", ACME)
    act(lifecycle.delete, users.find(ZOE.id))
    assert not proven_addresses.has_proven(ZOE.id, "zoe@acme.example", ACME)
