"""What entering a context takes: the strictest of what its organization and the roles held in it demand."""

from typing import Any

import pytest
from flask import Flask

from idp.clients import apis
from idp.clients.apis import ApiSettings
from idp.organizations import domains, entry, policies, roles, teams
from idp.organizations.effective import Context, Holder, effective_roles, now
from idp.organizations.entry import ANYWHERE, Entry
from idp.organizations.policies import PolicySettings
from idp.organizations.roles import Permitted, RoleSettings
from idp.platform import clock, database
from idp.users import addresses, users
from tests.organizations.actors import (
    ACME,
    ADAM,
    BIRCH,
    BOX,
    DAN,
    DE,
    EU,
    IRIS,
    MIA,
    NICK,
    OLIVIA,
    OPS,
    SAM,
    US,
    VERA,
    X_DESK,
    act,
    at,
    give,
    grant_of,
    member,
    role,
    take,
    to,
)

PAYMENTS = "https://payments.example.com"


def takes(who: Any, account_id: str = "", *, organization_id: str = ACME) -> Entry:
    """What it takes of somebody there, now."""
    database.session().rollback()
    held = effective_roles(Holder(who.id), Context(organization_id, account_id), now())
    return entry.of(who.id, held)


def demand(organization_id: str = ACME, **policy: Any) -> None:
    """Let this be the policy."""
    act(policies.change, organization_id, PolicySettings(**policy))


def prove_domain(name: str, organization_id: str = ACME) -> None:
    """Let the organization have proven the domain."""
    act(domains.claim, organization_id, name)
    act(domains.confirm, organization_id, domains.find(organization_id, name).id)


def test_without_a_context_nothing_is_demanded(acme: Flask) -> None:
    demand(mfa="required", privileged="phr")
    assert entry.of(OLIVIA.id, None) is ANYWHERE


# Of everybody


@pytest.mark.rule("TOT-07")
@pytest.mark.parametrize(("mfa", "levels"), [("off", ()), ("optional", ()), ("required", ("aal2",))])
def test_an_organization_demands_a_second_factor_of_everybody_or_of_nobody(
    acme: Flask, mfa: str, levels: tuple[str, ...]
) -> None:
    demand(mfa=mfa)
    for who, where in ((OLIVIA, ""), (DAN, ""), (DAN, DE), (VERA, BOX)):
        assert set(takes(who, where).levels) - {"aal1"} == set(levels)
    assert takes(VERA, organization_id=BIRCH).levels == ()


def test_an_organization_that_has_said_nothing_takes_any_proof_of_a_day(acme: Flask) -> None:
    assert takes(DAN) == Entry(idle=28_800 * clock.SECOND, longest=86_400 * clock.SECOND)


def test_methods_lifetimes_and_trust_are_those_of_the_policy(acme: Flask) -> None:
    demand(methods=("passkey", "totp"), session_idle=600, session_max=3_600, trusted_devices=False)
    found = takes(DAN, DE)
    assert (found.methods, found.trusts_devices) == (("passkey", "totp"), False)
    assert (found.idle, found.longest) == (600 * clock.SECOND, 3_600 * clock.SECOND)
    assert takes(VERA, organization_id=BIRCH).methods == policies.METHODS


# Of who may give access


@pytest.mark.rule("TOT-07")
def test_who_may_change_who_gets_in_proves_as_much_as_the_policy_says(acme: Flask) -> None:
    demand(privileged="phr")
    for who in (OLIVIA, SAM, ADAM, IRIS):
        assert takes(who).levels == ("phr",), who
        assert takes(who, DE).levels == ("phr",), who
    for who in (DAN, VERA):
        assert takes(who).levels == (), who
    assert takes(MIA, DE).levels == ("phr",)
    demand(mfa="required", privileged="phr")
    assert set(takes(SAM).levels) == {"aal2", "phr"}
    assert takes(DAN).levels == ("aal2",)


