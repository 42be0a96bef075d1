"""Introspection (RFC 7662): what an access token says and whether it still stands, told to whom it concerns.

Always as of now. What cannot be told, for whichever reason, is told as `{"active": false}` and nothing else (INT-01,
INT-02): expired, revoked, of another kind, somebody else's, or no token at all.
"""

from collections.abc import Mapping
from typing import Final

from idp.clients.registered import RegisteredClient
from idp.oauth import access_tokens
from idp.oauth.access_tokens import AccessToken
from idp.oauth.errors import InvalidToken
from idp.platform.strict_json import Json

INACTIVE: Final[Mapping[str, Json]] = {"active": False}


def introspect(raw: str, asker: RegisteredClient) -> Mapping[str, Json]:
    """What `asker`, which has authenticated, learns of the token `raw` (§2.2)."""
    try:
        token = access_tokens.read(raw)
        if not concerns(token, asker):
            return INACTIVE
        access_tokens.require_live(token)
    except InvalidToken:
        return INACTIVE
    return {"active": True, "token_type": "Bearer", **token.claims}


def concerns(token: AccessToken, asker: RegisteredClient) -> bool:
    """Whether `asker` is the client that the token was issued to, or serves an API that it is for."""
    return token.client_id == asker.id or not asker.serves.isdisjoint(token.audiences)
