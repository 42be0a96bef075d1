"""Why somebody may do something, or why not: the verdict of `effective`, and the whole chain that leads to it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from flask import Flask

from idp.audit.trail import Actor
from idp.clients import apis, clients
from idp.clients.apis import ApiSettings
from idp.organizations import (
    account_groups,
    accounts,
    grants,
    memberships,
    moves,
    organizations,
    ownership,
    policies,
    roles,
    teams,
)
from idp.organizations import explain as explanations
from idp.organizations.effective import Holder, effective_roles, held_permissions, past, permissions_in
from idp.organizations.explain import Explanation, Link, Path, explain
from idp.organizations.memberships import NewMember
from idp.organizations.policies import PolicySettings
from idp.organizations.scopes import Scope
from idp.platform import clock, database
from idp.platform.errors import Invalid
from idp.platform.settings import settings
from idp.users import lifecycle, users
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
    HOUSE,
    INA,
    IRIS,
    MIA,
    NICK,
    OLIVIA,
    OPS,
    OSLO,
    ROBOT,
    SAM,
    US,
    VERA,
    X_DESK,
    ZOE,
    act,
    at,
    at_once,
    give,
    grant_of,
    holder,
    role,
    take,
    to,
)


@pytest.fixture(autouse=True)
def watch() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC), tick=False) as traveller:
        yield traveller


def why(who: Actor, asked: str, scope: str = ACME, *, when: int | None = None) -> Explanation:
    """The explanation, after seeing that `effective` says the same."""
    database.session().rollback()
    place, moment = at(scope), past(when) if when else None
    explained = explain(holder(who), asked, place, moment)
    assert explained.allowed == decided(holder(who), asked, place, when)
    assert explained.would_change
    return explained


def decided(who: Holder, asked: str, scope: Scope, when: int | None) -> bool:
    moment = past(when) if when else None
    there = effective_roles(who, scope.context, moment)
    permitted = permissions_in(held_permissions(who, scope.context, moment), livemode=there.livemode)
    return asked in there.roles | permitted


def broken(explained: Explanation) -> list[str]:
    """What does not hold in the one path of the chain."""
    [path] = explained.chain
    assert not explained.allowed
    assert not path.counts
    return [link.says for link in path.links if not link.holds]


def the_one(explained: Explanation) -> Path:
    [path] = explained.chain
    assert explained.allowed
    assert path.counts
    assert all(link.holds for link in path.links)
    return path


# Yes


def test_a_grant_on_the_account_is_named(acme: Flask) -> None:
    explained = why(MIA, "members.write", DE)
    path = the_one(explained)
    assert (path.role, path.grant_id, path.source) == ("iam_admin", grant_of(MIA, "iam_admin"), "manual")
    assert [link.says for link in path.links] == [
        f"The role iam_admin allows members.write at {settings().issuer}",
        "The grant of iam_admin (manual) has not been ended",
        "The person is enabled",
        "The person is a member of the organization",
        "The membership is active",
        "The organization is active",
        "The account belongs to the organization",
        "The account is active",
    ]
    assert explained.would_change == (f"It would be lost by ending {path.grant_id}.",)


def test_inheritance_from_the_organization_is_named(acme: Flask) -> None:
    path = the_one(why(DAN, "refunds.write", DE))
    assert Link("scope", True, "Held on the organization, it reaches every account") in path.links


def test_a_group_and_a_team_are_named(acme: Flask) -> None:
    assert Link("group", True, "The account is in the group Europe") in the_one(why(GREG, "iam_admin", DE)).links
    give(to(OPS, "analyst", at(EU)))
    act(teams.add, ACME, OPS, ["mem_nick"])
    links = the_one(why(NICK, "analyst", DE)).links
    assert Link("team", True, "The person is in the team Operations") in links
    assert Link("group", True, "The account is in the group Europe") in links


def test_ownership_is_named(acme: Flask) -> None:
    explained = why(OLIVIA, "super_admin", DE)
    path = the_one(explained)
    assert (path.role, path.grant_id, path.source) == ("super_admin", "", "ownership")
    assert path.links[0].says == "The person owns the organization, and is super_admin by that"
    assert "the ownership" in explained.would_change[0]


def test_every_way_is_named_and_those_that_count_come_first(acme: Flask) -> None:
    ended = give(to(NICK, "analyst", at(US)))
    take(ended)
    here, everywhere = give(to(NICK, "analyst", at(US))), give(to(NICK, "analyst"))
    explained = why(NICK, "analyst", US)
    assert [path.counts for path in explained.chain] == [True, True, False]
    assert {path.grant_id for path in explained.chain[:2]} == {here, everywhere}
    assert explained.chain[2].grant_id == ended
    assert here in explained.would_change[0]
    assert everywhere in explained.would_change[0]


def test_an_api_client_is_explained_as_people_are(acme: Flask) -> None:
    give(to(ROBOT, "developer", at(DE)))
    assert "The client is enabled" in [link.says for link in the_one(why(HOUSE, "refunds.write", DE)).links]
    act(clients.disable, clients.named(ROBOT))
    assert broken(why(HOUSE, "refunds.write", DE)) == ["The client is enabled"]


def test_what_every_member_may_is_explained(acme: Flask) -> None:
    assert the_one(why(NICK, "accounts.read")).source == "membership"
    assert "Some role is effective there" in broken(why(NICK, "accounts.read", DE))
    assert broken(why(INA, "organization.read")) == ["The membership is active"]
    assert broken(why(ZOE, "organization.read")) == [
        "The person is a member of the organization",
        "The membership is active",
    ]


# No


def test_an_ended_grant(acme: Flask) -> None:
    take(grant_of(DAN, "developer"))
    assert broken(why(DAN, "developer")) == ["The grant of developer (manual) has not been ended"]


def test_an_expired_grant(acme: Flask, watch: time_machine.Traveller) -> None:
    give(to(NICK, "analyst", expires_at=clock.now() + clock.HOUR))
    the_one(why(NICK, "analyst"))
    watch.shift(3_600)
    assert broken(why(NICK, "analyst")) == ["The grant expires at 2027-01-01T01:00:00.000000Z"]


def test_a_grant_that_cools_off(acme: Flask, watch: time_machine.Traveller) -> None:
    act(policies.change, ACME, PolicySettings(cooling_off=3_600))
    give(to(NICK, "developer"), by=OLIVIA)
    assert broken(why(NICK, "developer")) == ["The grant counts from 2027-01-01T01:00:00.000000Z"]
    watch.shift(3_600)
    the_one(why(NICK, "developer"))


def test_a_disabled_person(acme: Flask) -> None:
    act(lifecycle.disable, users.find(DAN.id))
    assert broken(why(DAN, "developer")) == ["The person is enabled"]


def test_a_suspended_membership(acme: Flask) -> None:
    act(memberships.suspend, ACME, "mem_dan")
    assert broken(why(DAN, "developer")) == ["The membership is active"]


def test_a_former_membership(acme: Flask) -> None:
    act(memberships.remove, ACME, "mem_dan")
    assert broken(why(DAN, "developer")) == [
        "The grant of developer (manual) has not been ended",
        "The grant belongs to a former membership",
        "The person is a member of the organization",
        "The membership is active",
    ]
    act(memberships.add, ACME, NewMember(DAN.id))
    assert broken(why(DAN, "developer")) == [
        "The grant of developer (manual) has not been ended",
        "The grant belongs to a former membership",
    ]


def test_a_suspended_organization(acme: Flask) -> None:
    act(organizations.suspend, ACME)
    assert broken(why(OLIVIA, "super_admin", DE)) == ["The organization is active"]


def test_a_suspended_account(acme: Flask) -> None:
    act(accounts.suspend, ACME, DE)
    assert broken(why(MIA, "iam_admin", DE)) == ["The account is active"]
    assert broken(why(OLIVIA, "payouts.write", DE)) == ["The account is active"]


def test_a_team_that_was_left(acme: Flask, watch: time_machine.Traveller) -> None:
    give(to(OPS, "analyst"))
    act(teams.add, ACME, OPS, ["mem_nick"])
    watch.shift(1)
    act(teams.remove, ACME, OPS, "mem_nick")
    assert broken(why(NICK, "analyst")) == ["The person is in the team Operations"]
    watch.shift(1)
    act(teams.add, ACME, OPS, ["mem_nick"])
    the_one(why(NICK, "analyst"))


def test_a_group_that_the_account_has_left(acme: Flask) -> None:
    act(account_groups.remove, ACME, EU, DE)
    assert broken(why(GREG, "iam_admin", DE)) == ["The account is in the group Europe"]


def test_a_former_stay_of_an_account(acme: Flask, watch: time_machine.Traveller) -> None:
    watch.shift(1)
    act(moves.accept, BIRCH, act(moves.offer, ACME, DE, BIRCH).id, by=BORIS)
    watch.shift(1)
    back = act(moves.offer, BIRCH, DE, ACME).id
    act(moves.accept, ACME, back, by=OLIVIA)
    assert broken(why(MIA, "iam_admin", DE)) == [
        "The grant of iam_admin (manual) has not been ended",
        "The grant belongs to a former stay of the account in the organization",
    ]


def test_a_role_that_allows_it_in_the_other_mode_only(acme: Flask) -> None:
    give(to(NICK, "sandbox_admin"))
    the_one(why(NICK, "refunds.write", BOX))
    explained = why(NICK, "refunds.write", DE)
    assert not explained.allowed
    assert explained.chain == ()
    assert "developer" in explained.would_change[-1]
    assert "sandbox_admin" not in explained.would_change[-1]


def test_a_permission_is_told_with_the_apis_that_the_role_allows_it_at(acme: Flask) -> None:
    audience = "https://payments.example.com"
    act(apis.declare, ApiSettings(audience, "Payments", permissions={"refunds.write": ("view_only",)}))
    at_both = f"The role admin allows refunds.write at {settings().issuer}, {audience}"
    assert the_one(why(ADAM, "refunds.write")).links[0] == Link("permission", True, at_both)
    at_one = f"The role view_only allows refunds.write at {audience}"
    assert the_one(why(VERA, "refunds.write")).links[0] == Link("permission", True, at_one)


def test_a_permission_that_is_named_like_a_role_is_told_apart_from_it(acme: Flask) -> None:
    declared = ApiSettings("https://ledger.example.com", "Ledger", permissions={"developer": ("view_only",)})
    act(apis.declare, declared)
    with pytest.raises(Invalid, match="say which"):
        explain(holder(DAN), "developer", at(ACME))
    for who, holds_role, may in ((DAN, True, False), (VERA, False, True), (OLIVIA, False, True)):
        assert explain(holder(who), "developer", at(ACME), kind="role").allowed == holds_role
        assert explain(holder(who), "developer", at(ACME), kind="permission").allowed == may


def test_nobody_can_hold_what_nobody_declares(acme: Flask) -> None:
    explained = why(OLIVIA, "nothing.at_all")
    assert explained == Explanation(False, (), ("No role of this organization gives it.",))


def test_what_would_change_a_no_is_said_in_sentences(acme: Flask) -> None:
    act(memberships.suspend, ACME, "mem_dan")
    explained = why(DAN, "developer", DE)
    assert explained.would_change == (
        "It would be held if this were so: The membership is active.",
        "It would be held with one of these roles here: developer, once this is so: The membership is active.",
    )


def test_the_former_owner_is_not_explained_by_ownership(acme: Flask) -> None:
    act(ownership.transfer, ACME, "mem_sam")
    assert why(OLIVIA, "super_admin").chain == ()
    assert {path.source for path in why(SAM, "super_admin").chain} == {"ownership", "manual"}


# Then


def test_the_past_is_explained_as_it_was(acme: Flask, watch: time_machine.Traveller) -> None:
    watch.shift(1)
    give(to(NICK, "x_desk", at(DE)))
    granted = clock.now()
    watch.shift(10)
    act(roles.change, ACME, X_DESK, role("x_desk", "payouts.read"))
    narrowed = clock.now()
    watch.shift(10)
    act(memberships.suspend, ACME, "mem_nick")
    suspended = clock.now()
    watch.shift(10)
    act(memberships.remove, ACME, "mem_nick")
    assert not why(NICK, "x_desk", DE, when=granted - 1).allowed
    the_one(why(NICK, "refunds.write", DE, when=granted))
    assert not why(NICK, "refunds.write", DE, when=narrowed).allowed
    the_one(why(NICK, "payouts.read", DE, when=narrowed))
    assert broken(why(NICK, "payouts.read", DE, when=suspended)) == ["The membership is active"]
    assert not why(NICK, "x_desk", DE).allowed


def test_a_deleted_role_is_explained_as_it_was(acme: Flask, watch: time_machine.Traveller) -> None:
    give(to(NICK, "x_desk"))
    held = clock.now()
    watch.shift(1)
    act(roles.delete, ACME, X_DESK)
    gone = clock.now()
    watch.shift(1)
    act(roles.create, ACME, role("x_desk", "refunds.write"))
    the_one(why(NICK, "x_desk", when=held))
    the_one(why(NICK, "refunds.write", when=held))
    for when in (gone, None):
        assert not why(NICK, "x_desk", when=when).allowed
        assert not why(NICK, "refunds.write", when=when).allowed


def test_where_an_account_was_then_is_asked_there(acme: Flask, watch: time_machine.Traveller) -> None:
    stay, then = at(DE), clock.now()
    watch.shift(1)
    act(moves.accept, BIRCH, act(moves.offer, ACME, DE, BIRCH).id, by=BORIS)
    assert explain(holder(MIA), "iam_admin", stay, past(then)).allowed
    assert not explain(holder(MIA), "iam_admin", stay).allowed
    assert not why(BORIS, "super_admin", DE, when=then).allowed
    the_one(why(BORIS, "super_admin", DE))


@pytest.mark.rule("ORG-11")
def test_nothing_is_said_of_another_organization(acme: Flask) -> None:
    explained = why(VERA, "refunds.write")
    assert BIRCH not in repr(explained)
    assert all("birch" not in path.grant_id for path in explained.chain)
    assert why(OLIVIA, "super_admin", OSLO).chain == ()
    theirs = give(grants.Wanted(grants.Grantee("member", "mem_bea"), "analyst", at(OSLO)))
    assert theirs not in repr([why(who, "analyst", DE) for who in (BORIS, ADAM, IRIS)])


def test_a_change_in_the_middle_of_an_answer_is_no_contradiction(acme: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    grant_id = give(to(NICK, "developer"))
    verdict = explanations._holds

    def overtaken(*asked: Any) -> bool:
        monkeypatch.setattr(explanations, "_holds", verdict)
        at_once(acme, lambda: take(grant_id))
        return verdict(*asked)

    monkeypatch.setattr(explanations, "_holds", overtaken)
    assert explain(Holder(NICK.id), "developer", at(ACME)).allowed is False
