"""The refresh token grant (RFC 6749 §6): an authorization that still stands, with the roles of now."""

from idp.clients.registered import RegisteredClient
from idp.oauth import audiences, authorizations, contexts, refresh_tokens, scopes, single_use
from idp.oauth.authorizations import LiveAuthorization
from idp.oauth.errors import InvalidGrant, InvalidScope
from idp.oauth.issuance import Issuance
from idp.oauth.token_request import TokenRequest


def refresh(request: TokenRequest, client: RegisteredClient) -> Issuance:
    """What the token's authorization stands for, and the next token. Inside `database.writing()`.

    Another client's token ends its family (REF-06). What is asked for is checked before the token is spent: what
    cannot be had uses nothing up (REF-07).
    """
    token = refresh_tokens.find(request.require("refresh_token"))
    if token is None:
        raise InvalidGrant("the refresh token is not valid")
    if token.client_id != client.id:
        raise single_use.revoke(token.family, by=client, presented="refresh token of another client")
    authorization = authorizations.find_live(token.authorization_id)
    if authorization is None:
        raise InvalidGrant("the authorization has ended")
    return Issuance(
        client=client,
        authorization=authorization,
        scope=narrowed(request.scope, authorization),
        audience=audiences.meant_still(request.resources, authorization.resources, client),
        entered=contexts.enter_again(authorization, client, request.context()),
        refresh_token=refresh_tokens.rotate(token, authorization, client),
    )


def narrowed(asked: tuple[str, ...], authorization: LiveAuthorization) -> tuple[str, ...]:
    """The scope of this one access token: all that was granted, or the part of it that is asked for.

    Raises `InvalidScope` for more than was granted (RFC 6749 §6).
    """
    wanted = tuple(scope for scope in asked if not scopes.names_context(scope))
    more = [scope for scope in wanted if scope not in authorization.scope]
    if more:
        raise InvalidScope(f"not granted by the person: {' '.join(more)}")
    return wanted or authorization.scope
