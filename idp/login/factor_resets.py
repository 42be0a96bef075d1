"""Resets of second factors: taken from somebody who has lost them, by somebody who may, for a reason.

Whoever holds privileged roles is warned, and has a day to call it off (TOT-08); of anybody else it is done at once.
What was true when it was asked for is asked again when it is done. The password stays: a reset lets nobody in.
"""

from dataclasses import dataclass

from sqlalchemy import select, update

from idp.audit import trail
from idp.audit.trail import SYSTEM, Actor
from idp.credentials import mailed_links
from idp.credentials.mailed_links import LinkVoid
from idp.credentials.models import FactorReset
from idp.login import changing_factors, helping
from idp.organizations import authority, proven_addresses
from idp.platform import clock, database, identifiers, jobs, outbox
from idp.platform.errors import Forbidden, Invalid, NotFound, Refusal
from idp.platform.outbox import Letter
from idp.users import languages, users, zones
from idp.users.locks import lock
from idp.users.models import User

DELAY = 24 * clock.HOUR
"""How long people with privileged roles are warned before."""

KIND = "factor_reset"
"""The kind of job that does what is due; its payload is `{"reset": id}`."""

PATH = "/login/keep"
"""Where the link leads that calls a reset off, before its token."""

LONGEST_REASON = 500


class OperatorOnly(Forbidden):
    """Nobody but the operator does without the delay."""

    code = "reset_has_to_wait"
    title = "Only the operator of this installation can do this"
    remedy = "Wait until it is due."


@dataclass(frozen=True)
class Reset:
    """A reset: whose factors, why, asked by whom, due when. `outcome`: `done`, `cancelled`, or empty while it waits;
    `taken`: how many factors were taken, where it was done just now.
    """

    id: str
    user_id: str
    reason: str
    by: Actor
    due_at: int
    outcome: str
    taken: int = 0


def waiting(user_id: str) -> Reset | None:
    """The reset of that person that is not settled."""
    row = _open(user_id)
    return None if row is None else _value(row)


def find(token: str) -> Reset:
    """The reset that the link with that token calls off. Raises `LinkVoid`."""
    return _meant(mailed_links.find(token, "keep_factors").rests_on)


# Each of these is called inside `database.writing()`


def ask(user_id: str, reason: str, *, by: Actor, at_once: bool = False) -> Reset:
    """Have every second factor of the person taken: now, or after a day of warning where they hold privileged roles,
    or did in the last day.

    `at_once`: without that day, by the operator alone. What waits already is not asked for twice. Raises `Invalid`
    without a reason, `NotFound`, `OperatorOnly`, and what `helping.require_may` raises.
    """
    said = _one_line(reason)
    if not said:
        raise Invalid("say why it is done", field="reason")
    helping.require_may(user_id, by=by)
    if at_once and not authority.is_unlimited(by):
        raise OperatorOnly
    if lock(user_id).deleted_at is not None:
        raise NotFound("There is no such person.")
    waits = not at_once and helping.is_privileged(user_id, since=clock.now() - DELAY)
    row = _open(user_id)
    if row is not None and waits:
        return _value(row)
    if row is not None:
        _cancelled(row, by=by, because="asked_again")
    row = _begun(user_id, said, by, clock.now() + DELAY if waits else clock.now(), at_once=at_once)
    if not waits:
        return _done(row, by=by)
    jobs.add(KIND, {"reset": row.id}, due_at=row.due_at)
    _warn(row)
    return _value(row)


def cancel(user_id: str, *, by: Actor) -> Reset:
    """Call off what waits. By whoever could ask for it. Raises `NotFound` and what `helping.require_may` raises."""
    helping.require_may(user_id, by=by)
    lock(user_id)
    row = _open(user_id)
    if row is None:
        raise NotFound("No second factors are about to be taken from this person.")
    return _cancelled(row, by=by)


def cancel_by_link(token: str) -> Reset:
    """Call off what the link is about, once. Raises `LinkVoid`."""
    found = find(token)
    lock(found.user_id)
    mailed_links.spend(token, "keep_factors")
    return _cancelled(_row(found.id), by=Actor("user", found.user_id))


def carry_out(reset_id: str) -> None:
    """Do what is due, if whoever asked may still ask, and nobody has called it off; what is not due yet, later."""
    found = database.session().get(FactorReset, reset_id, populate_existing=True)
    if found is None or found.outcome is not None:
        return
    if clock.now() < found.due_at:  # the clock was set back since the job was taken
        jobs.add(KIND, {"reset": reset_id}, due_at=found.due_at)
        return
    by, user_id = _asker(found), found.user_id
    try:
        helping.require_may(user_id, by=by)
    except Refusal as refusal:
        lock(user_id)
        _settle_unless_done(reset_id, because=refusal.code)
        return
    is_there = lock(user_id).deleted_at is None
    row = _row(reset_id)
    if row.outcome is None:
        _done(row, by=by) if is_there else _cancelled(row, by=SYSTEM, because="deleted")