def test_a_role_counts_where_it_is_held(acme: Flask) -> None:
    """Mia is privileged in one account, and holds nothing but `view_only` elsewhere."""
    demand(privileged="phr")
    give(to(MIA, "view_only"))
    assert takes(MIA, DE).levels == ("phr",)
    assert takes(MIA, US).levels == takes(MIA).levels == ()


def test_a_role_of_a_team_counts_as_ones_own(acme: Flask) -> None:
    demand(privileged="aal2")
    give(to(OPS, "iam_admin", at(EU)))
    assert takes(DAN, DE).levels == ()
    act(teams.add, ACME, OPS, [member(DAN)])
    assert takes(DAN, DE).levels == ("aal2",)
    assert takes(DAN, US).levels == ()


def test_a_role_of_ones_own_making_is_privileged_by_what_it_allows(acme: Flask) -> None:
    demand(privileged="phr")
    give(to(NICK, "x_desk"))
    assert takes(NICK).levels == ()
    act(roles.change, ACME, X_DESK, role("x_desk", "refunds.write", "members.write"))
    assert takes(NICK).levels == ("phr",)
    act(apis.declare, ApiSettings(PAYMENTS, "Payments", (), {"members.write": ("developer",)}))
    act(roles.change, ACME, X_DESK, role("x_desk", Permitted("members.write", audience=PAYMENTS)))
    assert takes(NICK).levels == (), "a permission of another API gives no access here"
    give(to(NICK, "x_gate"))
    assert takes(NICK).levels == ("phr",)


# By themselves


@pytest.mark.rule("TOT-07")
def test_a_role_may_demand_something_by_itself(acme: Flask) -> None:
    wanted = RoleSettings("x_desk", "Desk", frozenset({Permitted("refunds.write")}), demands="phr")
    act(roles.change, ACME, X_DESK, wanted)
    give(to(NICK, "x_desk", at(DE)))
    give(to(NICK, "transfer_analyst"))
    assert set(takes(NICK, DE).levels) == {"phr", "aal2"}
    assert takes(NICK).levels == ("aal2",)
    take(grant_of(NICK, "transfer_analyst"))
    assert takes(NICK, DE).levels == ("phr",)


# Of guests


def test_where_no_domain_is_proven_there_are_no_guests(acme: Flask) -> None:
    demand(guests="sso_only")
    act(domains.claim, ACME, "example.com")
    assert takes(DAN) == Entry(idle=28_800 * clock.SECOND, longest=86_400 * clock.SECOND)


@pytest.mark.rule("TOT-07")
@pytest.mark.parametrize(
    ("guests", "levels", "takes_sso"), [("mfa", ("aal2",), False), ("any", (), False), ("sso_only", (), True)]
)
def test_who_has_no_address_in_a_proven_domain_is_a_guest(
    acme: Flask, guests: str, levels: tuple[str, ...], takes_sso: bool
) -> None:
    demand(guests=guests)
    prove_domain("acme.example")
    assert (takes(DAN).levels, takes(DAN, DE).takes_sso) == (levels, takes_sso)
    prove_domain("example.com")
    assert (takes(DAN).levels, takes(DAN).takes_sso) == ((), False)


def test_an_address_counts_once_it_is_verified_and_as_long_as_it_is_there(acme: Flask) -> None:
    prove_domain("acme.example")
    dan = users.named(DAN.id)
    address = act(addresses.add, dan, "dan@acme.example")
    assert takes(DAN).levels == ("aal2",)
    act(addresses.verify, dan, address)
    assert takes(DAN).levels == ()
    act(addresses.remove, dan, address)
    assert takes(DAN).levels == ("aal2",)


def test_a_domain_of_another_organization_makes_nobody_at_home_here(acme: Flask) -> None:
    prove_domain("acme.example")
    prove_domain("example.com", BIRCH)
    assert takes(VERA).levels == ("aal2",)
    assert takes(VERA, organization_id=BIRCH).levels == ()
    act(domains.release, ACME, domains.find(ACME, "acme.example").id)
    assert takes(VERA).levels == ()
