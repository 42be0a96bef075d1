"""Issuance: what tokens say, whose they are, and up to when."""

import base64
import hashlib
import json
import logging
from typing import Any

import pytest
import time_machine
from flask import Flask
from joserfc import jwt
from joserfc.jwk import KeySet

from idp.clients import metadata
from idp.clients.clients import ClientContext
from idp.clients.metadata import InvalidMetadata
from idp.feed import losses, positions
from idp.keys import jwks
from idp.keys.material import Slot
from idp.oauth import audiences, contexts, issuance
from idp.oauth.claims import Wishes
from idp.oauth.claims_request import ClaimsRequest
from idp.oauth.issuance import LONGEST, Issuance
from idp.organizations import organizations, roles
from idp.organizations.effective import Context
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.roles import Permitted
from idp.platform import clock, database
from idp.platform.settings import settings
from idp.sessions.proofs import Proof
from idp.users import users
from idp.users.users import UserSettings
from tests.oauth.actors import claims_of
from tests.oauth.issuing import (
    LEDGER,
    PAYMENTS,
    PERMISSIONS,
    access_token,
    api,
    authorized,
    id_token,
    issuance_for,
    issuance_for_machine,
    live,
    robot,
    shop,
)
from tests.oauth.minting import ACCESS, ID, make_keys
from tests.organizations.actors import ACME, BOX, DAN, DE, NICK, OLIVIA, at, give, grant_of, role, take, to
from tests.traces import OPERATOR

HASHES = {"RS256": hashlib.sha256, "ES256": hashlib.sha256, "PS256": hashlib.sha256, "EdDSA": hashlib.sha512}
OF_ROLES = ("org_roles", "account_roles", "roles", "permissions")


@pytest.fixture
def issuer(acme: Flask) -> str:
    """The address of a provider with keys, Acme and Birch."""
    make_keys(ACCESS, ID)
    return settings().issuer


def decoded(token: object, alg: str) -> jwt.Token:
    """The token, verified by what everybody can fetch."""
    return jwt.decode(str(token), KeySet.import_key_set(json.loads(jwks.document().body)), algorithms=[alg])


# Access tokens


@pytest.mark.rule("JWT-01")
def test_an_access_token_of_a_person_is_one_of_rfc_9068(issuer: str) -> None:
    client = shop(id_token_signed_response_alg="ES256")
    authorization = authorized(client, scope="openid email")
    answer = issuance.issue(issuance_for(client, authorization))
    token = decoded(answer["access_token"], "ES256")
    assert token.header["typ"] == "at+jwt"
    said = token.claims
    assert said == {
        "iss": issuer,
        "sub": OLIVIA.id,
        "aud": issuer,
        "client_id": "app_shop",
        "iat": said["iat"],
        "exp": said["iat"] + 300,
        "jti": said["jti"],
        "sid": authorization.session_id,
        "scope": "openid email",
        "azv": positions.head(),
        "auth_time": authorization.auth_time // clock.SECOND,
        "acr": "aal1",
        "amr": ["pwd"],
    }
    assert abs(said["iat"] - clock.now() // clock.SECOND) <= 2
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 300
    assert answer["scope"] == "openid email"
    assert "refresh_token" not in answer


@pytest.mark.rule("JWT-01")
def test_an_access_token_of_a_machine_says_that_it_is_its_own(issuer: str) -> None:
    api(PAYMENTS, "payments")
    answer = issuance.issue(issuance_for_machine(robot(resources=[PAYMENTS])))
    token = decoded(answer["access_token"], "ES256")
    assert token.header["typ"] == "at+jwt"
    assert {**token.claims, "iat": 0, "exp": 0, "jti": ""} == {
        "iss": issuer,
        "sub": "app_android",
        "aud": PAYMENTS,
        "client_id": "app_android",
        "iat": 0,
        "exp": 0,
        "jti": "",
        "scope": "payments",
        "azv": positions.head(),
    }
    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}


