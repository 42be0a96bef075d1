"""Refreshing at the token endpoint: by the right client, for what was granted, while it stands, with today's roles."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import time_machine
from flask import Flask
from werkzeug.test import TestResponse

from idp.clients import clients
from idp.clients.clients import ClientContext
from idp.oauth import authorizations
from idp.organizations import accounts, grants, memberships, organizations, policies
from idp.organizations.policies import PolicySettings
from idp.platform import clock, database
from idp.sessions import people
from idp.users import lifecycle, users
from tests.oauth.actors import RelyingParty, claims_of
from tests.oauth.decisions import Person, code_for, decide, redemption, shop, signed_in, somebody
from tests.organizations.actors import ACME, BIRCH, DE, US, VERA, act, give, grant_of, member, take, to
from tests.traces import OPERATOR, events, losses


@dataclass
class Application:
    """An application with a refresh token of a person."""

    client: RelyingParty
    person: Person
    authorization: str
    token: str
    access_token: str

    @classmethod
    def of(cls, client: RelyingParty, person: Person, **decided: object) -> "Application":
        authorization = decide(person, client.id, **decided)
        answer = client.token(**redemption(code_for(authorization, client.id)))
        assert answer.status_code == 200, answer.text
        tokens = answer.get_json()
        return cls(client, person, authorization, tokens["refresh_token"], tokens["access_token"])

    def ask(self, token: str = "", **more: str) -> TestResponse:
        """Refresh with `token`, or the newest one; what was answered."""
        form = {"grant_type": "refresh_token", "refresh_token": token or self.token, **more}
        answer = self.client.token(**form)
        assert answer.headers["Cache-Control"] == "no-store"
        self.token = answer.get_json().get("refresh_token", self.token)
        return answer

    def claims(self, **more: str) -> dict[str, object]:
        """Refresh; what the new access token says."""
        answer = self.ask(**more)
        assert answer.status_code == 200, answer.text
        return claims_of(answer.get_json()["access_token"])

    def error(self, token: str = "", **more: str) -> str:
        """Refresh in vain; the error."""
        answer = self.ask(token, **more)
        assert answer.status_code == 400, answer.text
        return str(answer.get_json()["error"])


@pytest.fixture
def shopping(app: Flask) -> Application:
    return Application.of(shop(app), somebody())


@pytest.fixture
def vera(acme: Flask) -> Application:
    """An application in which Vera acts for Acme."""
    return Application.of(shop(acme), signed_in(VERA.id), organization_id=ACME)


@pytest.mark.rule("REF-01")
@pytest.mark.parametrize("public", [True, False], ids=["public", "confidential"])
def test_every_refresh_spends_what_was_shown(app: Flask, public: bool) -> None:
    one = Application.of(shop(app, public=public), somebody())
    first = one.token
    assert one.ask().status_code == 200
    second = one.token
    assert one.ask().status_code == 200
    assert len({first, second, one.token}) == 3
    assert one.error(first) == "invalid_grant"


@pytest.mark.rule("REF-02")
def test_reuse_ends_what_is_newest_too(shopping: Application) -> None:
    first = shopping.token
    second = shopping.ask().get_json()["refresh_token"]
    newest = shopping.ask(second).get_json()
    assert shopping.error(first) == "invalid_grant"
    assert shopping.error(newest["refresh_token"]) == "invalid_grant"
    assert events(shopping.person.id)[-1] == "authorization.reuse"
    assert ("consent", {"sub": shopping.person.id, "client_id": shopping.client.id}) in losses()


def test_refreshed_id_tokens_tell_of_the_same_sign_in(shopping: Application) -> None:
    told = claims_of(shopping.ask().get_json()["id_token"])
    assert told["sub"] == shopping.person.id
    assert told["auth_time"] == shopping.person.session.authenticated_at // clock.SECOND
    assert "nonce" not in told


# By the right client


@pytest.mark.rule("REF-06")
@pytest.mark.parametrize("public", [True, False], ids=["public", "confidential"])
def test_a_token_in_the_hands_of_another_client_ends_its_family(shopping: Application, public: bool) -> None:
    other = shop(shopping.client.app, "other", public=public)
    answer = other.token(grant_type="refresh_token", refresh_token=shopping.token)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")
    assert shopping.error() == "invalid_grant"
    assert events(shopping.person.id)[-1] == "authorization.reuse"


@pytest.mark.rule("REF-05")
def test_a_retry_within_the_grace_window_by_another_client_ends_the_family(shopping: Application) -> None:
    spent = shopping.token
    shopping.ask()
    other = shop(shopping.client.app, "other", public=True)
    assert other.token(grant_type="refresh_token", refresh_token=spent).status_code == 400
    assert shopping.error() == "invalid_grant"


def test_a_client_that_does_not_authenticate_ends_nothing(shopping: Application) -> None:
    stranger = RelyingParty(shopping.client.app, shopping.client.id, "wrong")
    assert stranger.token(grant_type="refresh_token", refresh_token=shopping.token).status_code == 401
    assert shopping.ask().status_code == 200


def test_what_is_no_refresh_token_of_ours_is_refused(shopping: Application) -> None:
    assert shopping.error("rt_never") == "invalid_grant"
    assert shopping.error(shopping.access_token) == "invalid_grant"
    assert shopping.client.token(grant_type="refresh_token").get_json()["error"] == "invalid_request"
    assert shopping.ask().status_code == 200


# For what was granted


@pytest.mark.rule("REF-07")
@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"scope": "openid email"}, "invalid_scope"),
        ({"resource": "https://payments.example.com"}, "invalid_target"),
        ({"organization": "org_elsewhere"}, "invalid_target"),
    ],
    ids=["scope", "resource", "context"],
)
def test_asking_for_more_than_was_granted_spends_nothing(
    shopping: Application, asked: dict[str, str], error: str
) -> None:
    presented = shopping.token
    assert shopping.error(**asked) == error
    first, second = shopping.ask(presented).get_json(), shopping.ask(shopping.token)
    assert first["refresh_token"] != presented
    assert second.status_code == 200


def test_a_narrower_scope_is_for_one_access_token(shopping: Application) -> None:
    assert shopping.claims(scope="openid")["scope"] == "openid"
    assert shopping.claims()["scope"] == "openid offline_access"


# While it stands


@pytest.mark.rule("REF-08")
@pytest.mark.parametrize(("public", "days"), [(False, 14), (True, 7)], ids=["confidential", "public"])
def test_the_idle_end_is_enforced(app: Flask, public: bool, days: int) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        one = Application.of(shop(app, public=public), somebody())
        clockwork.shift(days * 86_400 - 1)
        assert one.ask().status_code == 200
        clockwork.shift(days * 86_400)
        assert one.error() == "invalid_grant"


@pytest.mark.rule("REF-08")
def test_the_absolute_end_is_enforced(app: Flask) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        one = Application.of(shop(app), somebody(), lifetime=20 * clock.DAY)
        clockwork.shift(10 * 86_400)
        assert one.ask().status_code == 200
        clockwork.shift(10 * 86_400)
        assert one.error() == "invalid_grant"


@pytest.mark.rule("REF-08")
def test_introspection_tells_the_absolute_end_when_that_comes_first(app: Flask) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        one = Application.of(shop(app), somebody(), lifetime=clock.DAY)
        clockwork.shift(86_400 - 60)
        form = {"token": one.ask().get_json()["access_token"]}
        told = app.test_client().post("/oauth2/introspect", data=form, auth=(one.client.id, one.client.secret))
        assert told.get_json()["exp"] == 1_900_000_000 + 86_400


def test_without_offline_access_a_token_dies_with_the_session(app: Flask) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        one = Application.of(shop(app), somebody(), offline=False, scope=("openid",))
        clockwork.shift(8 * 3_600 - 1)
        assert one.ask().status_code == 200
        clockwork.shift(1)
        assert one.error() == "invalid_grant"


ENDINGS: dict[str, Callable[[Application], object]] = {
    "user disabled": lambda one: lifecycle.disable(users.named(one.person.id), by=OPERATOR),
    "user deleted": lambda one: lifecycle.delete(users.named(one.person.id), by=OPERATOR),
    "signed out everywhere": lambda one: people.end_all_of(one.person.id, because="password_changed", by=OPERATOR),
    "signed out": lambda one: people.end(one.person.session.id, because="signed_out", by=OPERATOR),
    "member suspended": lambda one: memberships.suspend(ACME, member(VERA), by=OPERATOR),
    "member removed": lambda one: memberships.remove(ACME, member(VERA), by=OPERATOR),
    "last role taken": lambda one: grants.end(ACME, grant_of(VERA, "view_only"), by=OPERATOR),
    "organization suspended": lambda one: organizations.suspend(ACME, by=OPERATOR),
    "client switched off": lambda one: clients.switch(clients.named(one.client.id), ACME, on=False, by=OPERATOR),
    "consent withdrawn": lambda one: authorizations.end(one.authorization, because="consent_withdrawn", by=OPERATOR),
}


@pytest.mark.rule("REF-09")
@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_refreshed_once_what_it_stands_for_is_gone(acme: Flask, ending: str) -> None:
    one = Application.of(shop(acme), signed_in(VERA.id), organization_id=ACME, offline=False)
    with database.writing():
        ENDINGS[ending](one)
    assert one.error() == "invalid_grant"


@pytest.mark.rule("REF-09")
def test_a_disabled_client_gets_nothing(shopping: Application) -> None:
    with database.writing():
        clients.disable(clients.named(shopping.client.id), by=OPERATOR)
    answer = shopping.ask()
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")


@pytest.mark.rule("REF-09")
def test_what_was_disabled_stays_gone_when_it_is_enabled_again(vera: Application) -> None:
    with database.writing():
        lifecycle.disable(users.named(VERA.id), by=OPERATOR)
        lifecycle.enable(users.named(VERA.id), by=OPERATOR)
    assert vera.error() == "invalid_grant"


@pytest.mark.rule("REF-09")
def test_whoever_was_suspended_meanwhile_signs_in_again(vera: Application) -> None:
    with database.writing():
        memberships.suspend(ACME, member(VERA), by=OPERATOR)
    with database.writing():
        memberships.reactivate(ACME, member(VERA), by=OPERATOR)
    assert vera.error() == "invalid_grant"


def test_signing_out_leaves_offline_access_alone(shopping: Application) -> None:
    with database.writing():
        people.end(shopping.person.session.id, because="signed_out", by=OPERATOR)
    assert shopping.ask().status_code == 200


# With the roles of now


@pytest.fixture
def first_party(acme: Flask) -> Application:
    """The operator's own application, which sees roles; Vera acts in it for Acme."""
    client = shop(acme, first_party=True, context=ClientContext("any"))
    return Application.of(client, signed_in(VERA.id), organization_id=ACME)


