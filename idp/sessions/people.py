"""Who is signed in in a browser: sessions opened by proofs, stepped up by more of them, ended for good.

Nothing is told to a session when something happens to its person: whether it lives is asked where it is used.
"""

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import cast

from sqlalchemy import ColumnElement, CursorResult, bindparam, case, delete, exists, func, literal, select, update

from idp.audit import trail
from idp.audit.trail import SYSTEM, Actor
from idp.feed import losses
from idp.platform import clock, database
from idp.platform.errors import NotFound
from idp.platform.prepared import Prepared
from idp.platform.settings import settings
from idp.sessions import browsers
from idp.sessions.models import Browser, BrowserSession, KnownDevice, SessionProof
from idp.sessions.proofs import DEVICE, Proof, last_given
from idp.users import lifecycle
from idp.users.locks import lock
from idp.users.models import User, UserDisablement

SEEN = clock.MINUTE
"""The last use of a session is written down at most so often."""

ABSENT = "This session has ended."


@dataclass(frozen=True)
class LiveSession:
    """A session that can be used: `id` (`sid`), whose, since when, and the proofs in it, oldest first."""

    id: str
    browser_id: str
    user_id: str
    created_at: int
    last_seen_at: int
    longest_pause: int
    proofs: tuple[Proof, ...]

    @property
    def authenticated_at(self) -> int:
        """When the person last proved anything (`auth_time`)."""
        return last_given(self.proofs, default=self.created_at)

    @property
    def pause(self) -> int:
        """The longest that the session was unused (microseconds) since its person last proved anything, until now.

        A look at another page does not make a long pause undone for a context that allows only short ones.
        """
        return max(self.longest_pause, clock.now() - self.last_seen_at)


# Signing in


def open_session(browser: Browser, user_id: str, proofs: Collection[Proof]) -> tuple[LiveSession, str]:
    """Sign a person in with `proofs`, or step their session up; the session, and the browser's new token.

    The person's row is locked first, so that a disabling either is seen here or ends this session, then the
    browser's, so that two tabs open one session. Raises `NotFound` when the person is disabled or gone meanwhile.
    """
    if not proofs:
        raise ValueError("nobody is signed in without a proof")
    lock(user_id)
    if lifecycle.is_disabled(user_id):
        raise NotFound("This person cannot sign in.")
    browser = browsers.lock(browser.id)
    is_new = not is_known(browser, user_id)
    known = _to_step_up(browser.id, user_id)
    session_id = _begin(browser.id, user_id) if known is None else known.id
    _add(session_id, proofs)
    (opened,) = _found(BrowserSession.id == session_id)
    come_forward(opened, has_proven=True)
    _remember(browser.id, user_id)
    token = browsers.renew(browser)
    event = "session.opened" if known is None else "session.stepped.up"
    methods = sorted({proof.method for proof in proofs})
    said: dict[str, str | bool | list[str]] = {"person": user_id, "by": methods}
    if known is None:
        said["new_browser"] = is_new
    trail.record(event, by=Actor("user", user_id), subject=session_id, after=said)
    (opened,) = _found(BrowserSession.id == session_id)
    return opened, token


def _to_step_up(browser_id: str, user_id: str) -> LiveSession | None:
    """The person's session in the browser, still usable; one that has run out is ended, and another begun."""
    for one in _found(BrowserSession.browser_id == browser_id, BrowserSession.user_id == user_id):
        if is_usable(one):
            return one
        end(one.id, because="expired", by=SYSTEM)
    return None


def _begin(browser_id: str, user_id: str) -> str:
    row = BrowserSession(browser_id=browser_id, user_id=user_id)
    database.session().add(row)
    database.session().flush()
    return row.id


def _add(session_id: str, proofs: Iterable[Proof]) -> None:
    database.session().add_all(SessionProof(session_id=session_id, **asdict(one)) for one in proofs)


# Being signed in


def in_browser(browser: Browser | None) -> list[LiveSession]:
    """Who is signed in in `browser` now, the latest first: within idle and absolute end, and not disabled.

    Nobody, if the browser's cookie has changed since `browser` was read: who came with the old one sees nothing.
    """
    if browser is None:
        return []
    rows = _IN_BROWSER.all(browser_id=browser.id, token_digest=browser.token_digest)
    found = [_joined(list(several)) for _, several in itertools.groupby(rows, lambda row: row.id)]
    return [one for one in found if not has_run_out(one)]


def of_person(user_id: str) -> list[LiveSession]:
    """The sessions of a person in all browsers, the latest first."""
    return _usable(_found(BrowserSession.user_id == user_id))


