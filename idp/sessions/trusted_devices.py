"""Trusted devices: browsers in which a person chose not to be asked for a second factor again for a while.

Trust is of one person in one browser. It proves nothing: it spares a question where that is allowed, for at most 30
days, and ends when what it was given for is removed, with a new password, or when the person ends it.
"""

from sqlalchemy import ColumnElement, delete, select, update

from idp.audit import trail
from idp.audit.trail import Actor
from idp.platform import clock, database
from idp.platform.errors import NotFound
from idp.sessions import people
from idp.sessions.models import Browser, TrustedDevice
from idp.users.models import User

TRUSTED = 30 * clock.DAY
"""How long a browser stays trusted."""


def trusted(browser: Browser | None, user_id: str) -> str:
    """The id of the trust of the person in this browser; empty where there is none now."""
    if browser is None:
        return ""
    live = select(TrustedDevice.id).where(TrustedDevice.browser_id == browser.id, *_live(user_id), _in_time())
    return database.session().scalar(live) or ""


def given_for(device_id: str) -> str | None:
    """The `TrustedDevice.factor_id` of a trust that lasts; `None` if it is over."""
    live = select(TrustedDevice.factor_id).where(
        TrustedDevice.id == device_id, TrustedDevice.ended_at.is_(None), _in_time()
    )
    return database.session().scalar(live)


def of(user_id: str) -> list[tuple[TrustedDevice, Browser]]:
    """The browsers that the person trusts now, the latest first."""
    wanted = (
        select(TrustedDevice, Browser)
        .join(Browser, Browser.id == TrustedDevice.browser_id)
        .where(*_live(user_id), _in_time())
        .order_by(TrustedDevice.created_at.desc(), TrustedDevice.id.desc())
    )
    return [(row[0], row[1]) for row in database.session().execute(wanted)]


# Each of these is called inside `database.writing()`


def trust(browser: Browser, user_id: str, factor_id: str) -> None:
    """Let the browser, which is locked, be trusted by the person from now on. `factor_id`: see `TrustedDevice`."""
    ending = update(TrustedDevice).where(*_live(user_id), TrustedDevice.browser_id == browser.id)
    database.session().execute(ending.values(ended_at=clock.now()))
    device = TrustedDevice(
        browser_id=browser.id, user_id=user_id, factor_id=factor_id, expires_at=clock.now() + TRUSTED
    )
    database.session().add(device)
    database.session().flush()
    trail.record("device.trusted", by=Actor("user", user_id), subject=device.id, after={"person": user_id})


def end(user_id: str, device_id: str, *, by: Actor) -> None:
    """End the trust in one browser. Raises `NotFound`, also for other people's devices."""
    if not _end(user_id, by, TrustedDevice.id == device_id):
        raise NotFound("This device is not trusted any more.")


def end_all_of(user_id: str, *, by: Actor) -> int:
    """End the trust in every browser of a person; how many."""
    return _end(user_id, by)


def end_given_for(user_id: str, factor_id: str, *, by: Actor) -> int:
    """End the trust in every browser that was given with this factor; how many."""
    return _end(user_id, by, TrustedDevice.factor_id == factor_id)


def end_everybodys() -> int:
    """End the trust in every browser there is, without an entry for each: a restore brings back what had ended."""
    ending = update(TrustedDevice).where(TrustedDevice.ended_at.is_(None)).values(ended_at=clock.now())
    return int(database.session().execute(ending).rowcount)  # type: ignore[attr-defined]


def forget(user: User, by: Actor) -> None:
    """A step of `lifecycle.before_deleting`."""
    database.session().execute(delete(TrustedDevice).where(TrustedDevice.user_id == user.id))


def _end(user_id: str, by: Actor, *which: ColumnElement[bool]) -> int:
    ending = update(TrustedDevice).where(*_live(user_id), *which).returning(TrustedDevice.id)
    ended = database.session().execute(
        ending.values(ended_at=clock.now()), execution_options={"synchronize_session": False}
    )
    ids = list(ended.scalars())
    for id in ids:
        people.retract(id, by=by)
        trail.record("device.distrusted", by=by, subject=id, after={"person": user_id})
    return len(ids)


def _in_time() -> ColumnElement[bool]:
    return TrustedDevice.expires_at > clock.now()


def _live(user_id: str) -> tuple[ColumnElement[bool], ...]:
    return (TrustedDevice.user_id == user_id, TrustedDevice.ended_at.is_(None))
