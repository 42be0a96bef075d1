"""Contexts: what tokens are to speak for, in the order in which it is decided, and who may enter."""

import pytest
from flask import Flask

from idp.clients import clients
from idp.clients.clients import ClientContext
from idp.oauth import contexts
from idp.oauth.contexts import ContextLost, WantedContext
from idp.oauth.errors import AccessDenied, InvalidGrant, InvalidRequest, InvalidTarget
from idp.organizations import accounts, memberships, organizations
from idp.organizations.effective import Context
from idp.organizations.models import RoleGrant
from idp.organizations.organizations import OrganizationSettings
from idp.platform import clock, database
from tests.oauth.issuing import authorized, client, robot, shop
from tests.organizations.actors import (
    ACME,
    BIRCH,
    BOX,
    DAN,
    DE,
    INA,
    MIA,
    NICK,
    OLIVIA,
    OSLO,
    ROBOT,
    US,
    VERA,
    ZOE,
    act,
    at,
    give,
    grant_of,
    take,
    to,
)

KINDS = ("none", "organization", "account", "any")


# What a request names


def test_a_request_that_names_nothing_has_no_context(acme: Flask) -> None:
    assert contexts.asked() is None
    assert contexts.asked("", "", ("openid", "organization:", "organizations")) is None


@pytest.mark.parametrize(
    ("organization", "account", "scope", "meant"),
    [
        (ACME, "", "", Context(ACME)),
        ("acme", "", "", Context(ACME)),
        ("", "", f"openid organization:{ACME}", Context(ACME)),
        (ACME, "", "organization:acme", Context(ACME)),
        ("", DE, "", Context(ACME, DE)),
        ("", "", f"account:{DE}", Context(ACME, DE)),
        ("acme", "de", "", Context(ACME, DE)),
        ("acme", DE, "account:de", Context(ACME, DE)),
        ("", OSLO, "", Context(BIRCH, OSLO)),
        (ACME, OSLO, "", Context(ACME, OSLO)),
        ("nothing", "", "", Context("nothing")),
        ("acme", "nothing", "", Context(ACME, "nothing")),
        ("", "de", "", Context("", "de")),
        ("", "acct_nothing", "", Context("", "acct_nothing")),
    ],
)
def test_a_context_is_named_by_ids_slugs_and_keys(
    acme: Flask, organization: str, account: str, scope: str, meant: Context
) -> None:
    assert contexts.asked(organization, account, scope.split()) == meant


def test_a_former_slug_leads_to_its_organization(acme: Flask) -> None:
    act(organizations.reconfigure, ACME, OrganizationSettings("acme-and-sons", "Acme"))
    assert contexts.asked("acme") == contexts.asked("acme-and-sons") == Context(ACME)


@pytest.mark.rule("ORG-02")
@pytest.mark.parametrize(
    ("organization", "account", "scope"),
    [
        (ACME, "", f"organization:{BIRCH}"),
        ("acme", "", "organization:birch"),
        ("", DE, f"account:{US}"),
        ("", "", f"organization:{ACME} organization:{BIRCH}"),
        ("", "", f"account:{DE} account:{US}"),
    ],
)
def test_sources_that_disagree_are_an_invalid_request(acme: Flask, organization: str, account: str, scope: str) -> None:
    with pytest.raises(InvalidRequest):
        contexts.asked(organization, account, scope.split())


# In which order it is decided


def test_what_is_named_comes_before_the_hint_and_both_before_what_is_registered(acme: Flask) -> None:
    for kind in KINDS:
        registered = shop(f"app_{kind}", ClientContext(kind))
        named, hint = Context(ACME, DE), Context(ACME, US)
        assert contexts.wanted(registered, named, hint) == WantedContext("account", named)
        assert contexts.wanted(registered, None, hint) == WantedContext("account", hint)
        assert contexts.wanted(registered, None) == WantedContext(kind)
        assert contexts.wanted(registered, None).is_settled == (kind == "none")


