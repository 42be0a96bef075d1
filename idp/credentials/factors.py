"""Factors: the passkeys, the authenticator app and the mailbox that a person has, by name and age. Ended, never
deleted.
"""

from collections.abc import Collection

from sqlalchemy import func, select, update

from idp.audit import trail
from idp.audit.trail import Actor
from idp.credentials.models import Factor
from idp.platform import clock, database
from idp.platform.errors import NotFound
from idp.users.locks import lock
from idp.users.models import User

LONGEST_NAME = 64


def of(user_id: str) -> list[Factor]:
    """What the person has, in the order in which it was set up."""
    live = select(Factor).where(Factor.user_id == user_id, Factor.ended_at.is_(None))
    return list(database.session().scalars(live.order_by(Factor.created_at, Factor.id)))


def find(user_id: str, factor_id: str) -> Factor:
    """The factor of that person with that id. Raises `NotFound`, also for other people's and for removed ones."""
    for one in of(user_id):
        if one.id == factor_id:
            return one
    raise NotFound("There is no such passkey, authenticator app or mailbox for codes.")


def kind_of(factor_id: str) -> str:
    """What the factor is: `passkey`, `totp` or `email_code`; empty if it has been removed."""
    live = select(Factor.kind).where(Factor.id == factor_id, Factor.ended_at.is_(None))
    return database.session().scalar(live) or ""


def app_of(user_id: str) -> Factor | None:
    """The person's authenticator app, of which there is at most one."""
    return next((one for one in of(user_id) if one.kind == "totp"), None)


def mailbox_of(user_id: str) -> Factor | None:
    """That codes are mailed to the person, if they turned that on."""
    return next((one for one in of(user_id) if one.kind == "email_code"), None)


def are_there(factor_ids: Collection[str]) -> bool:
    """Whether none of these has been removed."""
    wanted = set(factor_ids)
    if not wanted:
        return True
    live = select(func.count()).select_from(Factor).where(Factor.id.in_(wanted), Factor.ended_at.is_(None))
    return database.session().scalar(live) == len(wanted)


# Each of these is called inside `database.writing()`


def add(user_id: str, kind: str, name: str, *, by: Actor) -> Factor:
    """A new factor of the person, of the `kind` `passkey`, `totp` or `email_code`; what it is made of is its module's
    to add.
    """
    lock(user_id)
    factor = Factor(user_id=user_id, kind=kind, name=_shown(name))
    database.session().add(factor)
    database.session().flush()
    trail.record("user.factor.added", by=by, subject=user_id, after={"factor": factor.id, "kind": kind})
    return factor


def rename(user_id: str, factor_id: str, name: str, *, by: Actor) -> None:
    """Call the factor something else; an empty name changes nothing. Raises `NotFound`."""
    factor, wanted = find(user_id, factor_id), _shown(name)
    if not wanted or wanted == factor.name:
        return
    before, factor.name = factor.name, wanted
    database.session().flush()
    trail.record("user.factor.renamed", by=by, subject=user_id, before=before, after=wanted)


def used(factor_id: str) -> None:
    """Note that something was proven with it."""
    mine = update(Factor).where(Factor.id == factor_id)
    database.session().execute(mine.values(last_used_at=clock.now()))


def end(user_id: str, factor_id: str, *, by: Actor) -> None:
    """Take a factor from the person, for good. Raises `NotFound`.

    What was proven with it is the caller's to retract.
    """
    lock(user_id)
    factor = find(user_id, factor_id)
    factor.ended_at = clock.now()
    database.session().flush()
    trail.record("user.factor.removed", by=by, subject=user_id, before={"factor": factor.id, "kind": factor.kind})


def forget(user: User, by: Actor) -> None:
    """A step of `lifecycle.before_deleting`: a deleted person has nothing to prove themselves with."""
    for one in of(user.id):
        end(user.id, one.id, by=by)


def _shown(name: str) -> str:
    """`name` as it is kept: one line, without what cannot be seen, of at most `LONGEST_NAME` characters."""
    visible = "".join(letter if letter.isprintable() else " " for letter in name)
    return " ".join(visible.split())[:LONGEST_NAME]
