"""Authorizations and machines as the grants find them, and what the tokens issued for them say."""

from typing import Any

from idp.clients import apis, clients
from idp.clients.apis import ApiSettings, ScopeSettings
from idp.clients.clients import ClientContext, ClientSettings
from idp.clients.registered import RegisteredClient
from idp.oauth import active_clients, audiences, authorizations, contexts, issuance, scopes, subjects
from idp.oauth.authorizations import Decision, LiveAuthorization
from idp.oauth.claims import Wishes
from idp.oauth.issuance import Issuance
from idp.organizations.effective import Context
from idp.platform import clock, database
from idp.platform.settings import settings
from idp.sessions import browsers, people
from idp.sessions.proofs import Proof
from tests.oauth.actors import claims_of
from tests.organizations.actors import OLIVIA
from tests.traces import OPERATOR

PAYMENTS, LEDGER = "https://payments.example.com", "https://ledger.example.com"
CALLBACK = "https://shop.example.com/cb"
PERMISSIONS = {"payments.read": ("developer", "view_only"), "refunds.write": ("refund_analyst",)}


def api(audience: str = PAYMENTS, *scopes: str, permissions: dict[str, tuple[str, ...]] | None = None) -> None:
    """Declare an API."""
    named = tuple(ScopeSettings(scope, f"Do {scope}") for scope in scopes)
    with database.writing():
        apis.declare(ApiSettings(audience, "Some API", named, permissions or {}), by=OPERATOR)


def shop(
    id: str = "app_shop",
    context: ClientContext | None = None,
    *,
    owner: str = "operator",
    first_party: bool = False,
    enabled_for: frozenset[str] | None = None,
    **metadata: Any,
) -> RegisteredClient:
    """An application."""
    said = {"redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"]}
    wanted = ClientSettings(said | metadata, context or ClientContext(), enabled_for, first_party)
    return _made(wanted, owner, id)


def robot(
    id: str = "app_android", context: ClientContext | None = None, *, owner: str = "operator", **metadata: Any
) -> RegisteredClient:
    """A machine."""
    wanted = ClientSettings({"grant_types": ["client_credentials"]} | metadata, context or ClientContext())
    return _made(wanted, owner, id)


def _made(wanted: ClientSettings, owner: str, id: str) -> RegisteredClient:
    with database.writing():
        clients.create(wanted, owner=owner, id=id, by=OPERATOR)
    return client(id)


def client(id: str) -> RegisteredClient:
    """The client as requests see it now."""
    found = active_clients.find(id)
    assert found is not None
    return found


def authorized(
    client: RegisteredClient, user_id: str = OLIVIA.id, context: Context | None = None, **more: Any
) -> LiveAuthorization:
    """What a person, just signed in with a password, has decided; `more`: see `authorize`."""
    with database.writing():
        authorization_id = authorize(client, user_id, context, **more)
    return live(authorization_id)


def authorize(
    client: RegisteredClient,
    user_id: str,
    context: Context | None = None,
    *,
    scope: str = "openid",
    resources: tuple[str, ...] = (),
    wishes: Wishes | None = None,
    **more: Any,
) -> str:
    """The id of what a person, just signed in with a password, decides. Inside `database.writing()`."""
    browser, _ = browsers.begin()
    session, _ = people.open_session(browser, user_id, [Proof("password", clock.now())])
    decision = Decision(
        **{
            "client_id": client.id,
            "user_id": user_id,
            "session_id": session.id,
            "subject": subjects.of(user_id, client),
            "scope": tuple(scope.split()),
            "resources": resources,
            "organization_id": context.organization_id if context else None,
            "account_id": (context.account_id or None) if context else None,
            "claims_json": (wishes or Wishes()).dump(),
            "auth_time": session.authenticated_at,
            "acr": "aal1",
            "amr": ("pwd",),
            "proofs": session.proofs,
            "offline": False,
            "lifetime": settings().lifetimes.refresh_max,
            **more,
        }
    )
    return authorizations.begin(decision)


def live(authorization_id: str) -> LiveAuthorization:
    """The authorization as it stands now."""
    found = authorizations.find_live(authorization_id)
    assert found is not None
    return found


def issuance_for(
    client: RegisteredClient,
    authorization: LiveAuthorization,
    named: Context | None = None,
    *,
    asked: tuple[str, ...] = (),
    **more: Any,
) -> Issuance:
    """What the code grant makes of a decision."""
    return Issuance(
        client,
        authorization,
        authorization.scope,
        audiences.meant(asked, authorization.resources),
        contexts.enter_again(authorization, client, named),
        **more,
    )


def issuance_for_machine(
    client: RegisteredClient, named: Context | None = None, *, asked: tuple[str, ...] = (), scope: str | None = None
) -> Issuance:
    """What the client credentials grant makes of a request."""
    audience = audiences.meant_by_machine(asked, client)
    return Issuance(
        client,
        None,
        scopes.of_machine(None if scope is None else scope.split(), client, audience),
        audience,
        contexts.enter_as_machine(client, contexts.wanted_by_machine(client, named)),
    )


def access_token(issued: Issuance) -> dict[str, Any]:
    """What the access token says."""
    return claims_of(str(issuance.issue(issued)["access_token"]))


def id_token(issued: Issuance) -> dict[str, Any]:
    """What the ID token says."""
    return claims_of(str(issuance.issue(issued)["id_token"]))
