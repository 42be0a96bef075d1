"""What a principal may: scope and role, in the account concerned, and what the person has proved."""

from typing import Any

import pytest

from idp_verifier import (
    Forbidden,
    InsufficientAuthentication,
    InsufficientScope,
    Principal,
    Unavailable,
    Verifier,
)
from tests.verifier.conftest import Make
from tests.verifier.provider import NOW, FakeClock, FakeProvider

ACCOUNT = "/oauth2/accounts/acct_1"


def record(**other: Any) -> dict[str, Any]:
    return {"account_id": "acct_1", "org_id": "org_a", "livemode": True, "status": "active"} | other


@pytest.fixture
def calling(verifier: Verifier, provider: FakeProvider) -> Principal:
    """Alice, in her organization."""
    provider.accounts["acct_1"] = record()
    return verifier.verify(provider.token())


def test_it_says_what_the_token_says(verifier: Verifier, provider: FakeProvider) -> None:
    claims: dict[str, Any] = {
        "account_id": "acct_1",
        "account_roles": ["developer"],
        "roles": ["developer", "view_only"],
    }
    principal = verifier.verify(provider.token(**claims, act={"sub": "usr_op"}, scope="payments email"))
    assert (principal.subject, principal.client_id, principal.actor) == ("usr_alice", "app_shop", "usr_op")
    assert (principal.organization_id, principal.account_id, principal.livemode) == ("org_a", "acct_1", True)
    assert (principal.acr, principal.amr, principal.auth_time) == ("aal1", ("pwd",), NOW - 60)
    assert principal.roles == {"developer", "view_only"}
    assert principal.organization_roles == {"view_only"}
    assert principal.account_roles == {"developer"}
    assert principal.scope == {"payments", "email"}
    assert (principal.permissions, principal.session_id) == (None, "ses_1")
    assert principal.claims["scope"] == "payments email"
    assert principal.is_person


# Permissions, roles, scope


def test_permissions_of_the_token_decide(verifier: Verifier, provider: FakeProvider) -> None:
    principal = verifier.verify(provider.token(permissions=["payments.read"], roles=["super_admin"]))
    principal.require("payments.read")
    with pytest.raises(Forbidden, match=r"refunds\.write"):
        principal.require("refunds.write")


def test_where_it_lists_none_the_roles_decide_that_the_service_named(make: Make, provider: FakeProvider) -> None:
    verifier = make(permissions={"refunds.write": ["refund_analyst"], "payments.read": ["view_only"]})
    verifier.poll()
    principal = verifier.verify(provider.token(permissions_omitted=True))
    assert principal.may("payments.read")
    assert not principal.may("refunds.write")
    assert not principal.may("payouts.write")
    assert not verifier.verify(provider.token(permissions=[])).may("payments.read")


def test_a_role_can_be_asked_for_itself(calling: Principal) -> None:
    calling.require(role="view_only")
    with pytest.raises(Forbidden):
        calling.require(role="developer")


def test_the_scope_has_to_cover_it_whatever_the_roles_allow(verifier: Verifier, provider: FakeProvider) -> None:
    principal = verifier.verify(provider.token(permissions=["payments.read"], scope="payments"))
    principal.require("payments.read", scope="payments")
    with pytest.raises(InsufficientScope) as refused:
        principal.require("payments.read", scope="payments payouts")
    assert refused.value.challenge() == (
        'Bearer error="insufficient_scope", error_description="The token does not cover this.", '
        'scope="payments payouts"'
    )
    assert not principal.may("payments.read", scope="payouts")


# The account concerned


def test_a_token_for_one_account_is_for_no_other(verifier: Verifier, provider: FakeProvider) -> None:
    provider.accounts["acct_2"] = record(account_id="acct_2")
    principal = verifier.verify(provider.token(account_id="acct_1"))
    principal.require(account="acct_1")
    with pytest.raises(Forbidden):
        principal.require(account="acct_2")
    assert not any(asked.path.startswith("/oauth2/accounts") for asked in provider.asked)


def test_a_token_for_an_organization_is_for_its_accounts(calling: Principal, provider: FakeProvider) -> None:
    calling.require(account="acct_1")
    calling.require(account="acct_1")
    assert provider.count(ACCOUNT) == 1


@pytest.mark.parametrize(
    "other",
    [{"org_id": "org_b"}, {"status": "suspended"}, {"livemode": False}, {"org_id": "org_b", "status": "suspended"}],
)
def test_accounts_of_others_suspended_ones_and_sandboxes_are_none_of_them(
    calling: Principal, provider: FakeProvider, other: dict[str, Any]
) -> None:
    provider.accounts["acct_1"] = record(**other)
    with pytest.raises(Forbidden):
        calling.require(account="acct_1")


