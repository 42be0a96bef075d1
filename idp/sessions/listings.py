"""Lists of sessions, for whom they belong to and for operators: where, on which device, since when (SES-06)."""

from dataclasses import dataclass

from sqlalchemy import Select, select, union_all

from idp.platform import clock, database
from idp.platform.settings import settings
from idp.sessions.models import Browser, BrowserSession, SessionProof, TrustedDevice
from idp.users.models import User, UserDisablement


@dataclass(frozen=True)
class SessionLine:
    """A session that can be used. `address` and `user_agent` are those of the last sign-in in its browser."""

    id: str
    user_id: str
    username: str
    created_at: int
    last_seen_at: int
    address: str
    user_agent: str
    methods: tuple[str, ...]


def sessions(user_id: str = "", *, after: str = "", limit: int = 100) -> list[SessionLine]:
    """Usable sessions in the order of their ids, behind the id `after`; of one person, or of everybody."""
    lifetimes, now = settings().lifetimes, clock.now()
    disabled = select(UserDisablement.user_id).where(UserDisablement.ended_at.is_(None))
    wanted = (
        select(
            BrowserSession.id,
            BrowserSession.user_id,
            User.username,
            BrowserSession.created_at,
            BrowserSession.last_seen_at,
            Browser.address,
            Browser.user_agent,
        )
        .join(Browser, Browser.id == BrowserSession.browser_id)
        .join(User, User.id == BrowserSession.user_id)
        .where(
            BrowserSession.ended_at.is_(None),
            BrowserSession.id > after,
            BrowserSession.last_seen_at > now - lifetimes.session_idle,
            BrowserSession.created_at > now - lifetimes.session_max,
            BrowserSession.user_id.not_in(disabled),
        )
    )
    if user_id:
        wanted = wanted.where(BrowserSession.user_id == user_id)
    rows = database.session().execute(wanted.order_by(BrowserSession.id).limit(limit)).all()
    methods = _methods([row.id for row in rows])
    return [SessionLine(*row, tuple(sorted(methods.get(row.id, ())))) for row in rows]


def everything_of(user_id: str) -> Select[str]:
    """The ids of the sessions and trusted devices that the person has or had, as far as they are remembered."""
    devices = select(TrustedDevice.id).where(TrustedDevice.user_id == user_id)
    return select(union_all(select(BrowserSession.id).where(BrowserSession.user_id == user_id), devices).subquery())


def _methods(ids: list[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    wanted = select(SessionProof.session_id, SessionProof.method).where(SessionProof.session_id.in_(ids))
    for session_id, method in database.session().execute(wanted) if ids else ():
        found.setdefault(session_id, set()).add(method)
    return found
