"""Who is signed in in a browser: sessions opened by proofs, stepped up by more of them, ended for good.

Nothing is told to a session when something happens to its person: whether it lives is asked where it is used.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select

from idp.audit import trail
from idp.audit.trail import SYSTEM, Actor
from idp.feed import losses
from idp.platform import clock, database
from idp.platform.errors import NotFound
from idp.platform.settings import settings
from idp.sessions import browsers
from idp.sessions.models import Browser, BrowserSession, KnownDevice, SessionProof
from idp.sessions.proofs import Proof
from idp.users import lifecycle

SEEN = clock.MINUTE
"""The last use of a session is written down at most so often."""


@dataclass(frozen=True)
class LiveSession:
    """A session that can be used: `id` (`sid`), whose, since when, and the proofs in it, oldest first."""

    id: str
    browser_id: str
    user_id: str
    created_at: int
    last_seen_at: int
    proofs: tuple[Proof, ...]

    @property
    def authenticated_at(self) -> int:
        """When the person last proved anything (`auth_time`)."""
        return max((proof.at for proof in self.proofs), default=self.created_at)


def open_session(browser: Browser, user_id: str, proofs: Collection[Proof]) -> tuple[LiveSession, str]:
    """Sign a person in with `proofs`, or step their session up; the session, and the browser's new token.

    Raises `NotFound` when the person is disabled or gone meanwhile.
    """
    if lifecycle.is_disabled(user_id):
        raise NotFound("This person cannot sign in.")
    session = database.session()
    row = _row(browser.id, user_id)
    opened = row is None
    if row is None:
        row = BrowserSession(browser_id=browser.id, user_id=user_id)
        session.add(row)
        session.flush()
    row.last_seen_at = clock.now()
    session.add_all(
        SessionProof(session_id=row.id, method=one.method, at=one.at, vouched_by=one.vouched_by) for one in proofs
    )
    _remember(browser, user_id)
    token = browsers.renew(browser)
    session.flush()
    event = "session.opened" if opened else "session.stepped_up"
    methods = sorted({proof.method for proof in proofs})
    trail.record(event, by=Actor("user", user_id), subject=row.id, after=methods)
    return _live(row), token


def in_browser(browser: Browser | None) -> list[LiveSession]:
    """Who is signed in in `browser` now, the latest first: within idle and absolute end, and not disabled."""
    if browser is None:
        return []
    return [one for one in map(_live, _rows(BrowserSession.browser_id == browser.id)) if is_usable(one)]


def of_person(user_id: str) -> list[LiveSession]:
    """The sessions of a person in all browsers, the latest first."""
    return [one for one in map(_live, _rows(BrowserSession.user_id == user_id)) if is_usable(one)]


def is_usable(one: LiveSession, *, idle: int = clock.FOREVER, longest: int = clock.FOREVER) -> bool:
    """Whether the session is within its idle and absolute end, and its person is not disabled.

    A context may shorten both ends (microseconds): it asks with its own.
    """
    lifetimes = settings().lifetimes
    idle_end = one.last_seen_at + min(idle, lifetimes.session_idle)
    absolute_end = one.created_at + min(longest, lifetimes.session_max)
    return clock.now() < min(idle_end, absolute_end) and not lifecycle.is_disabled(one.user_id)


def find(browser: Browser | None, session_id: str) -> LiveSession:
    """The usable session with that id in this browser. Raises `NotFound`, also for other browsers' sessions."""
    for one in in_browser(browser):
        if one.id == session_id:
            return one
    raise NotFound("This session has ended.")


def touch(one: LiveSession) -> None:
    """Note that the session was used; at most once a minute that is a write, and the caller opens it only then."""
    database.session().get_one(BrowserSession, one.id).last_seen_at = clock.now()


def is_due(one: LiveSession) -> bool:
    """Whether `touch` would say anything new."""
    return clock.now() - one.last_seen_at > SEEN


def end(session_id: str, *, because: str, by: Actor) -> None:
    """End a session for good; twice changes nothing. What hangs on it is superseded."""
    row = database.session().get_one(BrowserSession, session_id)
    if row.ended_at is not None:
        return
    row.ended_at, row.ended_because = clock.now(), because
    losses.record("session", sid=row.id)
    trail.record("session.ended", by=by, subject=row.id, after={"person": row.user_id, "because": because})


def end_all_of(user_id: str, *, because: str, by: Actor, but: str = "") -> int:
    """End every session of a person, but the one with the id `but`; how many ended."""
    ending = [row.id for row in _rows(BrowserSession.user_id == user_id) if row.id != but]
    for session_id in ending:
        end(session_id, because=because, by=by)
    return len(ending)


def is_known(browser: Browser | None, user_id: str) -> bool:
    """Whether the person has signed in in this browser before."""
    return browser is not None and database.session().get(KnownDevice, (browser.id, user_id)) is not None


def _remember(browser: Browser, user_id: str) -> None:
    known = database.session().get(KnownDevice, (browser.id, user_id))
    if known is None:
        database.session().add(KnownDevice(browser_id=browser.id, user_id=user_id))
    else:
        known.last_seen_at = clock.now()


def _row(browser_id: str, user_id: str) -> BrowserSession | None:
    """The session to step up: a live one, still usable; one that has run out is ended, and another begun."""
    for row in _rows(BrowserSession.browser_id == browser_id, BrowserSession.user_id == user_id):
        if is_usable(_live(row)):
            return row
        end(row.id, because="expired", by=SYSTEM)
    database.session().flush()
    return None


def _rows(*conditions: ColumnElement[bool]) -> Sequence[BrowserSession]:
    statement = select(BrowserSession).where(BrowserSession.ended_at.is_(None), *conditions)
    return database.session().scalars(statement.order_by(BrowserSession.last_seen_at.desc())).all()


def _live(row: BrowserSession) -> LiveSession:
    proofs = select(SessionProof).where(SessionProof.session_id == row.id).order_by(SessionProof.at)
    return LiveSession(
        row.id,
        row.browser_id,
        row.user_id,
        row.created_at,
        row.last_seen_at,
        tuple(Proof(one.method, one.at, one.vouched_by) for one in database.session().scalars(proofs)),
    )