def test_the_name_of_a_token_leads_to_what_it_hangs_on(issuer: str) -> None:
    client = shop(id_token_signed_response_alg="ES256")
    authorization = authorized(client)
    names = [access_token(issuance_for(client, authorization))["jti"] for _ in range(2)]
    assert {name.partition(".")[0] for name in names} == {authorization.id}
    machines = [access_token(issuance_for_machine(robot(f"app_{number}")))["jti"] for number in range(2)]
    assert {name.partition(".")[0] for name in machines} == {"c"}
    assert len({*names, *machines}) == 4
    assert all(len(name.partition(".")[2]) >= 16 for name in (*names, *machines))


def test_a_token_for_an_account_says_what_is_held_there(issuer: str) -> None:
    api(PAYMENTS, "payments", permissions=PERMISSIONS)
    give(to(DAN, "analyst", at(DE)))
    client = shop(first_party=True, resources=[PAYMENTS])
    authorization = authorized(client, DAN.id, Context(ACME, DE), scope="payments", resources=(PAYMENTS,))
    said = access_token(issuance_for(client, authorization))
    assert said["aud"] == PAYMENTS
    assert {name: said[name] for name in ("org_id", "account_id", "livemode", *OF_ROLES)} == {
        "org_id": ACME,
        "account_id": DE,
        "org_roles": ["developer"],
        "account_roles": ["analyst"],
        "roles": ["analyst", "developer"],
        "permissions": ["payments.read"],
        "livemode": True,
    }


def test_a_token_for_an_organization_says_nothing_of_accounts(issuer: str) -> None:
    give(to(DAN, "analyst", at(DE)))
    client = shop(first_party=True)
    said = access_token(issuance_for(client, authorized(client, DAN.id, Context(ACME), scope="")))
    assert said["org_id"] == ACME
    assert said["org_roles"] == said["roles"] == ["developer"]
    assert said["livemode"] is True
    assert not said.keys() & {"account_id", "account_roles", "permissions"}


def test_a_sandbox_is_said_to_be_one_and_allows_what_is_allowed_in_it(issuer: str) -> None:
    api(PAYMENTS, permissions={"payments.write": None, "sandboxes.read": None})
    give(to(NICK, "sandbox_user"))
    client = shop(first_party=True, resources=[PAYMENTS])
    for account, livemode, allowed in (
        (DE, True, ["sandboxes.read"]),
        (BOX, False, ["payments.write", "sandboxes.read"]),
    ):
        authorization = authorized(client, NICK.id, Context(ACME, account), scope="", resources=(PAYMENTS,))
        said = access_token(issuance_for(client, authorization))
        assert (said["livemode"], said["permissions"]) == (livemode, allowed)


def test_a_permission_that_is_also_a_scope_takes_the_scope(issuer: str) -> None:
    api(PAYMENTS, "payments", "refunds.write", permissions=PERMISSIONS)
    client = shop(first_party=True, resources=[PAYMENTS])
    for scope, allowed in (("payments", ["payments.read"]), ("refunds.write", ["payments.read", "refunds.write"])):
        authorization = authorized(client, context=Context(ACME), scope=scope, resources=(PAYMENTS,))
        assert access_token(issuance_for(client, authorization))["permissions"] == allowed


def test_only_the_operators_own_and_those_who_were_allowed_to_see_roles(issuer: str) -> None:
    api(PAYMENTS, permissions=PERMISSIONS)
    third, first = shop("app_third", resources=[PAYMENTS]), shop("app_first", first_party=True, resources=[PAYMENTS])
    for client, scope, sees in ((third, "", False), (third, "roles", True), (first, "", True)):
        authorization = authorized(client, DAN.id, Context(ACME, DE), scope=scope, resources=(PAYMENTS,))
        said = access_token(issuance_for(client, authorization))
        assert (said["org_id"], said["account_id"]) == (ACME, DE)
        assert said.keys() & set(OF_ROLES) == (set(OF_ROLES) if sees else set())


def test_a_machine_sees_the_roles_that_it_holds_itself(issuer: str) -> None:
    api(PAYMENTS, permissions=PERMISSIONS)
    client = robot(resources=[PAYMENTS])
    give(to(client.id, "developer", at(DE)))
    said = access_token(issuance_for_machine(client, Context(ACME, DE)))
    assert said["roles"] == said["account_roles"] == ["developer"]
    assert said["permissions"] == ["payments.read"]
    assert not said.keys() & {"sid", "auth_time", "acr", "amr"}


