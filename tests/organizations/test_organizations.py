"""Organizations: founded, renamed, suspended, closed."""

import pytest
from flask import Flask

from idp.audit.trail import Actor
from idp.organizations import accounts, memberships, organizations, ownership, scopes
from idp.organizations.organizations import OrganizationSettings
from idp.platform.errors import Conflict, Forbidden, Invalid, NotFound
from idp.users import lifecycle, users
from tests.organizations.actors import (
    ACME,
    ADAM,
    BIRCH,
    BORIS,
    BOX,
    DAN,
    DE,
    OLIVIA,
    ROBOT,
    SAM,
    US,
    VERA,
    ZOE,
    act,
    refused,
    roles_of,
)
from tests.traces import OPERATOR, events, losses


def found(slug: str, name: str = "New", *, id: str = "") -> str:
    return act(organizations.found, OrganizationSettings(slug, name), ZOE.id, id=id).id


def test_whoever_founds_an_organization_owns_it(acme: Flask) -> None:
    new = found("new-1")
    assert ownership.is_owner(memberships.of_user(new, ZOE.id))
    assert roles_of(ZOE, organization_id=new) == {"super_admin"}
    assert events(new) == ["organization.created", "organization.owner.changed"]


@pytest.mark.parametrize("by", [OLIVIA, SAM, ZOE])
def test_only_the_operator_founds_suspends_resumes_and_closes(acme: Flask, by: Actor) -> None:
    with refused(Forbidden):
        organizations.found(OrganizationSettings("new-1", "New"), ZOE.id, by=by)
    for rule in (organizations.suspend, organizations.resume, organizations.close):
        with refused(Forbidden):
            rule(ACME, by=by)


@pytest.mark.parametrize(
    ("slug", "name"),
    [
        ("", "N"),
        ("Acme2", "N"),
        ("-a", "N"),
        ("a-", "N"),
        ("a_b", "N"),
        ("a" * 49, "N"),
        ("admin", "N"),
        ("a", "\u202e"),
    ],
)
def test_a_slug_and_a_name_that_cannot_be_are_refused(slug: str, name: str) -> None:
    with pytest.raises(Invalid):
        OrganizationSettings(slug, name)


@pytest.mark.rule("ORG-07")
def test_a_slug_that_was_used_leads_to_its_organization_and_is_given_to_no_other(acme: Flask) -> None:
    act(organizations.reconfigure, ACME, OrganizationSettings("acme-group", "Acme"), by=OLIVIA)
    assert scopes.organization_named("acme") == ACME
    assert organizations.find("acme").slug == "acme-group"
    with refused(Conflict):
        organizations.found(OrganizationSettings("acme", "New"), ZOE.id, by=OPERATOR)
    with refused(Conflict):
        organizations.found(OrganizationSettings("acme-group", "New"), ZOE.id, by=OPERATOR)
    with refused(Conflict):
        organizations.reconfigure(BIRCH, OrganizationSettings("acme", "Birch"), by=BORIS)
    act(organizations.reconfigure, ACME, OrganizationSettings("acme", "Acme"), by=OLIVIA)
    assert events(ACME)[-2:] == ["organization.renamed", "organization.renamed"]


def test_ids_are_never_used_again(acme: Flask) -> None:
    for known in (ACME, BIRCH):
        with refused(Conflict):
            organizations.found(OrganizationSettings("new-1", "New"), ZOE.id, id=known, by=OPERATOR)
    with refused(Invalid):
        organizations.found(OrganizationSettings("new-1", "New"), ZOE.id, id="acct_de", by=OPERATOR)


def test_renaming_takes_the_permission_and_changes_nothing_the_second_time(acme: Flask) -> None:
    wanted = OrganizationSettings("acme", "Acme Holding")
    with refused(Forbidden):
        organizations.reconfigure(ACME, wanted, by=DAN)
    assert act(organizations.reconfigure, ACME, wanted, by=ADAM)
    assert not act(organizations.reconfigure, ACME, wanted, by=ADAM)
    assert events(ACME)[-1] == "organization.changed"
    assert events(ACME).count("organization.changed") == 1


@pytest.mark.rule("ORG-10")
def test_nothing_counts_in_a_suspended_organization_and_the_others_do_not_notice(acme: Flask) -> None:
    act(organizations.suspend, ACME)
    for who in (OLIVIA, SAM, ADAM, VERA):
        assert roles_of(who) == roles_of(who, DE) == set()
    assert roles_of(VERA, organization_id=BIRCH) == {"developer"}
    with refused(Forbidden):
        organizations.reconfigure(ACME, OrganizationSettings("acme", "Other"), by=OLIVIA)
    act(organizations.suspend, ACME)
    assert losses() == [("organization", {"org_id": ACME}), ("client", {"client_id": ROBOT})]
    act(organizations.resume, ACME)
    act(organizations.resume, ACME)
    assert roles_of(OLIVIA) == {"super_admin"}
    assert events(ACME)[-2:] == ["organization.suspended", "organization.resumed"]


@pytest.mark.rule("ORG-10")
def test_an_organization_is_closed_for_good_once_its_accounts_are(acme: Flask) -> None:
    with refused(Conflict):
        organizations.close(ACME, by=OPERATOR)
    for account_id in (DE, US, BOX):
        act(accounts.close, ACME, account_id)
    act(organizations.close, ACME)
    act(organizations.close, ACME)
    assert roles_of(OLIVIA) == set()
    assert events(ACME).count("organization.closed") == 1
    assert losses()[-2:] == [("organization", {"org_id": ACME}), ("client", {"client_id": ROBOT})]
    with refused(Conflict):
        organizations.resume(ACME, by=OPERATOR)
    with refused(Conflict):
        organizations.reconfigure(ACME, OrganizationSettings("acme", "Again"), by=OPERATOR)
    with refused(Conflict):
        organizations.found(OrganizationSettings("acme", "Again"), ZOE.id, by=OPERATOR)


def test_closing_a_suspended_organization_says_its_loss_once(acme: Flask) -> None:
    new = found("new-1")
    act(organizations.suspend, new)
    act(organizations.close, new)
    assert losses() == [("organization", {"org_id": new})]
    assert events(new)[-2:] == ["organization.suspended", "organization.closed"]


def test_nobody_founds_with_an_owner_who_cannot_act(acme: Flask) -> None:
    act(lifecycle.disable, users.find(ZOE.id))
    with refused(Conflict):
        organizations.found(OrganizationSettings("new-1", "New"), ZOE.id, by=OPERATOR)
    with refused(NotFound):
        organizations.found(OrganizationSettings("new-1", "New"), "usr_nobody", by=OPERATOR)


def test_there_is_no_organization_of_an_unknown_name(acme: Flask) -> None:
    for ask in (organizations.find, scopes.organization_named, scopes.named):
        with pytest.raises(NotFound):
            ask("nowhere")