def test_an_organization_narrows_the_choice_of_a_client_that_speaks_for_accounts(acme: Flask) -> None:
    for kind in ("none", "organization", "any"):
        registered = shop(f"app_{kind}", ClientContext(kind))
        assert contexts.wanted(registered, Context(ACME)) == WantedContext("organization", Context(ACME))
    wanted = contexts.wanted(shop("app_account", ClientContext("account")), Context(ACME), Context(ACME, DE))
    assert wanted == WantedContext("account", None, ACME)
    assert not wanted.is_settled


@pytest.mark.parametrize("fixed", [Context(ACME, DE), Context(ACME)])
def test_a_client_with_one_fixed_context_speaks_for_that_alone(acme: Flask, fixed: Context) -> None:
    registered = shop(context=ClientContext("fixed", fixed.organization_id, fixed.account_id or None))
    for named in (None, fixed, Context(ACME)):
        assert contexts.wanted(registered, named, Context(BIRCH)).context == fixed
    for other in (Context(BIRCH), Context(ACME, US), Context(BIRCH, OSLO)):
        with pytest.raises(InvalidTarget) as refused:
            contexts.wanted(registered, other)
        assert refused.value.error_detail == "client_not_enabled"


def test_a_machine_names_its_context_where_it_has_several(acme: Flask) -> None:
    assert contexts.wanted_by_machine(robot("app_0"), None) is None
    assert contexts.wanted_by_machine(robot("app_0a", owner=ACME), None) is None
    for number, kind in enumerate(KINDS[1:]):
        shared = robot(f"app_{number + 1}", ClientContext(kind))
        assert contexts.wanted_by_machine(shared, Context(ACME, DE)) == Context(ACME, DE)
        with pytest.raises(InvalidRequest):
            contexts.wanted_by_machine(shared, None)
    its_own = robot("app_4", ClientContext("organization"), owner=ACME)
    assert contexts.wanted_by_machine(its_own, None) == Context(ACME)
    fixed = robot("app_5", ClientContext("fixed", ACME, DE))
    assert contexts.wanted_by_machine(fixed, None) == Context(ACME, DE)
    with pytest.raises(InvalidTarget):
        contexts.wanted_by_machine(fixed, Context(ACME, US))


# Who may enter


def test_whoever_holds_a_role_enters_with_the_roles_of_now(acme: Flask) -> None:
    registered = shop()
    entered = contexts.enter(DAN.id, Context(ACME, DE), registered)
    assert entered.context == Context(ACME, DE)
    assert entered.roles is not None
    assert entered.roles.organization_roles == {"developer"}
    give(to(DAN, "analyst", at(DE)))
    again = contexts.enter(DAN.id, Context(ACME, DE), registered)
    assert again.roles is not None
    assert again.roles.account_roles == {"analyst"}


def test_without_a_context_nobody_is_asked_anything(acme: Flask) -> None:
    entered = contexts.enter(ZOE.id, None, shop())
    assert entered.context is None
    assert entered.head == entered.ends_at == clock.FOREVER


@pytest.mark.rule("ORG-05")
@pytest.mark.parametrize(
    ("person", "context"),
    [
        (ZOE.id, Context(ACME)),
        (INA.id, Context(ACME)),
        (NICK.id, Context(ACME)),
        (MIA.id, Context(ACME)),
        (MIA.id, Context(ACME, US)),
        (DAN.id, Context(BIRCH)),
        (DAN.id, Context(ACME, OSLO)),
        (DAN.id, Context("")),
        (DAN.id, Context("", DE)),
        (DAN.id, Context("acme")),
    ],
)
def test_where_no_role_is_effective_nobody_enters(acme: Flask, person: str, context: Context) -> None:
    registered = shop()
    with pytest.raises(InvalidTarget) as refused:
        contexts.enter(person, context, registered)
    assert refused.value.error_detail == "not_a_member"
    denied = contexts.denied(refused.value)
    assert (type(denied), denied.error_detail) == (AccessDenied, "not_a_member")


