"""Where a person may work, as applications are told: page by page, with roles and sources, and never too much."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.clients import clients
from idp.clients.clients import ClientContext
from idp.oauth import authorizations
from idp.organizations import grants
from idp.organizations.effective import Context
from idp.platform import database
from idp.platform.settings import settings
from tests.oauth import minting
from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.holding import said
from tests.oauth.issuing import authorized, client
from tests.organizations.actors import ACME, BIRCH, BOX, DAN, DE, EU, MIA, OLIVIA, OSLO, US, VERA, act, at, give, to
from tests.traces import OPERATOR

ANY = ClientContext("any")


@pytest.fixture
def console(acme: Flask) -> RelyingParty:
    """The operator's own application."""
    minting.make_keys()
    return relying_party(acme, "app_console", context=ANY, first_party=True)


@pytest.fixture
def shop(acme: Flask) -> RelyingParty:
    """Somebody else's."""
    minting.make_keys()
    return relying_party(acme, "app_other", context=ANY)


def token(holder: RelyingParty, user_id: str, context: Context | None = None, **changed: Any) -> str:
    """An access token with the scope, as the person let the application have it."""
    authorization = authorized(client(holder.id), user_id, context, scope="openid accounts")
    claims = {
        "sub": user_id,
        "client_id": holder.id,
        "aud": settings().issuer,
        "scope": "openid accounts",
        "sid": authorization.session_id,
        "jti": f"{authorization.id}.x",
        "org_id": context.organization_id if context else None,
    }
    return minting.access_token(**claims | changed)


def ask(app: Flask, raw: str, query: str = "") -> TestResponse:
    return app.test_client().get(f"/oauth2/accounts?{query}", headers={"Authorization": f"Bearer {raw}"})


def places(answer: TestResponse) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return [one.get("account_id", one["org_id"]) for one in said(answer)["accounts"]]


def test_every_place_is_told_in_which_the_person_holds_a_role(acme: Flask, console: RelyingParty) -> None:
    assert places(ask(acme, token(console, VERA.id))) == [ACME, BOX, DE, US, BIRCH, OSLO]
    assert places(ask(acme, token(console, MIA.id))) == [DE]
    assert places(ask(acme, token(console, "usr_zoe"))) == []


def test_roles_stand_beside_their_sources(acme: Flask, console: RelyingParty) -> None:
    give(to(VERA, "developer", at(EU)))
    act(grants.grant, to(VERA, "analyst", at(DE)), source="sso:conn_1")
    found = {one.get("account_id", one["org_id"]): one for one in said(ask(acme, token(console, VERA.id)))["accounts"]}
    assert (found[DE]["org_roles"], found[DE]["account_roles"]) == (["view_only"], ["analyst", "developer"])
    assert found[DE]["roles"] == ["analyst", "developer", "view_only"]
    assert found[DE]["sources"] == [
        {"role": "view_only", "level": "organization", "source": "manual"},
        {"role": "analyst", "level": "account", "source": "sso:conn_1"},
        {"role": "developer", "level": "account", "source": "manual"},
    ]
    assert (found[DE]["org_slug"], found[DE]["account_key"], found[DE]["livemode"]) == ("acme", "de", True)
    assert (found[BOX]["livemode"], found[ACME]["roles"]) == (False, ["view_only"])
    owner = said(ask(acme, token(console, OLIVIA.id)))["accounts"][0]
    assert owner["sources"] == [{"role": "super_admin", "level": "organization", "source": "ownership"}]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
def test_pages_lead_through_all_of_it(acme: Flask, console: RelyingParty, limit: int) -> None:
    raw = token(console, VERA.id)
    found, query = [], f"limit={limit}"
    while query:
        answer = ask(acme, raw, query)
        found += places(answer)
        assert len(places(answer)) <= limit
        further = said(answer).get("next")
        query = f"limit={limit}&after={further}" if further else ""
    assert found == [ACME, BOX, DE, US, BIRCH, OSLO]


def test_an_application_of_somebody_else_learns_of_its_organization_alone(acme: Flask, shop: RelyingParty) -> None:
    assert places(ask(acme, token(shop, VERA.id, Context(ACME)))) == [ACME, BOX, DE, US]
    assert places(ask(acme, token(shop, VERA.id))) == [ACME, BOX, DE, US, BIRCH, OSLO]


def test_where_the_application_is_switched_off_nothing_is_told(acme: Flask, console: RelyingParty) -> None:
    with database.writing():
        clients.switch(clients.named(console.id), BIRCH, on=False, by=OPERATOR)
    assert places(ask(acme, token(console, VERA.id))) == [ACME, BOX, DE, US]


def test_a_token_without_the_scope_or_for_another_resource_opens_nothing(acme: Flask, console: RelyingParty) -> None:
    answer = ask(acme, token(console, VERA.id, scope="openid"))
    assert (answer.status_code, said(answer)["error"]) == (403, "insufficient_scope")
    for raw in (token(console, VERA.id, aud="https://payments.example.com"), "x"):
        answer = ask(acme, raw)
        assert (answer.status_code, said(answer)["error"]) == (401, "invalid_token")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert acme.test_client().get("/oauth2/accounts").status_code == 401


def test_a_token_whose_authorization_ended_opens_nothing(acme: Flask, console: RelyingParty) -> None:
    authorization = authorized(client(console.id), DAN.id, None, scope="openid accounts")
    raw = token(console, DAN.id, jti=f"{authorization.id}.x", sid=authorization.session_id)
    assert ask(acme, raw).status_code == 200
    with database.writing():
        authorizations.end(authorization.id, because="revoked")
    assert ask(acme, raw).status_code == 401


@pytest.mark.parametrize("limit", ["0", "201", "x", "-1", "1.5", "9999", "%D9%A3"])
def test_a_limit_that_cannot_be_is_refused(acme: Flask, console: RelyingParty, limit: str) -> None:
    answer = ask(acme, token(console, VERA.id), f"limit={limit}")
    assert (answer.status_code, said(answer)["error"]) == (400, "invalid_request")


def test_a_place_that_is_gone_is_no_hindrance_to_going_on(acme: Flask, console: RelyingParty) -> None:
    raw = token(console, VERA.id)
    assert places(ask(acme, raw, f"after={ACME}/dz")) == [US, BIRCH, OSLO]
    assert places(ask(acme, raw, "after=org_b/zz")) == [BIRCH, OSLO]
    assert places(ask(acme, raw, "after=zzz")) == []