def test_an_account_that_is_not_there_is_not_told_from_one_of_others(
    calling: Principal, provider: FakeProvider
) -> None:
    provider.accounts["acct_2"] = record(account_id="acct_2", org_id="org_b")
    told = []
    for account in ("acct_2", "acct_none", "../introspect", "..", "é/ü", "a?b", "x" * 1_000):
        with pytest.raises(Forbidden) as refused:
            calling.require(account=account)
        told.append(refused.value.description)
    assert len(set(told)) == 1
    assert {asked.path for asked in provider.asked if asked.path.startswith("/oauth2/a")} == {
        "/oauth2/accounts/acct_2",
        "/oauth2/accounts/acct_none",
    }


def test_a_token_without_organization_is_for_no_account(verifier: Verifier, provider: FakeProvider) -> None:
    provider.accounts["acct_1"] = record(org_id="")
    with pytest.raises(Forbidden):
        verifier.verify(provider.token(org_id=None)).require(account="acct_1")


@pytest.mark.parametrize("match", [{"org_id": "org_a", "account_id": "acct_1"}, {"org_id": "org_a"}, {}])
def test_an_entry_that_names_the_account_or_stands_for_such_drops_its_record(
    calling: Principal, verifier: Verifier, provider: FakeProvider, match: dict[str, str]
) -> None:
    calling.require(account="acct_1")
    provider.accounts["acct_1"] = record(status="suspended")
    calling.require(account="acct_1")
    for other in ({"org_id": "org_b"}, {"account_id": "acct_2"}, {"org_id": "org_a", "sub": "usr_bob"}):
        provider.lose(**other)
    verifier.poll()
    calling.require(account="acct_1")
    assert provider.count(ACCOUNT) == 1
    provider.lose(**match)
    verifier.poll()
    with pytest.raises(Forbidden):
        calling.require(account="acct_1")
    provider.accounts["acct_1"] = record()  # active again: no entry says so
    calling.require(account="acct_1")


def test_an_answer_that_an_entry_overtook_is_not_kept(
    calling: Principal, verifier: Verifier, provider: FakeProvider
) -> None:
    def overtake() -> None:
        if provider.count(ACCOUNT) == 1:
            provider.accounts["acct_1"] = record(status="suspended")
            provider.lose(org_id="org_a", account_id="acct_1")
            verifier.poll()

    provider.before[ACCOUNT] = overtake
    calling.require(account="acct_1")
    with pytest.raises(Forbidden):
        calling.require(account="acct_1")


def test_without_the_feed_no_record_is_believed(calling: Principal, provider: FakeProvider, clock: FakeClock) -> None:
    calling.require(account="acct_1")
    clock.seconds += 3.1
    provider.accounts["acct_1"] = record(status="suspended")
    with pytest.raises(Forbidden):
        calling.require(account="acct_1")
    provider.failing = {ACCOUNT: 503, "/oauth2/accounts/acct_2": 401}
    with pytest.raises(Unavailable):
        calling.require(account="acct_1")
    with pytest.raises(Unavailable):
        calling.require(account="acct_2")


@pytest.mark.parametrize("broken", [{"account_id": "acct_2"}, {"livemode": "true"}, {"org_id": None}, {"status": 1}])
def test_a_record_that_means_nothing_is_none(
    calling: Principal, provider: FakeProvider, broken: dict[str, Any]
) -> None:
    provider.accounts["acct_1"] = record(**broken)
    with pytest.raises(Unavailable):
        calling.require(account="acct_1")


# What the person has proved


@pytest.mark.parametrize(
    ("acr", "wanted", "suffices"),
    [
        ("aal1", "aal1", True),
        ("aal2", "aal1", True),
        ("aal1", "aal2", False),
        ("phr", "aal2", True),
        (None, "aal1", False),
        ("urn:other", "urn:other", True),
        ("phr", "urn:other", False),
        ("urn:other", "aal1", False),
    ],
)
def test_a_level_has_to_be_reached(
    verifier: Verifier, provider: FakeProvider, acr: str | None, wanted: str, suffices: bool
) -> None:
    principal = verifier.verify(provider.token(acr=acr))
    if suffices:
        principal.require_proof(acr=wanted)
        return
    with pytest.raises(InsufficientAuthentication) as refused:
        principal.require_proof(acr=wanted)
    assert refused.value.parameters == {"acr_values": wanted}


def test_it_has_to_be_recent_and_the_challenge_says_what_to_ask_for(calling: Principal, clock: FakeClock) -> None:
    calling.require_proof(acr="aal1", max_age=60)
    clock.wall += 1
    with pytest.raises(InsufficientAuthentication) as refused:
        calling.require_proof(acr="aal1", max_age=60)
    assert refused.value.status == 401
    assert refused.value.challenge() == (
        'Bearer error="insufficient_user_authentication", '
        'error_description="Another or a more recent authentication is needed.", acr_values="aal1", max_age="60"'
    )


def test_a_program_can_prove_nothing(verifier: Verifier, provider: FakeProvider) -> None:
    principal = verifier.verify(provider.token(auth_time=None, acr=None, amr=None, sid=None))
    assert not principal.is_person
    with pytest.raises(Forbidden):
        principal.require_proof(max_age=60)