@pytest.mark.rule("ORG-05")
def test_nobody_enters_through_a_client_that_is_not_usable_there(acme: Flask) -> None:
    registered = {
        "another's": shop("app_1", owner=BIRCH),
        "not offered": shop("app_2", enabled_for=frozenset({BIRCH})),
        "switched off": shop("app_3"),
    }
    act(clients.switch, clients.named("app_3"), ACME, on=False)
    for one in registered.values():
        with pytest.raises(InvalidTarget) as refused:
            contexts.enter(DAN.id, Context(ACME), one)
        assert refused.value.error_detail == "client_not_enabled"
    act(clients.switch, clients.named("app_3"), ACME, on=True)
    for usable in (registered["switched off"], shop("app_4", owner=ACME), shop("app_5", enabled_for=frozenset({ACME}))):
        assert contexts.enter(DAN.id, Context(ACME), usable).context == Context(ACME)


def test_what_can_be_chosen_is_where_the_person_is_and_the_client_usable(acme: Flask) -> None:
    """Vera is in both organizations, Dan in one."""
    everywhere, here = shop("app_1"), shop("app_2", enabled_for=frozenset({ACME}))
    wanted = WantedContext("organization")
    assert set(contexts.possible(VERA.id, wanted, everywhere)) == {ACME, BIRCH}
    assert contexts.possible(VERA.id, wanted, here) == (ACME,)
    assert contexts.possible(DAN.id, wanted, everywhere) == (ACME,)
    assert contexts.possible(VERA.id, WantedContext("account", None, BIRCH), everywhere) == (BIRCH,)
    assert contexts.possible(VERA.id, WantedContext("account", None, BIRCH), here) == ()


def test_a_grant_that_ends_in_a_moment_is_left_out(acme: Flask) -> None:
    give(to(NICK, "analyst", at(DE), expires_at=clock.now() + 29 * clock.SECOND))
    with pytest.raises(InvalidTarget):
        contexts.enter(NICK.id, Context(ACME, DE), shop())
    ends_at = clock.now() + 40 * clock.SECOND
    give(to(NICK, "developer", at(DE), expires_at=ends_at))
    entered = contexts.enter(NICK.id, Context(ACME, DE), client("app_shop"))
    assert entered.roles is not None
    assert entered.roles.roles == {"developer"}
    assert entered.ends_at == ends_at


def test_a_grant_does_not_begin_to_count_before_its_time(acme: Flask) -> None:
    """What is left out early is not let in early: cooling-off is to the microsecond."""
    grant_id = give(to(NICK, "developer", at(DE)))
    with database.writing():
        database.session().get_one(RoleGrant, grant_id).effective_from = clock.now() + 20 * clock.SECOND
    with pytest.raises(InvalidTarget):
        contexts.enter(NICK.id, Context(ACME, DE), shop())


# Machines


def test_a_machine_enters_where_it_holds_a_role_itself(acme: Flask) -> None:
    give(to(ROBOT, "developer", at(DE)))
    entered = contexts.enter_as_machine(client(ROBOT), Context(ACME, DE))
    assert entered.roles is not None
    assert entered.roles.roles == {"developer"}
    for elsewhere, detail in (
        (Context(ACME), "not_a_member"),
        (Context(ACME, US), "not_a_member"),
        (Context(BIRCH), "client_not_enabled"),
        (Context(BIRCH, OSLO), "client_not_enabled"),
    ):
        with pytest.raises(InvalidTarget) as refused:
            contexts.enter_as_machine(client(ROBOT), elsewhere)
        assert refused.value.error_detail == detail