def find(browser: Browser | None, session_id: str) -> LiveSession:
    """The usable session with that id in this browser. Raises `NotFound`, also for other browsers' sessions."""
    for one in in_browser(browser):
        if one.id == session_id:
            return one
    raise NotFound(ABSENT)


def is_usable(one: LiveSession) -> bool:
    """Whether the session is within its idle and absolute end, and its person is not disabled."""
    return not has_run_out(one) and not lifecycle.is_disabled(one.user_id)


def has_run_out(one: LiveSession) -> bool:
    """Whether the session was unused for too long, or is too old (SES-06)."""
    lifetimes = settings().lifetimes
    return clock.now() >= min(one.last_seen_at + lifetimes.session_idle, one.created_at + lifetimes.session_max)


def is_due(one: LiveSession) -> bool:
    """Whether `touch` would say anything new."""
    return clock.now() - one.last_seen_at > SEEN


def touch(one: LiveSession) -> None:
    """Note that the session was used; at most once a minute that is a write, and the caller opens it only then.

    What has ended meanwhile stays ended, and the last use never goes back.
    """
    now = clock.now()
    used = update(BrowserSession).where(
        BrowserSession.id == one.id, BrowserSession.ended_at.is_(None), BrowserSession.last_seen_at < now
    )
    database.session().execute(used.values(last_seen_at=now, longest_pause=pause_until(now)))


def come_forward(one: LiveSession, *, has_proven: bool = False) -> None:
    """Let the browser act for the person of this session from now on: of several in it, the last one used counts.

    `has_proven`: the person has just given a proof, which makes the pauses before it undone.
    """
    others = select(func.max(BrowserSession.last_seen_at)).where(
        BrowserSession.browser_id == one.browser_id, BrowserSession.id != one.id
    )
    latest = max(clock.now(), (database.session().scalar(others) or 0) + 1)
    pause = literal(0) if has_proven else pause_until(latest)
    mine = update(BrowserSession).where(BrowserSession.id == one.id, BrowserSession.ended_at.is_(None))
    database.session().execute(mine.values(last_seen_at=latest, longest_pause=pause))


def pause_until(now: ColumnElement[int] | int) -> ColumnElement[int]:
    """`LiveSession.pause` as the database sees it at `now` (microseconds), of the session that a statement is about."""
    pause = now - BrowserSession.last_seen_at
    return case((pause > BrowserSession.longest_pause, pause), else_=BrowserSession.longest_pause)


# Ending


def end(session_id: str, *, because: str, by: Actor) -> bool:
    """End a session for good; whether it was this call that did. What hangs on it is superseded.

    `because`: `signed_out`, `revoked`, `expired`, `password_changed`, `factor_removed`, `factors_reset`, `disabled`.
    Raises `NotFound`.
    """
    row = database.session().get(BrowserSession, session_id)
    if row is None:
        raise NotFound(ABSENT)
    ending = update(BrowserSession).where(BrowserSession.id == session_id, BrowserSession.ended_at.is_(None))
    ended = database.session().execute(ending.values(ended_at=clock.now(), ended_because=because))
    if not ended.rowcount:  # type: ignore[attr-defined]
        return False
    losses.record("session", sid=session_id)
    trail.record("session.ended", by=by, subject=session_id, after={"person": row.user_id, "because": because})
    return True


def end_all_of(user_id: str, *, because: str, by: Actor, but: str = "") -> int:
    """End every session of a person, but the one with the id `but`; how many ended."""
    ids = [one.id for one in _found(BrowserSession.user_id == user_id) if one.id != but]
    return sum(end(session_id, because=because, by=by) for session_id in ids)


def end_everybodys(because: str) -> int:
    """End every session there is, without an entry for each: a restore brings back what had ended; how many."""
    live = update(BrowserSession).where(BrowserSession.ended_at.is_(None))
    ended = database.session().execute(live.values(ended_at=clock.now(), ended_because=because))
    return cast("CursorResult[object]", ended).rowcount


def retract(factor_id: str, *, by: Actor) -> None:
    """Take out of every session what was proven with this factor or trusted device, which is no more.

    A session in which nothing else was proven ends; in others the person is what the rest proves. What was issued in
    them says more than that, and is superseded.
    """
    mine = delete(SessionProof).where(SessionProof.factor_id == factor_id).returning(SessionProof.session_id)
    touched = set(database.session().execute(mine, execution_options={"synchronize_session": False}).scalars())
    live = _found(BrowserSession.id.in_(touched)) if touched else []
    resting = {one.id for one in live if all(proof.method == DEVICE for proof in one.proofs)}
    for session_id in sorted(touched - resting):
        losses.record("session", sid=session_id)
    for session_id in sorted(resting):
        end(session_id, because="factor_removed", by=by)