@pytest.mark.rule("REF-10")
def test_roles_are_those_of_now(first_party: Application) -> None:
    assert first_party.claims()["roles"] == ["view_only"]
    give(to(VERA, "developer"))
    assert first_party.claims()["roles"] == ["developer", "view_only"]
    take(grant_of(VERA, "view_only"))
    assert first_party.claims()["roles"] == ["developer"]


def test_one_refresh_token_serves_every_context_of_its_organization(first_party: Application) -> None:
    assert first_party.claims(account=DE)["account_id"] == DE
    assert first_party.claims(scope=f"account:{US}")["account_id"] == US
    assert "account_id" not in first_party.claims()
    assert first_party.claims(organization="birch")["org_id"] == BIRCH


def test_a_context_that_is_lost_spends_nothing(acme: Flask) -> None:
    client = shop(acme, first_party=True, context=ClientContext("any"))
    one = Application.of(client, signed_in(VERA.id), organization_id=ACME, account_id=DE)
    presented = one.token
    with database.writing():
        accounts.suspend(ACME, DE, by=OPERATOR)
    answer = one.ask()
    assert (answer.get_json()["error"], answer.get_json()["error_detail"]) == ("invalid_grant", "context_lost")
    assert one.claims(account=US)["account_id"] == US
    assert one.token != presented


def test_an_organization_that_demands_more_proof_spends_nothing(first_party: Application) -> None:
    presented = first_party.token
    act(policies.change, BIRCH, PolicySettings(mfa="required"))
    answer = first_party.ask(organization=BIRCH)
    assert answer.status_code == 400
    told = answer.get_json()
    assert (told["error"], told["error_detail"]) == ("insufficient_user_authentication", "mfa_required")
    assert told["acr_values"] == "aal2"
    assert first_party.token == presented
    assert first_party.claims()["org_id"] == ACME
    act(policies.change, ACME, PolicySettings(mfa="required"))
    assert first_party.error() == "insufficient_user_authentication"


def test_other_applications_stay_in_the_organization_that_was_chosen(vera: Application) -> None:
    assert vera.error(organization=BIRCH) == "invalid_target"
    assert vera.error(organization=ACME, account="acct_oslo") == "invalid_target"
    assert vera.claims(organization="acme")["org_id"] == ACME
