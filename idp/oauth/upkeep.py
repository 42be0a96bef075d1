"""Upkeep: authorizations that ran out, with everything that hangs on them, taken out in small batches.

Until then every code and refresh token is remembered, however long ago it was used: whoever shows it once more shows
that it was stolen (REF-02).
"""

from typing import Any, Final, cast

from sqlalchemy import CursorResult, Select, delete, exists, select
from sqlalchemy.orm import InstrumentedAttribute

from idp.oauth.models import Authorization, AuthorizationCode, RefreshToken, RevokedToken
from idp.platform import clock, database
from idp.sessions import upkeep as old_sessions
from idp.sessions.models import BrowserSession

KEPT: Final = clock.DAY
"""How long what ran out is remembered: the clocks of nodes differ a little."""


def clean_up(limit: int = 500) -> int:
    """Delete up to `limit` rows of each kind that nothing can come of any more; how many.

    Call it inside `database.writing()`, again until it says 0.
    """
    horizon = clock.now() - KEPT
    over = select(Authorization.id).where(Authorization.expires_at < horizon)
    bare = [~exists().where(kind.authorization_id == Authorization.id) for kind in (RefreshToken, AuthorizationCode)]
    return (
        _delete(RefreshToken.digest, _of(RefreshToken, over), limit)
        + _delete(AuthorizationCode.digest, _of(AuthorizationCode, over), limit)
        + _delete(Authorization.id, over.where(*bare), limit)
        + _delete(RevokedToken.jti, select(RevokedToken.jti).where(RevokedToken.expires_at < horizon), limit)
    )


def clean_up_sessions(limit: int = 500) -> int:
    """Delete up to `limit` sessions that are long over and that no authorization names; how many."""
    return old_sessions.clean_up(limit, unless=exists().where(Authorization.session_id == BrowserSession.id))


def _of(kind: type[RefreshToken | AuthorizationCode], over: Select[str]) -> Select[bytes]:
    return select(kind.digest).where(kind.authorization_id.in_(over))


def _delete(key: InstrumentedAttribute[Any], found: Select[Any], limit: int) -> int:
    gone = delete(key.class_).where(key.in_(found.limit(limit)))
    return cast("CursorResult[object]", database.session().execute(gone)).rowcount