def end_with(user: User, by: Actor) -> None:
    """End the sessions of a person who is being disabled: enabling brings none of them back (SES-07)."""
    end_all_of(user.id, because="disabled", by=by)


# Known devices


def is_known(browser: Browser | None, user_id: str) -> bool:
    """Whether the person has signed in in this browser before."""
    return browser is not None and database.session().get(KnownDevice, (browser.id, user_id)) is not None


def forget(user: User, by: Actor) -> None:
    """Forget the devices of a person who is being deleted."""
    database.session().execute(delete(KnownDevice).where(KnownDevice.user_id == user.id))


def _remember(browser_id: str, user_id: str) -> None:
    known = database.session().get(KnownDevice, (browser_id, user_id))
    if known is None:
        database.session().add(KnownDevice(browser_id=browser_id, user_id=user_id))
    else:
        known.last_seen_at = clock.now()
    database.session().flush()


# Rows


def _usable(found: Sequence[LiveSession]) -> list[LiveSession]:
    disabled = lifecycle.disabled_among(sorted({one.user_id for one in found})) if found else frozenset()
    return [one for one in found if one.user_id not in disabled and not has_run_out(one)]


def _found(*conditions: ColumnElement[bool]) -> list[LiveSession]:
    """The sessions that nobody has ended, the latest used first; two statements."""
    wanted = select(
        BrowserSession.id,
        BrowserSession.browser_id,
        BrowserSession.user_id,
        BrowserSession.created_at,
        BrowserSession.last_seen_at,
        BrowserSession.longest_pause,
    ).where(BrowserSession.ended_at.is_(None), *conditions)
    latest_first = wanted.order_by(BrowserSession.last_seen_at.desc(), BrowserSession.id.desc())
    rows = database.session().execute(latest_first).all()
    proofs = _proofs([row.id for row in rows])
    return [LiveSession(*row, tuple(proofs[row.id])) for row in rows]


@dataclass(frozen=True)
class _Row:
    """A session with one of its proofs, if it has any."""

    id: str
    browser_id: str
    user_id: str
    created_at: int
    last_seen_at: int
    longest_pause: int
    method: str | None
    at: int | None
    vouched_by: str | None
    factor_id: str | None
    held_in: str | None


def _joined(rows: Sequence[_Row]) -> LiveSession:
    """The session that all `rows` are of."""
    proofs = (
        Proof(row.method, row.at or 0, row.vouched_by or "", row.factor_id or "", row.held_in or "")
        for row in rows
        if row.method is not None
    )
    one = rows[0]
    return LiveSession(
        one.id, one.browser_id, one.user_id, one.created_at, one.last_seen_at, one.longest_pause, tuple(proofs)
    )


_IN_BROWSER: Prepared[_Row] = Prepared(
    select(
        BrowserSession.id,
        BrowserSession.browser_id,
        BrowserSession.user_id,
        BrowserSession.created_at,
        BrowserSession.last_seen_at,
        BrowserSession.longest_pause,
        SessionProof.method,
        SessionProof.at,
        SessionProof.vouched_by,
        SessionProof.factor_id,
        SessionProof.held_in,
    )
    .join(Browser, Browser.id == BrowserSession.browser_id)
    .outerjoin(SessionProof, SessionProof.session_id == BrowserSession.id)
    .where(
        Browser.id == bindparam("browser_id"),
        Browser.token_digest == bindparam("token_digest"),
        BrowserSession.ended_at.is_(None),
        ~exists().where(UserDisablement.user_id == BrowserSession.user_id, UserDisablement.ended_at.is_(None)),
    )
    .order_by(BrowserSession.last_seen_at.desc(), BrowserSession.id.desc(), SessionProof.at, SessionProof.id),
    _Row,
)
"""Whoever may be signed in in a browser that has not changed; asked for at every visit to `/oauth2/authorize`."""


def _proofs(session_ids: Sequence[str]) -> dict[str, list[Proof]]:
    found: dict[str, list[Proof]] = defaultdict(list)
    wanted = (
        select(
            SessionProof.session_id,
            SessionProof.method,
            SessionProof.at,
            SessionProof.vouched_by,
            SessionProof.factor_id,
            SessionProof.held_in,
        )
        .where(SessionProof.session_id.in_(session_ids))
        .order_by(SessionProof.at, SessionProof.id)
    )
    for row in database.session().execute(wanted) if session_ids else ():
        found[row.session_id].append(Proof(row.method, row.at, row.vouched_by, row.factor_id, row.held_in))
    return found
