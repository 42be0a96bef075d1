"""Where a person may work: what is offered, what is the only one, and what may be chosen."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from idp.login import contexts
from idp.login.contexts import Question
from idp.login.demands import Demand
from idp.organizations import accounts, grants, memberships, organizations, scopes
from idp.organizations.effective import Context
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.platform import database
from idp.platform.errors import NotFound
from tests.flows import people
from tests.traces import OPERATOR

ANY = Demand(context="any")
EVERYTHING = Question()


@pytest.fixture
def world(app: Flask) -> Flask:
    people.build()
    database.session().rollback()
    return app


def shown(user_id: str, demand: Demand = ANY, question: Question = EVERYTHING) -> list[str]:
    """The ids that the person may choose from."""
    database.session().rollback()
    found = contexts.offers(user_id, demand, question)
    return [
        choice
        for offer in found
        for choice in ([offer.organization.id] if offer.itself else []) + [account.id for account in offer.accounts]
    ]


@pytest.mark.parametrize(
    ("user_id", "kind", "ids"),
    [
        ("usr_olivia", "any", ["org_northwind", "acct_northwind_box", "acct_northwind_eu", "acct_northwind_us"]),
        ("usr_olivia", "organization", ["org_northwind"]),
        ("usr_olivia", "account", ["acct_northwind_box", "acct_northwind_eu", "acct_northwind_us"]),
        ("usr_tom", "any", ["acct_northwind_box", "acct_northwind_eu", "acct_northwind_us"]),
        ("usr_una", "any", ["acct_northwind_eu"]),
        ("usr_una", "organization", []),
        ("usr_nick", "any", []),
    ],
)
def test_what_is_offered_is_what_somebody_has_a_role_in(world: Flask, user_id: str, kind: str, ids: list[str]) -> None:
    demand = Demand(context=kind)
    assert shown(user_id, demand) == ids
    only = contexts.only_one(user_id, demand)
    assert (only and (only.account_id or only.organization_id)) == (ids[0] if len(ids) == 1 else None)
    northwind = ["org_northwind", "acct_northwind_box", "acct_northwind_eu", "acct_northwind_us"]
    others = [
        "org_hundreds",
        "acct_hundreds_s000",
        "acct_unknown",
        "org_unknown",
        "northwind",
        "northwind/eu",
        "",
        "agrp_x",
    ]
    every = northwind + others
    assert [one for one in every if is_possible(user_id, demand, one)] == [one for one in every if one in ids]


def is_possible(user_id: str, demand: Demand, context_id: str) -> bool:
    """Whether the person may choose the context with that id."""
    try:
        found = contexts.chosen(user_id, demand, context_id)
    except NotFound:
        return False
    assert context_id in (found.organization_id, found.account_id)
    return True


def test_a_demand_may_name_the_organization(world: Flask) -> None:
    elsewhere = Demand(context="any", organizations=("org_hundreds",))
    assert shown("usr_olivia", elsewhere) == []
    assert not is_possible("usr_olivia", elsewhere, "acct_northwind_eu")
    assert contexts.only_one("usr_olivia", elsewhere) is None
    assert contexts.only_one("usr_olivia", Demand(context="organization", organizations=("org_northwind",))) == Context(
        "org_northwind"
    )


@pytest.mark.rule("ORG-10")
def test_what_ends_is_offered_no_longer_and_cannot_be_chosen(world: Flask) -> None:
    with database.writing():
        accounts.suspend("org_northwind", "acct_northwind_eu", by=OPERATOR)
    assert "acct_northwind_eu" not in shown("usr_olivia")
    assert not is_possible("usr_olivia", ANY, "acct_northwind_eu")
    with database.writing():
        organizations.suspend("org_northwind", by=OPERATOR)
    assert shown("usr_olivia") == []
    assert not is_possible("usr_olivia", ANY, "org_northwind")


def test_three_hundred_accounts_are_leafed_through_and_searched(world: Flask) -> None:
    (first,) = contexts.offers("usr_mona", ANY, Question())
    assert (first.itself, len(first.accounts), first.more_after) == (True, 50, "s049")
    (second,) = contexts.offers("usr_mona", ANY, Question(organization="hundreds", after=first.more_after))
    assert (second.itself, second.accounts[0].key) == (False, "s050")
    (last,) = contexts.offers("usr_mona", ANY, Question(organization="hundreds", after="s249"))
    assert (len(last.accounts), last.more_after) == (50, "")
    assert shown("usr_mona", question=Question("SHOP 29")) == [f"acct_hundreds_s29{n}" for n in range(10)]
    assert shown("usr_mona", question=Question("%")) == []
    assert shown("usr_mona", question=Question("hundreds"))[0] == "org_hundreds"
    assert shown("usr_mona", question=Question(organization="northwind")) == []


def test_three_hundred_accounts_cost_as_many_statements_as_three(world: Flask) -> None:
    costs = {statements_of(user_id) for user_id in ("usr_olivia", "usr_mona")}
    assert len(costs) == 1
    assert costs.pop() <= 5


def statements_of(user_id: str) -> int:
    """How many statements it costs to offer the person what there is."""
    said: list[str] = []

    def listen(*given: Any) -> None:
        said.append(given[2])

    database.session().rollback()
    event.listen(database.db.engine, "before_cursor_execute", listen)
    contexts.offers(user_id, ANY, EVERYTHING)
    event.remove(database.db.engine, "before_cursor_execute", listen)
    return len([one for one in said if one.startswith(("SELECT", "WITH"))])


def test_of_many_organizations_the_accounts_are_shown_when_asked_for(world: Flask) -> None:
    with database.writing():
        for number in range(contexts.AT_ONCE):
            key = f"many{number}"
            organizations.found(OrganizationSettings(key, f"Many {number}"), "usr_otto", id=f"org_{key}", by=OPERATOR)
            memberships.add(f"org_{key}", NewMember("usr_olivia", id=f"mem_{key}"), by=OPERATOR)
            wanted = Wanted(Grantee("member", f"mem_{key}"), "view_only", scopes.named(key))
            grants.grant(wanted, by=OPERATOR)
    found = contexts.offers("usr_olivia", ANY, Question())
    assert len(found) == contexts.AT_ONCE + 1
    assert not any(offer.is_open or offer.accounts for offer in found)
    assert all(offer.itself for offer in found)
    (opened,) = contexts.offers("usr_olivia", ANY, Question(organization="northwind"))
    assert [account.key for account in opened.accounts] == ["box", "eu", "us"]
    assert shown("usr_olivia", question=Question("eu shop")) == ["acct_northwind_eu"]
