"""The client credentials grant (RFC 6749 §4.4): the client acts for itself, and is its own authorization."""

from idp.clients.registered import RegisteredClient
from idp.oauth import audiences, contexts, scopes
from idp.oauth.issuance import Issuance
from idp.oauth.token_request import TokenRequest


def act_as_itself(request: TokenRequest, client: RegisteredClient) -> Issuance:
    """What the client may have for itself; there is no refresh token (RFC 6749 §4.4.3). Writes nothing."""
    audience = audiences.meant_by_machine(request.resources, client)
    return Issuance(
        client=client,
        authorization=None,
        scope=scopes.of_machine(request.scope or None, client, audience),
        audience=audience,
        entered=contexts.enter_as_machine(client, contexts.wanted_by_machine(client, request.context())),
    )
