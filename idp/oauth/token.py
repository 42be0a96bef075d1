"""The order that every grant goes through at the token endpoint (RFC 6749 §3.2)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from idp.clients.registered import RegisteredClient
from idp.oauth.errors import UnauthorizedClient, UnsupportedGrantType
from idp.oauth.grants.authorization_code import redeem_code
from idp.oauth.grants.client_credentials import act_as_itself
from idp.oauth.grants.refresh_token import refresh
from idp.oauth.issuance import Issuance
from idp.oauth.token_request import TokenRequest


@dataclass(frozen=True)
class Grant:
    """A grant type. `prove`: what the request proves that tokens may be issued for. `writes`: it uses something up."""

    prove: Callable[[TokenRequest, RegisteredClient], Issuance]
    writes: bool = True


GRANTS: Final[Mapping[str, Grant]] = {
    "authorization_code": Grant(redeem_code),
    "refresh_token": Grant(refresh),
    "client_credentials": Grant(act_as_itself, writes=False),
}
"""One line a grant type; discovery reads it."""


def grant_of(request: TokenRequest) -> Grant:
    """The grant that is asked for. Raises `UnsupportedGrantType`."""
    grant = GRANTS.get(request.grant_type)
    if grant is None:
        raise UnsupportedGrantType("there is no such grant type here")
    return grant


def exchange(request: TokenRequest, client: RegisteredClient) -> Issuance:
    """What tokens are to be issued for. Inside `database.writing()` where the grant writes.

    What every grant needs is checked here and not in the grants, so that none can forget it. Raises `OAuthError`.
    """
    grant = grant_of(request)
    if request.grant_type not in client.grant_types:
        raise UnauthorizedClient("the client is not registered for this grant type")
    return grant.prove(request, client)