def cancel_all() -> int:
    """Call off whatever waits, without an entry for each: a restore brings back what people had called off."""
    open_ones = update(FactorReset).where(FactorReset.outcome.is_(None))
    settled = database.session().execute(open_ones.values(outcome="cancelled", settled_at=clock.now()))
    return int(settled.rowcount)  # type: ignore[attr-defined]


def forget(user: User, by: Actor) -> None:
    """A step of `lifecycle.before_deleting`: forget why it was asked for, which may tell much of the person."""
    theirs = update(FactorReset).where(FactorReset.user_id == user.id)
    database.session().execute(theirs.values(reason=""))


# Settling


def _begun(user_id: str, reason: str, by: Actor, due_at: int, *, at_once: bool) -> FactorReset:
    row = FactorReset(
        id=identifiers.edge(), user_id=user_id, reason=reason, asked_by_kind=by.kind, asked_by=by.id, due_at=due_at
    )
    database.session().add(row)
    database.session().flush()
    after = {"reason": reason, "due_at": clock.iso(due_at), "at_once": at_once}
    trail.record("user.factors.reset.asked", by=by, subject=user_id, after=after)
    return row


def _done(row: FactorReset, *, by: Actor) -> Reset:
    _settle(row, "done")
    taken = changing_factors.reset(row.user_id, row.reason, by=by)
    return _value(row, taken)


def _cancelled(row: FactorReset, *, by: Actor, because: str = "") -> Reset:
    _settle(row, "cancelled")
    after = {"because": because} if because else None
    trail.record("user.factors.reset.cancelled", by=by, subject=row.user_id, after=after)
    return _value(row)


def _settle_unless_done(reset_id: str, *, because: str) -> None:
    row = _row(reset_id)
    if row.outcome is None:
        _cancelled(row, by=SYSTEM, because=because)


def _settle(row: FactorReset, outcome: str) -> None:
    """Once: of two that try, one gets `LinkVoid`, as whoever comes late with a link does."""
    mine = update(FactorReset).where(FactorReset.id == row.id, FactorReset.outcome.is_(None))
    settled = database.session().execute(mine.values(outcome=outcome, settled_at=clock.now()))
    if not settled.rowcount:  # type: ignore[attr-defined]
        raise LinkVoid
    mailed_links.end_all("keep_factors", row.user_id)
    database.session().refresh(row)


# Letters


def _warn(row: FactorReset) -> None:
    """Tell the person wherever they can be reached, with a link that calls it off: not at an address that was proven so
    lately that it may be why the factors have to go.
    """
    user = users.find(row.user_id)
    facts: dict[str, str | int] = {"by": _called(_asker(row)), "reason": row.reason, "due_at": row.due_at}
    for one in proven_addresses.recovering(row.user_id):
        token = mailed_links.make(
            "keep_factors", user.id, one.address, one.address_key, lifetime=row.due_at - clock.now(), rests_on=row.id
        )
        letter = Letter(
            "factor_reset_asked", one.address, languages.of(user), facts, f"{PATH}/{token}", zone=zones.of(user)
        )
        outbox.post(letter)


def _called(by: Actor) -> str:
    """What the reader calls whoever asked; the operator has no name there."""
    return users.display_name(users.find(by.id)) if by.kind == "user" else ""


# Rows


def _open(user_id: str) -> FactorReset | None:
    wanted = select(FactorReset).where(FactorReset.user_id == user_id, FactorReset.outcome.is_(None))
    return database.session().scalars(wanted, execution_options={"populate_existing": True}).one_or_none()


def _meant(reset_id: str) -> Reset:
    row = database.session().get(FactorReset, reset_id, populate_existing=True)
    if row is None or row.outcome is not None:
        raise LinkVoid
    return _value(row)


def _row(reset_id: str) -> FactorReset:
    return database.session().get_one(FactorReset, reset_id, populate_existing=True)


def _asker(row: FactorReset) -> Actor:
    return Actor(row.asked_by_kind, row.asked_by)


def _value(row: FactorReset, taken: int = 0) -> Reset:
    return Reset(row.id, row.user_id, row.reason, _asker(row), row.due_at, row.outcome or "", taken)


def _one_line(reason: str) -> str:
    """`reason` as it is kept: one line, without what cannot be seen."""
    visible = "".join(letter if letter.isprintable() else " " for letter in reason)
    return " ".join(visible.split())[:LONGEST_REASON]
