"""Introspection: who may ask, what is told, and that whatever happens to a token counts at once."""

from collections.abc import Callable

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.audit.trail import SYSTEM
from idp.clients import clients
from idp.feed import losses
from idp.keys import epoch
from idp.oauth import authorizations
from idp.platform import database
from idp.sessions import people
from idp.users import lifecycle, users
from tests.keys.conftest import Node, node
from tests.oauth import minting
from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.holding import Held, ask, hold, said

PAYMENTS = "https://payments.example.com"
INACTIVE = {"active": False}

__all__ = ["node"]


@pytest.fixture(autouse=True)
def keys(app: Flask) -> None:
    minting.make_keys()


@pytest.fixture
def shop(app: Flask) -> RelyingParty:
    return relying_party(app)


@pytest.fixture
def payments(app: Flask) -> RelyingParty:
    """A service that serves the API the tokens of these tests are for."""
    return relying_party(app, "app_payments", serves=[PAYMENTS])


@pytest.fixture
def held(shop: RelyingParty) -> Held:
    return hold(shop)


def introspect(app: Flask, asker: RelyingParty | None, token: str, **form: str) -> TestResponse:
    return ask(app, "/oauth2/introspect", asker, token=token, **form)


def test_the_client_itself_and_whoever_serves_the_api_learn_what_a_token_says(
    app: Flask, held: Held, payments: RelyingParty
) -> None:
    token = held.access_token(aud=[PAYMENTS], scope="payments", roles=["analyst"])
    for asker in (held.client, payments):
        answer = introspect(app, asker, token, token_type_hint="access_token")
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        told = said(answer)
        assert told["active"] is True
        assert (told["sub"], told["client_id"], told["scope"]) == (held.user_id, held.client.id, "payments")
        assert (told["aud"], told["roles"], told["token_type"]) == ([PAYMENTS], ["analyst"], "Bearer")


@pytest.mark.rule("INT-01")
def test_whoever_does_not_serve_the_audience_learns_nothing(app: Flask, held: Held, payments: RelyingParty) -> None:
    other = relying_party(app, "app_other", serves=["https://stock.example.com"])
    for asker, audience in ((other, PAYMENTS), (payments, "https://stock.example.com/v2")):
        answer = introspect(app, asker, held.access_token(aud=audience))
        assert (answer.status_code, said(answer)) == (200, INACTIVE)


@pytest.mark.rule("INT-01")
def test_nobody_asks_without_having_proven_which_client_it_is(app: Flask, held: Held) -> None:
    public = relying_party(app, "app_public", public=True)
    token, mine = held.access_token(), hold(public, "bob").access_token()
    impostor = RelyingParty(app, held.client.id, "wrong")
    for asker, asked in ((None, token), (impostor, token), (public, mine)):
        answer = introspect(app, asker, asked)
        assert (answer.status_code, said(answer)["error"]) == (401, "invalid_client")
    client = app.test_client()
    answer = client.post("/oauth2/introspect", data={"token": token}, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, said(answer)["error"]) == (401, "invalid_client")


@pytest.mark.rule("INT-02")
def test_what_is_no_live_access_token_is_inactive_and_nothing_else(app: Flask, held: Held) -> None:
    expired = held.access_token(iat=minting.seconds(-600), exp=minting.seconds(-1))
    id_token = minting.signed(
        {**minting.access_claims(), "aud": held.client.id, "azv": 0}, "id_token", "ES256", {"typ": "JWT"}
    )
    for token in (expired, id_token, held.refresh_token, "x", "a.b.c", "é.\u2028", "A" * 999_000, f"{id_token}.x"):
        answer = introspect(app, held.client, token)
        assert (answer.status_code, said(answer)) == (200, INACTIVE)


def test_a_token_has_to_be_sent_and_not_in_the_address(app: Flask, held: Held) -> None:
    assert said(ask(app, "/oauth2/introspect", held.client))["error"] == "invalid_request"
    answer = ask(app, f"/oauth2/introspect?token={held.access_token()}", held.client)
    assert (answer.status_code, said(answer)["error"]) == (400, "invalid_request")


def _end_session(held: Held) -> None:
    people.end(held.session_id, because="revoked", by=SYSTEM)


def _disable_user(held: Held) -> None:
    lifecycle.disable(users.find(held.user_id), by=SYSTEM)


def _end_authorization(held: Held) -> None:
    authorizations.end(held.authorization_id, because="revoked")


def _disable_client(held: Held) -> None:
    clients.disable(clients.named(held.client.id), by=SYSTEM)


def _take_role(held: Held) -> None:
    losses.record("grant", sub=held.user_id, org_id="org_1")


def _narrow_role(held: Held) -> None:
    losses.record("role", org_id="org_1", role="analyst")


def _suspend_account(held: Held) -> None:
    losses.record("account", org_id="org_1", account_id="acct_1")


def _suspend_organization(held: Held) -> None:
    losses.record("organization", org_id="org_1")


def _narrow_api(held: Held) -> None:
    losses.record("api", aud=PAYMENTS)


def _new_epoch(held: Held) -> None:
    epoch.new(by=SYSTEM)


LOSSES = (
    _end_session,
    _disable_user,
    _end_authorization,
    _disable_client,
    _take_role,
    _narrow_role,
    _suspend_account,
    _suspend_organization,
    _narrow_api,
    _new_epoch,
)


@pytest.mark.rule("INT-03")
@pytest.mark.parametrize("lose", LOSSES)
def test_what_was_taken_away_counts_at_once(
    app: Flask, held: Held, payments: RelyingParty, lose: Callable[[Held], None]
) -> None:
    token = held.access_token(aud=PAYMENTS, org_id="org_1", account_id="acct_1", roles=["analyst"])
    assert said(introspect(app, payments, token))["active"] is True
    with database.writing():
        lose(held)
    assert said(introspect(app, payments, token)) == INACTIVE


@pytest.mark.rule("INT-03")
def test_what_was_taken_away_on_one_node_counts_at_once_on_another(app: Flask, held: Held, node: Node) -> None:
    token, other = held.access_token(), node()
    assert said(introspect(other, held.client, token))["active"] is True
    with database.writing():
        _end_session(held)
    assert said(introspect(other, held.client, token)) == INACTIVE