@pytest.mark.rule("REF-10")
def test_every_token_carries_the_roles_of_now(issuer: str) -> None:
    client = shop(first_party=True, id_token_signed_response_alg="ES256")
    authorization = authorized(client, DAN.id, Context(ACME))
    assert access_token(issuance_for(client, authorization))["roles"] == ["developer"]
    give(to(DAN, "analyst"))
    take(grant_of(DAN, "developer"))
    assert access_token(issuance_for(client, authorization))["roles"] == ["analyst"]
    assert id_token(issuance_for(client, authorization))["org_roles"] == ["analyst"]


# For which API


def test_with_openid_the_issuer_stands_beside_the_api(issuer: str) -> None:
    api(PAYMENTS, "payments")
    client = shop(resources=[PAYMENTS], id_token_signed_response_alg="ES256")
    for scope, audience in (("openid payments", [PAYMENTS, issuer]), ("payments", PAYMENTS)):
        authorization = authorized(client, scope=scope, resources=(PAYMENTS,))
        assert access_token(issuance_for(client, authorization))["aud"] == audience
        assert access_token(issuance_for(client, authorization, asked=(issuer,)))["aud"] == issuer


def test_the_scope_is_narrowed_to_what_the_api_declares(issuer: str) -> None:
    api(PAYMENTS, "payments", "refunds")
    api(LEDGER, "book", "refunds")
    client = shop(resources=[PAYMENTS, LEDGER])
    authorization = authorized(client, scope="email payments refunds book gone", resources=(PAYMENTS, LEDGER))
    for audience, scope in ((PAYMENTS, "email payments refunds"), (LEDGER, "email refunds book"), (issuer, "email")):
        answer = issuance.issue(issuance_for(client, authorization, asked=(audience,)))
        assert answer["scope"] == claims_of(str(answer["access_token"]))["scope"] == scope


# Up to when, and up to which change


def test_a_token_ends_with_the_first_thing_that_it_rests_on(issuer: str) -> None:
    client = shop(first_party=True)
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as moment:
        give(to(DAN, "analyst", expires_at=clock.now() + 100 * clock.SECOND))
        authorization = authorized(client, DAN.id, Context(ACME), scope="")
        assert issuance.issue(issuance_for(client, authorization))["expires_in"] == 100
        moment.shift(69)
        said = access_token(issuance_for(client, authorization))
        assert (said["roles"], said["exp"] - said["iat"]) == (["analyst", "developer"], 31)
        moment.shift(1)
        said = access_token(issuance_for(client, authorization))
        assert (said["roles"], said["exp"] - said["iat"]) == (["developer"], 300)


