"""Previews: what tokens would say if somebody signed in now and agreed to everything. Nothing is signed or written."""

from dataclasses import dataclass

from idp.clients.metadata import CODE
from idp.clients.registered import RegisteredClient
from idp.feed import positions
from idp.login import contexts as choices
from idp.login.demands import Demand
from idp.oauth import audiences, claims, contexts, issuance, scopes, subjects
from idp.oauth.authorizations import LiveAuthorization
from idp.oauth.errors import InvalidRequest, UnauthorizedClient
from idp.oauth.issuance import Issuance
from idp.organizations.effective import Context
from idp.platform import clock
from idp.users.claims import Json

_NOBODYS = "preview"
"""Stands where ids of an authorization and a session would; `subject` too, where a pairwise one is not made yet."""


@dataclass(frozen=True)
class Wanted:
    """What would be asked for. `scope`: `None` for all that a machine may get. `named`: the context, if any is."""

    scope: tuple[str, ...] | None = None
    resources: tuple[str, ...] = ()
    named: Context | None = None


@dataclass(frozen=True)
class Preview:
    """What would be said: empty where there would be no such token, and no userinfo."""

    access_token: dict[str, Json]
    id_token: dict[str, Json]
    userinfo: dict[str, Json]


def for_person(client: RegisteredClient, user_id: str, wanted: Wanted) -> Preview:
    """What `client` would be told of a person who signs in with a password.

    Raises what the endpoints would, and `InvalidRequest` where the person would have to choose a context.
    """
    _require(client, CODE)
    granted = audiences.granted(wanted.resources, client)
    scope = scopes.allowed(wanted.scope or (), client, granted)
    context = _context(client, user_id, wanted.named)
    entered = contexts.enter(user_id, context, client)
    audience = audiences.meant(wanted.resources, tuple(one.uri for one in granted))
    authorization = _authorization(client, user_id, scope, context)
    issued = Issuance(client, authorization, scope, audience, entered)
    narrowed, now = scopes.narrowed(scope, audience, client), clock.now()
    is_openid = scopes.OPENID in narrowed
    return Preview(
        issuance.within_size(issuance.access_claims(issued, narrowed, now)),
        issuance.id_claims(issued, authorization, narrowed, now) if is_openid else {},
        claims.userinfo(authorization, client, narrowed, entered) if is_openid else {},
    )


def for_machine(client: RegisteredClient, wanted: Wanted) -> Preview:
    """What the token of a client that acts for itself would say. Raises what the token endpoint would."""
    _require(client, "client_credentials")
    audience = audiences.meant_by_machine(wanted.resources, client)
    scope = scopes.of_machine(wanted.scope, client, audience)
    entered = contexts.enter_as_machine(client, contexts.wanted_by_machine(client, wanted.named))
    issued = Issuance(client, None, scope, audience, entered)
    return Preview(issuance.within_size(issuance.access_claims(issued, scope, clock.now())), {}, {})


def _require(client: RegisteredClient, grant_type: str) -> None:
    if grant_type not in client.grant_types:
        raise UnauthorizedClient(f"the client is not registered for {grant_type}")


def _context(client: RegisteredClient, user_id: str, named: Context | None) -> Context | None:
    wanted = contexts.wanted(client, named)
    if wanted.is_settled:
        return wanted.context
    organizations = contexts.possible(user_id, wanted, client)
    only = choices.only_one(user_id, Demand(context=wanted.kind, organizations=organizations))
    if only is None:
        raise InvalidRequest("the person would have to choose: name an organization or account")
    return only


def _authorization(
    client: RegisteredClient, user_id: str, scope: tuple[str, ...], context: Context | None
) -> LiveAuthorization:
    now = clock.now()
    return LiveAuthorization(
        id=f"az_{_NOBODYS}",
        client_id=client.id,
        user_id=user_id,
        session_id=f"ses_{_NOBODYS}",
        subject=subjects.known(user_id, client) or f"{subjects.PREFIX}{_NOBODYS}",
        scope=scope,
        resources=(),
        organization_id=context.organization_id if context else None,
        account_id=(context.account_id or None) if context else None,
        claims_json="{}",
        auth_time=now,
        acr="aal1",
        proofs=(),
        session_pause=0,
        amr=("pwd",),
        offline=scopes.OFFLINE in scope,
        created_at=now,
        expires_at=clock.FOREVER,
        ends_at=clock.FOREVER,
        head=positions.head(),
    )
