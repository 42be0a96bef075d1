"""Access tokens read back (RFC 9068 §4): whether one is ours and in time, and whether what it says still stands.

`read` asks no table but the keys; `require_live` asks everything that can have happened since the token was made. The
endpoints that take or explain tokens go through both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from idp.feed import supersession
from idp.feed.supersession import Said
from idp.oauth import active_clients, authorizations, own_tokens
from idp.oauth.authorizations import LiveAuthorization
from idp.oauth.errors import InvalidToken
from idp.oauth.models import RevokedToken
from idp.oauth.own_tokens import NotOurs, OwnToken
from idp.platform import clock
from idp.platform.prepared import Prepared
from idp.platform.strict_json import Json

TYPES = frozenset({"at+jwt"})
"""What the header of an access token says (RFC 9068 §2.1)."""

MACHINE = "c"
"""Stands in `jti` where the name of an authorization stands in the tokens that speak for people."""

_COMPARED = ("sub", "org_id", "account_id", "client_id", "sid", "jti")
"""Claims that entries of the change feed match by their own names."""


@dataclass(frozen=True)
class AccessToken:
    """An access token of ours that has not expired. Times are microseconds; absent texts are empty.

    `authorization_id`: empty in tokens of machines. `azv`: the position of the change feed up to which it was current.
    `claims`: all that it says.
    """

    jti: str
    authorization_id: str
    subject: str
    client_id: str
    audiences: tuple[str, ...]
    scope: tuple[str, ...]
    session_id: str
    organization_id: str
    account_id: str
    issued_at: int
    expires_at: int
    azv: int
    kid: str
    claims: Mapping[str, Json]


def read(raw: str) -> AccessToken:
    """The access token that `raw` is. Raises `InvalidToken` for everything else that can be sent, and for expired ones.

    That it still stands is another question: `require_live`.
    """
    try:
        token = _parsed(own_tokens.read(raw, purpose="access_token", types=TYPES))
    except NotOurs:
        raise InvalidToken("The token is not an access token of this issuer.") from None
    if clock.now() >= token.expires_at:
        raise InvalidToken("The token has expired.")
    return token


def require_live(token: AccessToken) -> LiveAuthorization | None:
    """The authorization that `token` hangs on; `None` for a machine's, which hangs on its client.

    Raises `InvalidToken` when it was revoked, when a loss younger than it speaks against it, or when what it hangs on
    has ended: as of now, not as of some time ago (INT-03).
    """
    if _REVOKED.one(jti=token.jti) or supersession.is_superseded(_said(token)):
        raise InvalidToken("The token was revoked or superseded.")
    if not token.authorization_id:
        if active_clients.find(token.client_id) is None:
            raise InvalidToken("The token was revoked or superseded.")
        return None
    authorization = authorizations.find_live(token.authorization_id)
    if authorization is None or authorization.client_id != token.client_id:
        raise InvalidToken("The token was revoked or superseded.")
    return authorization


def _parsed(token: OwnToken) -> AccessToken:
    jti = token.required("jti")
    hangs_on = jti.partition(".")[0]
    if "nbf" in token.claims and token.seconds("nbf") * clock.SECOND > clock.now():
        raise NotOurs("not valid yet")
    return AccessToken(
        jti=jti,
        authorization_id="" if hangs_on == MACHINE else hangs_on,
        subject=token.required("sub"),
        client_id=token.required("client_id"),
        audiences=token.texts("aud"),
        scope=tuple(token.text("scope").split()),
        session_id=token.text("sid"),
        organization_id=token.text("org_id"),
        account_id=token.text("account_id"),
        issued_at=token.seconds("iat") * clock.SECOND,
        expires_at=token.seconds("exp") * clock.SECOND,
        azv=token.whole("azv"),
        kid=token.kid,
        claims=token.claims,
    )


def _said(token: AccessToken) -> Said:
    """What of the token entries of the feed are compared with."""
    values: dict[str, tuple[str, ...]] = {name: (said,) for name in _COMPARED if (said := _text(token, name))}
    values["aud"] = token.audiences
    roles, actor = token.claims.get("roles"), token.claims.get("act")
    if isinstance(roles, list):
        values["role"] = tuple(role for role in roles if isinstance(role, str))
    if isinstance(actor, dict) and isinstance(actor.get("sub"), str):
        values["act"] = (str(actor["sub"]),)
    return Said(token.azv, token.kid, values)


def _text(token: AccessToken, name: str) -> str:
    value = token.claims.get(name)
    return value if isinstance(value, str) else ""


_REVOKED = Prepared(select(RevokedToken.jti).where(RevokedToken.jti == bindparam("jti")), str)