def test_a_machine_that_was_switched_off_enters_no_more(acme: Flask) -> None:
    shared = robot()
    give(to(shared.id, "developer"))
    assert contexts.enter_as_machine(shared, Context(ACME)).context == Context(ACME)
    act(clients.switch, clients.named(shared.id), ACME, on=False)
    with pytest.raises(InvalidTarget) as refused:
        contexts.enter_as_machine(shared, Context(ACME))
    assert refused.value.error_detail == "client_not_enabled"


def test_a_machine_that_was_disabled_meanwhile_gets_nothing(acme: Flask) -> None:
    shared = robot()
    assert contexts.enter_as_machine(shared, None).context is None
    act(clients.disable, clients.named(shared.id))
    with pytest.raises(InvalidGrant):
        contexts.enter_as_machine(shared, None)


# Again, with every token


@pytest.mark.rule("REF-10")
def test_what_was_decided_for_is_entered_with_the_roles_of_now(acme: Flask) -> None:
    registered = shop()
    authorization = authorized(registered, DAN.id, Context(ACME, DE))
    give(to(DAN, "analyst"))
    take(grant_of(DAN, "developer"))
    entered = contexts.enter_again(authorization, registered)
    assert entered.roles is not None
    assert entered.roles.roles == {"analyst"}


def _lose_the_role() -> None:
    take(grant_of(DAN, "developer"))


def _suspend_the_account() -> None:
    act(accounts.suspend, ACME, DE)


def _suspend_the_member() -> None:
    act(memberships.suspend, ACME, "mem_dan")


def _switch_the_client_off() -> None:
    act(clients.switch, clients.named("app_shop"), ACME, on=False)


@pytest.mark.parametrize("loss", [_lose_the_role, _suspend_the_account, _suspend_the_member, _switch_the_client_off])
def test_a_context_that_is_gone_is_lost(acme: Flask, loss: object) -> None:
    registered = shop()
    authorization = authorized(registered, DAN.id, Context(ACME, DE))
    assert callable(loss)
    loss()
    for named in (None, Context(ACME, DE)):
        with pytest.raises(ContextLost) as refused:
            contexts.enter_again(authorization, registered, named)
        assert refused.value.body()["error"] == "invalid_grant"
        assert refused.value.body()["error_detail"] == "context_lost"


def test_a_refresh_moves_within_the_organization(acme: Flask) -> None:
    registered = shop()
    authorization = authorized(registered, VERA.id, Context(ACME, DE))
    for context in (Context(ACME, BOX), Context(ACME, US), Context(ACME)):
        assert contexts.enter_again(authorization, registered, context).context == context


def test_a_refresh_moves_nowhere_that_the_person_may_not_be(acme: Flask) -> None:
    registered = shop()
    authorization = authorized(registered, MIA.id, Context(ACME, DE))
    with pytest.raises(InvalidTarget) as refused:
        contexts.enter_again(authorization, registered, Context(ACME, US))
    assert refused.value.error_detail == "not_a_member"


@pytest.mark.rule("ORG-05")
def test_only_the_operators_own_move_to_another_organization(acme: Flask) -> None:
    third, first = shop("app_third"), shop("app_first", first_party=True)
    for context in (Context(ACME), None):
        with pytest.raises(InvalidTarget):
            contexts.enter_again(authorized(third, VERA.id, context), third, Context(BIRCH))
        moved = contexts.enter_again(authorized(first, VERA.id, context), first, Context(BIRCH))
        assert moved.context == Context(BIRCH)


def test_a_client_with_one_fixed_context_moves_nowhere(acme: Flask) -> None:
    registered = shop(context=ClientContext("fixed", ACME, DE), first_party=True)
    authorization = authorized(registered, OLIVIA.id, Context(ACME, DE))
    assert contexts.enter_again(authorization, registered, Context(ACME)).context == Context(ACME, DE)
    for other in (Context(ACME, US), Context(BIRCH)):
        with pytest.raises(InvalidTarget):
            contexts.enter_again(authorization, registered, other)
