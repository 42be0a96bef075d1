"""Userinfo (OpenID Connect Core §5.3): the claims that a token's scope releases, as of now."""

from dataclasses import dataclass

from idp.clients.registered import RegisteredClient
from idp.oauth import access_tokens, active_clients, claims, contexts
from idp.oauth.access_tokens import AccessToken
from idp.oauth.errors import InsufficientScope, InvalidToken
from idp.oauth.scopes import OPENID
from idp.organizations.effective import Context
from idp.platform.settings import settings
from idp.users.claims import Json


@dataclass(frozen=True)
class Told:
    """What is told about a person, and to which client."""

    client: RegisteredClient
    claims: dict[str, Json]


def tell(raw: str) -> Told:
    """What the bearer of the access token `raw` may know about its person.

    Raises `InvalidToken` for whatever is no live access token for this very endpoint, and `InsufficientScope` without
    `openid` (INT-08).
    """
    token = access_tokens.read(raw)
    require_for_us(token)
    authorization = access_tokens.require_live(token)
    if OPENID not in token.scope:
        raise InsufficientScope("The token lacks the scope openid.")
    client = active_clients.find(token.client_id)
    if authorization is None or client is None:
        raise InvalidToken("The token does not speak for a person.")
    context = Context(token.organization_id, token.account_id) if token.organization_id else None
    entered = contexts.enter(authorization.user_id, context, client, refusal=InvalidToken)
    return Told(client, claims.userinfo(authorization, client, token.scope, entered))


def require_for_us(token: AccessToken) -> None:
    """Raise `InvalidToken` unless the issuer's own endpoints are among those that the token is for (RFC 9068 §4)."""
    if settings().issuer not in token.audiences:
        raise InvalidToken("The token is for another resource.")
