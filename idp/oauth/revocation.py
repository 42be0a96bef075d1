"""Revocation (RFC 7009): a client takes back a token that it holds. Once it is answered, it is done (INT-07)."""

from sqlalchemy import text

from idp.audit import trail
from idp.audit.trail import Actor
from idp.clients.registered import RegisteredClient
from idp.feed import losses
from idp.oauth import access_tokens, authorizations, refresh_tokens
from idp.oauth.access_tokens import AccessToken
from idp.oauth.errors import InvalidToken
from idp.oauth.refresh_tokens import StoredRefreshToken
from idp.platform import database

Revocable = AccessToken | StoredRefreshToken


def find(raw: str, client: RegisteredClient) -> Revocable | None:
    """The token of `client` that `raw` is, whatever kind it said it was (§2.1).

    `None` for what is another client's, unknown, malformed or expired: there is nothing to revoke, and nobody is told
    which it was (§2.2, INT-05).
    """
    found = refresh_tokens.find(raw) or _access_token(raw)
    return found if found is not None and found.client_id == client.id else None


def revoke(token: Revocable, *, by: Actor) -> None:
    """Let `token` count for nothing any more; a refresh token ends with its whole family (§2.1), an access token alone.

    Inside `database.writing()`; twice changes nothing.
    """
    if isinstance(token, StoredRefreshToken):
        authorizations.end(token.authorization_id, because="revoked", by=by)
        return
    kept = database.session().execute(_REMEMBER, {"jti": token.jti, "expires_at": token.expires_at})
    if not kept.rowcount:  # type: ignore[attr-defined]
        return
    losses.record("token", jti=token.jti)
    trail.record(
        "token.revoked",
        by=by,
        subject=token.jti,
        organization=token.organization_id or None,
        after={"client": token.client_id, "subject": token.subject},
    )


def _access_token(raw: str) -> AccessToken | None:
    try:
        return access_tokens.read(raw)
    except InvalidToken:
        return None


_REMEMBER = text("INSERT INTO revoked_tokens (jti, expires_at) VALUES (:jti, :expires_at) ON CONFLICT (jti) DO NOTHING")
