"""Accounts: opened, changed, suspended, closed; and what a namesake does not get."""

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from idp.audit.trail import Actor
from idp.organizations import account_groups, accounts, grants, invitations, moves
from idp.organizations.accounts import AccountSettings, NewAccount
from idp.organizations.invitations import InvitationVoid, Offered
from idp.organizations.models import Account, Invitation
from idp.platform import database
from idp.platform.errors import Conflict, Forbidden, Invalid, NotFound
from tests.organizations.actors import (
    ACME,
    ADAM,
    BIRCH,
    BORIS,
    BOX,
    DAN,
    DE,
    EU,
    GREG,
    IRIS,
    MIA,
    NICK,
    OLIVIA,
    OSLO,
    US,
    WEST,
    ZOE,
    account,
    act,
    at,
    give,
    refused,
    roles_of,
    to,
)
from tests.traces import OPERATOR, events, losses


def settings(key: str = "fr", name: str = "France", country: str = "FR") -> AccountSettings:
    return AccountSettings(key, name, country)


def test_who_administers_the_organization_opens_accounts_that_its_roles_reach(acme: Flask) -> None:
    opened = act(accounts.open_account, ACME, NewAccount(settings(), livemode=True), by=ADAM)
    assert roles_of(OLIVIA, opened) == {"super_admin"}
    assert roles_of(DAN, opened) == {"developer"}
    assert roles_of(MIA, opened) == roles_of(GREG, opened) == set()
    assert events(opened) == ["account.created"]
    assert losses() == []


@pytest.mark.parametrize("by", [DAN, IRIS, MIA, NICK, ZOE, BORIS])
def test_nobody_else_changes_accounts(acme: Flask, by: Actor) -> None:
    with refused(Forbidden):
        accounts.open_account(ACME, account("fr"), by=by)
    with refused(Forbidden):
        accounts.reconfigure(ACME, DE, settings(), by=by)
    for rule in (accounts.suspend, accounts.resume, accounts.close):
        with refused(Forbidden):
            rule(ACME, DE, by=by)


def test_a_key_is_used_once_at_a_time_in_an_organization(acme: Flask) -> None:
    with refused(Conflict):
        accounts.open_account(ACME, NewAccount(settings("de"), livemode=True), by=OLIVIA)
    with refused(Conflict):
        accounts.open_many(ACME, [NewAccount(settings(), True), NewAccount(settings(), False)], by=OLIVIA)
    with refused(Conflict):
        accounts.reconfigure(ACME, US, settings("de"), by=OLIVIA)
    assert act(accounts.open_account, BIRCH, NewAccount(settings("de"), livemode=True), by=BORIS) != DE


def test_what_an_account_cannot_be_called_is_refused() -> None:
    for wrong in (
        ("", "N", "DE"),
        ("DE", "N", "DE"),
        ("acct_us", "N", "DE"),
        ("de", "", "DE"),
        ("de", "N", "de"),
        ("de", "N", "DEU"),
    ):
        with pytest.raises(Invalid):
            AccountSettings(*wrong)


def test_key_name_and_country_change_and_the_mode_never_does(acme: Flask) -> None:
    assert act(accounts.reconfigure, ACME, "de", settings("deutschland", "Germany", "AT"), by=ADAM)
    assert not act(accounts.reconfigure, ACME, DE, settings("deutschland", "Germany", "AT"), by=ADAM)
    assert at("acme/deutschland").account_id == DE
    assert events(DE) == ["account.created", "account.changed"]
    with pytest.raises(IntegrityError), database.writing():
        database.session().execute(update(Account).where(Account.id == BOX).values(livemode=1))
    assert not at(BOX).livemode


@pytest.mark.rule("ORG-07")
def test_ids_of_accounts_are_never_used_again(acme: Flask) -> None:
    act(accounts.close, ACME, DE, by=OLIVIA)
    for known in (DE, OSLO):
        with refused(Conflict):
            accounts.open_account(ACME, NewAccount(settings(), livemode=True, id=known), by=OPERATOR)
    with refused(Invalid):
        accounts.open_account(ACME, NewAccount(settings(), livemode=True, id="org_x"), by=OPERATOR)


def test_nothing_counts_in_a_suspended_account_and_the_others_do_not_notice(acme: Flask) -> None:
    for _ in range(2):
        act(accounts.suspend, ACME, DE, by=ADAM)
    assert roles_of(OLIVIA, DE) == roles_of(MIA, DE) == set()
    assert roles_of(OLIVIA, US) == {"super_admin"}
    assert losses() == [("account", {"org_id": ACME, "account_id": DE})]
    for _ in range(2):
        act(accounts.resume, ACME, DE, by=ADAM)
    assert roles_of(MIA, DE) == {"iam_admin"}
    assert events(DE) == ["account.created", "account.suspended", "account.resumed"]
    assert len(losses()) == 1


def test_a_closed_account_is_gone_with_everything_on_it(acme: Flask) -> None:
    act(accounts.close, ACME, DE, by=ADAM)
    assert roles_of(OLIVIA, DE) == set()
    assert losses() == [("account", {"org_id": ACME, "account_id": DE})]
    assert events(DE) == ["account.created", "account.closed"]
    for rule in (accounts.suspend, accounts.resume, accounts.close):
        with refused(NotFound):
            rule(ACME, DE, by=ADAM)


@pytest.mark.rule("ORG-07")
def test_nothing_of_a_closed_account_applies_to_its_namesake(acme: Flask) -> None:
    _, link = act(invitations.invite, ACME, "zoe@example.com", [Offered("developer", at(DE))])
    move = act(moves.offer, ACME, DE, BIRCH).id
    give(to(GREG, "admin", at(EU)))
    act(accounts.close, ACME, DE)
    again = act(accounts.open_account, ACME, NewAccount(settings("de"), livemode=True))
    assert again != DE
    assert roles_of(MIA, again) == roles_of(GREG, again) == set()
    assert grants.at_scope(ACME, at(again).placement_id) == []
    assert again not in account_groups.placements_of(account_groups.find(ACME, EU))
    with refused(InvitationVoid):
        invitations.accept(link, by=ZOE)
    with refused(NotFound):
        moves.accept(BIRCH, move, by=BORIS)


def test_an_invitation_to_another_account_outlives_the_closing(acme: Flask) -> None:
    act(invitations.invite, ACME, "zoe@example.com", [Offered("developer", at(US))])
    act(invitations.invite, ACME, "nick@example.com", [Offered("developer", at(EU))])
    act(accounts.close, ACME, DE)
    assert set(database.session().scalars(select(Invitation.outcome))) == {None}


def test_a_closed_account_stays_in_the_group_of_others(acme: Flask) -> None:
    act(account_groups.add, ACME, WEST, [DE, US])
    act(accounts.close, ACME, DE)
    assert account_groups.placements_of(account_groups.find(ACME, WEST)) == [at(US).placement_id]
