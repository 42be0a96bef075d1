"""Upkeep: rows of browsers and sessions that nothing can come of any more, taken out in small batches."""

from sqlalchemy import ColumnElement, Select, delete, exists, or_, select

from idp.platform import clock, database
from idp.platform.settings import settings
from idp.sessions import browsers
from idp.sessions.models import Browser, BrowserSession, KnownDevice, SessionProof, TrustedDevice

KEPT = 30 * clock.DAY
"""How long a session that is over is remembered."""

STRANGERS_KEPT = clock.DAY
"""How long a browser is remembered in which nobody has ever signed in."""


def clean_up(limit: int = 500, *, unless: ColumnElement[bool] | None = None) -> int:
    """Delete up to `limit` sessions that ended or ran out long ago; how many. Call it inside `database.writing()`.

    `unless`: what else may hang on a row of `sessions` and keeps it; rooms above know.
    """
    over = _over() if unless is None else _over().where(~unless)
    old = list(database.session().scalars(over.limit(limit)))
    if old:
        database.session().execute(delete(SessionProof).where(SessionProof.session_id.in_(old)))
        database.session().execute(delete(BrowserSession).where(BrowserSession.id.in_(old)))
    return len(old)


def forget_browsers(*, unless: ColumnElement[bool], limit: int = 500) -> int:
    """Delete up to `limit` browsers in which nobody is or can be signed in; how many. Inside `database.writing()`.

    `unless`: what else may hang on a row of `browsers` and keeps it; rooms above know.
    """
    forgotten = database.session().scalars(_forgettable().where(~unless).limit(limit).with_for_update(skip_locked=True))
    ids = list(forgotten)
    if ids:
        database.session().execute(delete(TrustedDevice).where(TrustedDevice.browser_id.in_(ids)))
        database.session().execute(delete(KnownDevice).where(KnownDevice.browser_id.in_(ids)))
        database.session().execute(delete(Browser).where(Browser.id.in_(ids)))
    return len(ids)


def _over() -> Select[str]:
    lifetimes, horizon = settings().lifetimes, clock.now() - KEPT
    unused = BrowserSession.last_seen_at < horizon - max(lifetimes.session_idle, lifetimes.session_max)
    ran_out = BrowserSession.ended_at.is_(None) & unused
    return select(BrowserSession.id).where(or_(BrowserSession.ended_at < horizon, ran_out))


def _forgettable() -> Select[str]:
    now = clock.now()
    is_strange = ~exists().where(KnownDevice.browser_id == Browser.id)
    is_old = or_(Browser.last_seen_at < now - browsers.IDLE, is_strange & (Browser.last_seen_at < now - STRANGERS_KEPT))
    return select(Browser.id).where(is_old, ~exists().where(BrowserSession.browser_id == Browser.id))