def test_a_token_ends_with_the_session_unless_it_may_outlive_it(issuer: str) -> None:
    client = shop()
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as moment:
        bound, offline = authorized(client, scope=""), authorized(client, scope="", offline=True)
        moment.shift(settings().lifetimes.session_idle // clock.SECOND - 60)
        assert issuance.issue(issuance_for(client, live(bound.id)))["expires_in"] == 60
        assert issuance.issue(issuance_for(client, live(offline.id)))["expires_in"] == 300


def test_a_token_is_current_up_to_the_change_before_anything_in_it_was_read(issuer: str) -> None:
    """FEED: a loss in the middle of it all has a higher position than the token, whichever part was read before it."""
    api(PAYMENTS, "payments")
    client, machine = shop(first_party=True, resources=[PAYMENTS]), robot(resources=[PAYMENTS])
    before = positions.head()
    authorization = authorized(client, DAN.id, Context(ACME), scope="", resources=(PAYMENTS,))
    audience, entered = audiences.meant((PAYMENTS,), (PAYMENTS,)), contexts.enter_again(authorization, client)
    entered_by_machine = contexts.enter_as_machine(machine, None)
    with database.writing():
        losses.record("session", sid=authorization.session_id)
    after = positions.head()
    assert after > before
    late_audience = audiences.meant((PAYMENTS,), (PAYMENTS,))
    late_entry = contexts.enter_again(authorization, client)
    for parts in (
        Issuance(client, authorization, (), late_audience, late_entry),
        Issuance(machine, None, (), audience, contexts.enter_as_machine(machine, None)),
        Issuance(machine, None, (), late_audience, entered_by_machine),
        Issuance(client, live(authorization.id), (), late_audience, entered),
    ):
        assert access_token(parts)["azv"] == before
    fresh = Issuance(client, live(authorization.id), (), late_audience, late_entry)
    assert access_token(fresh)["azv"] == after


# ID tokens


@pytest.mark.rule("JWT-12")
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("alg", ["RS256", "ES256", "PS256", "EdDSA"])
def test_an_id_token_is_bound_to_what_it_comes_with_and_signed_as_registered(acme: Flask, alg: str) -> None:
    make_keys(ACCESS, Slot("id_token", alg))
    client = shop(id_token_signed_response_alg=alg)
    before = clock.now() - 70 * clock.SECOND
    authorization = authorized(client, auth_time=before, proofs=(Proof("password", before),))
    answer = issuance.issue(issuance_for(client, authorization, nonce="n-\u00e9 +/=", code="ac_the_code"))
    token = decoded(answer["id_token"], alg)
    assert token.header["alg"] == alg
    said = token.claims
    assert said == {
        "iss": settings().issuer,
        "sub": OLIVIA.id,
        "aud": "app_shop",
        "iat": said["iat"],
        "exp": said["iat"] + 300,
        "auth_time": authorization.auth_time // clock.SECOND,
        "nonce": "n-\u00e9 +/=",
        "acr": "aal1",
        "amr": ["pwd"],
        "sid": authorization.session_id,
        "at_hash": _half(str(answer["access_token"]), alg),
        "c_hash": _half("ac_the_code", alg),
    }


def _half(text: str, alg: str) -> str:
    digest = HASHES[alg](text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")


@pytest.mark.rule("JWT-12")
def test_an_id_token_says_no_more_of_signing_in_than_what_happened(issuer: str) -> None:
    client = shop(id_token_signed_response_alg="ES256", default_acr_values=["phr"])
    asked = ClaimsRequest(id_token={"acr": {"essential": True, "value": "phr"}, "auth_time": {"value": 1}})
    authorization = authorized(client, wishes=Wishes(asked))
    said = id_token(issuance_for(client, authorization))
    assert (said["acr"], said["amr"]) == ("aal1", ["pwd"])
    assert said["auth_time"] == authorization.auth_time // clock.SECOND
    assert "nonce" not in said
    unknown = authorized(client, proofs=(Proof("device", clock.now(), factor_id="dev_gone"),))
    assert not id_token(issuance_for(client, unknown)).keys() & {"acr", "amr"}


def test_nothing_that_is_asked_for_stands_in_the_place_of_what_a_token_is(issuer: str) -> None:
    client = shop(id_token_signed_response_alg="ES256")
    names = ("iss", "sub", "aud", "exp", "azv", "permissions", "roles", "is_admin")
    wishes = Wishes(ClaimsRequest(id_token={name: {"value": "evil"} for name in names}))
    said = id_token(issuance_for(client, authorized(client, DAN.id, Context(ACME), wishes=wishes)))
    assert (said["iss"], said["sub"], said["aud"]) == (issuer, DAN.id, "app_shop")
    assert not said.keys() & {"azv", "permissions", "roles", "is_admin"}
    assert "evil" not in said.values()


def test_without_openid_there_is_no_id_token(issuer: str) -> None:
    client = shop(id_token_signed_response_alg="ES256")
    answer = issuance.issue(issuance_for(client, authorized(client, scope="email"), refresh_token="rt_next"))
    assert "id_token" not in answer
    assert answer["refresh_token"] == "rt_next"


def test_an_id_token_says_where_its_person_acts(issuer: str) -> None:
    api(PAYMENTS, permissions=PERMISSIONS)
    context = Context(ACME, DE)
    told = {}
    for name, said in {
        "third": {},
        "first": {"first_party": True},
        "all": {"first_party": True, "roles_in_id_token": True},
        "named": {"first_party": True},
    }.items():
        client = shop(f"app_{name}", id_token_signed_response_alg="ES256", **said)
        wishes = Wishes(ClaimsRequest(id_token={"account_roles": {}})) if name == "named" else None
        told[name] = id_token(issuance_for(client, authorized(client, DAN.id, context, wishes=wishes)))
    of_context = {"org_id", "account_id", "org_roles", "account_roles", "roles", "permissions"}
    assert {name: said.keys() & of_context for name, said in told.items()} == {
        "third": {"org_id", "account_id"},
        "first": {"org_id", "account_id", "org_roles"},
        "all": {"org_id", "account_id", "org_roles", "roles"},
        "named": {"org_id", "account_id", "org_roles", "account_roles"},
    }


@pytest.mark.rule("JWT-13")
@pytest.mark.parametrize("alg", ["none", "HS256", "HS512", "RS1", ""])
def test_no_client_is_registered_for_id_tokens_without_a_key_of_ours(alg: str) -> None:
    said: dict[str, Any] = {"redirect_uris": ["https://shop.example.com/cb"], "id_token_signed_response_alg": alg}
    if alg:
        with pytest.raises(InvalidMetadata):
            metadata.parse(said)
    else:
        assert metadata.with_defaults(metadata.parse(said))["id_token_signed_response_alg"] == "RS256"


# Size


def _everything_held(context: Context) -> None:
    """Every built-in role, and as many of the organization's own as there can be, with keys as long as they can be."""
    with database.writing():
        for number in range(roles.MOST - 2):  # Acme has two
            roles.create(ACME, role(f"x_{number:030}", Permitted("refunds.write")), by=OPERATOR)
    for one in roles.visible_in(ACME):
        give(to(DAN, one.key, at(context.account_id or context.organization_id)))


@pytest.mark.rule("JWT-10")
@pytest.mark.parametrize("context", [Context(ACME), Context(ACME, DE)])
def test_a_token_is_never_too_long(issuer: str, caplog: pytest.LogCaptureFixture, context: Context) -> None:
    api(PAYMENTS, "payments", permissions={f"permission.{number:050}": ("developer",) for number in range(100)})
    client = shop(first_party=True, resources=[PAYMENTS], id_token_signed_response_alg="ES256")
    proofs = (Proof("password", clock.now()), Proof("totp", clock.now()))
    authorization = authorized(
        client, DAN.id, context, scope="openid payments", resources=(PAYMENTS,), proofs=proofs, acr="aal2"
    )
    with caplog.at_level(logging.WARNING, issuance.__name__):
        answer = issuance.issue(issuance_for(client, authorization))
    said = claims_of(str(answer["access_token"]))
    assert len(str(answer["access_token"])) <= LONGEST
    assert said["permissions_omitted"] is True
    assert "permissions" not in said
    assert said["org_roles"] == ["developer"]
    assert len(caplog.records) == 1
    _everything_held(context)
    answer = issuance.issue(issuance_for(client, authorization))
    said = claims_of(str(answer["access_token"]))
    assert len(str(answer["access_token"])) <= LONGEST
    assert len(said["roles"]) > roles.MOST
    assert said["azv"]
    assert not said.keys() & {"org_roles", "account_roles", "permissions"}


@pytest.mark.rule("JWT-10")
def test_a_token_is_short_in_however_many_organizations_its_person_is(issuer: str) -> None:
    with database.writing():
        person = users.create(UserSettings("everywhere"), by=OPERATOR).id
        for number in range(200):
            organizations.found(
                OrganizationSettings(f"o{number}", f"O{number}"), person, id=f"org_{number}", by=OPERATOR
            )
    api(PAYMENTS, "payments")
    client = shop(first_party=True, resources=[PAYMENTS], id_token_signed_response_alg="ES256")
    authorization = authorized(client, person, Context("org_7"), scope="openid payments", resources=(PAYMENTS,))
    token = str(issuance.issue(issuance_for(client, authorization))["access_token"])
    assert claims_of(token)["org_id"] == "org_7"
    assert len(token) <= 1024


def test_permissions_that_fit_are_told(issuer: str) -> None:
    api(PAYMENTS, permissions=PERMISSIONS)
    client = shop(first_party=True, resources=[PAYMENTS], context=ClientContext("any"))
    said = access_token(
        issuance_for(client, authorized(client, context=Context(ACME), scope="", resources=(PAYMENTS,)))
    )
    assert said["permissions"] == ["payments.read", "refunds.write"]
    assert "permissions_omitted" not in said
