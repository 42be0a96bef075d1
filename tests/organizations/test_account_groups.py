"""Account groups: named sets of accounts that roles are granted on."""

import pytest
from flask import Flask

from idp.audit.trail import Actor
from idp.organizations import account_groups, accounts, grants, invitations, roles
from idp.organizations.account_groups import GroupSettings
from idp.organizations.authority import MayNotGrant
from idp.organizations.gains import WouldGain
from idp.organizations.invitations import InvitationVoid, Offered
from idp.platform.errors import Conflict, Forbidden, Invalid, NotFound
from tests.organizations.actors import (
    ACME,
    ADAM,
    BORIS,
    BOX,
    DAN,
    DE,
    EU,
    GREG,
    IRIS,
    NICK,
    NORTH,
    OLIVIA,
    OSLO,
    ROBOT,
    SAM,
    US,
    WEST,
    ZOE,
    account,
    act,
    at,
    give,
    refused,
    role,
    roles_of,
    to,
)
from tests.traces import events, losses


def test_a_role_on_a_group_reaches_its_present_and_its_future_accounts_and_no_others(acme: Flask) -> None:
    assert roles_of(GREG, DE) == {"iam_admin"}
    assert roles_of(GREG, US) == roles_of(GREG) == set()
    assert act(account_groups.add, ACME, EU, [US, DE, "us"], by=ADAM) == 1
    assert roles_of(GREG, US) == {"iam_admin"}
    assert events(EU) == ["group.created", "group.account.added", "group.account.added"]
    assert losses() == []


def test_an_account_that_leaves_a_group_loses_what_the_group_brought(acme: Flask) -> None:
    for _ in range(2):
        act(account_groups.remove, ACME, EU, "de", by=ADAM)
    assert roles_of(GREG, DE) == set()
    assert losses() == [("account", {"org_id": ACME, "account_id": DE})]
    assert events(EU)[2:] == ["group.account.removed"]


@pytest.mark.parametrize("by", [DAN, IRIS, GREG, NICK, ZOE, BORIS])
def test_nobody_else_changes_groups(acme: Flask, by: Actor) -> None:
    with refused(Forbidden):
        account_groups.create(ACME, GroupSettings("south", "South"), by=by)
    with refused(Forbidden):
        account_groups.reconfigure(ACME, EU, GroupSettings("south", "South"), by=by)
    with refused(Forbidden):
        account_groups.add(ACME, WEST, [US], by=by)
    with refused(Forbidden):
        account_groups.remove(ACME, EU, DE, by=by)
    with refused(Forbidden):
        account_groups.delete(ACME, EU, by=by)


def test_a_group_is_renamed_and_keeps_its_id(acme: Flask) -> None:
    assert act(account_groups.reconfigure, ACME, "eu", GroupSettings("emea", "EMEA"), by=ADAM)
    assert not act(account_groups.reconfigure, ACME, EU, GroupSettings("emea", "EMEA"), by=ADAM)
    assert account_groups.find(ACME, "emea").id == EU
    assert events(EU)[2:] == ["group.changed"]
    with refused(Conflict):
        account_groups.reconfigure(ACME, EU, GroupSettings("west", "EMEA"), by=ADAM)
    with refused(Conflict):
        account_groups.create(ACME, GroupSettings("west", "EMEA"), by=ADAM)
    for wrong in (GroupSettings("We st", "EMEA"), GroupSettings("agrp_eu", "EMEA"), GroupSettings("south", "\x00")):
        with refused(Invalid):
            account_groups.create(ACME, wrong, by=ADAM)


@pytest.mark.rule("ORG-07")
def test_nothing_of_a_deleted_group_applies_to_its_namesake(acme: Flask) -> None:
    _, link = act(invitations.invite, ACME, "zoe@example.com", [Offered("developer", at(EU))])
    act(account_groups.delete, ACME, EU, by=ADAM)
    assert roles_of(GREG, DE) == set()
    assert events(EU)[-1] == "group.deleted"
    assert losses() == [("grant", {"sub": GREG.id, "org_id": ACME})]
    with refused(Conflict):
        account_groups.create(ACME, GroupSettings("eu", "Europe"), id=EU, by=ADAM)
    again = act(account_groups.create, ACME, GroupSettings("eu", "Europe"), by=ADAM).id
    act(account_groups.add, ACME, again, [DE], by=ADAM)
    assert grants.at_scope(ACME, again) == []
    assert roles_of(GREG, DE) == set()
    with refused(InvitationVoid):
        invitations.accept(link, by=ZOE)
    with refused(NotFound):
        account_groups.delete(ACME, EU, by=ADAM)


@pytest.mark.rule("ORG-03")
def test_adding_an_account_is_granting_on_it_everything_that_the_group_brings(acme: Flask) -> None:
    give(to(NICK, "super_admin", at(EU)))
    with refused(MayNotGrant):
        account_groups.add(ACME, EU, [US], by=ADAM)
    act(account_groups.add, ACME, EU, [US], by=SAM)
    assert roles_of(NICK, US) == {"super_admin"}


@pytest.mark.rule("ORG-03")
def test_nobody_adds_an_account_to_a_group_through_which_they_gain(acme: Flask) -> None:
    give(to(ADAM, "developer", at(WEST)))
    with refused(WouldGain):
        account_groups.add(ACME, WEST, [BOX], by=ADAM)
    act(account_groups.add, ACME, WEST, [BOX], by=OLIVIA)
    assert roles_of(ADAM, BOX) == {"admin", "developer"}


@pytest.mark.rule("ORG-03")
def test_a_group_brings_an_api_client_no_more_than_who_adds_the_account_holds(acme: Flask) -> None:
    act(roles.create, ACME, role("x_keeper", "accounts.write"))
    give(to(NICK, "x_keeper"))
    give(to(NICK, "iam_admin"))
    give(to(DAN, "developer", at(WEST)))
    act(account_groups.add, ACME, WEST, [US], by=NICK)
    give(to(ROBOT, "developer", at(WEST)))
    with refused(MayNotGrant):
        account_groups.add(ACME, WEST, [DE], by=NICK)
    act(account_groups.add, ACME, WEST, [DE], by=SAM)


@pytest.mark.rule("ORG-11")
def test_another_organizations_account_or_group_cannot_be_told_from_none(acme: Flask) -> None:
    for group, name in ((EU, OSLO), (EU, "acct_none"), (NORTH, DE), (NORTH, OSLO), ("agrp_none", DE)):
        with refused(NotFound):
            account_groups.add(ACME, group, [name], by=OLIVIA)
        with refused(NotFound):
            account_groups.remove(ACME, group, name, by=OLIVIA)
    act(account_groups.create, ACME, GroupSettings("north", "North"), by=OLIVIA)
    assert account_groups.find(ACME, "north").id != NORTH


def test_an_account_that_is_opened_later_joins_by_its_key(acme: Flask) -> None:
    act(accounts.open_account, ACME, account("fr"))
    act(account_groups.add, ACME, EU, ["fr"], by=OLIVIA)
    assert roles_of(GREG, "acct_fr") == {"iam_admin"}
