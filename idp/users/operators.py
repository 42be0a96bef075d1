"""Operators: who runs the installation. An instance role opens no organization and appears in none of its tokens."""

from dataclasses import dataclass

from sqlalchemy import select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.feed import losses
from idp.platform import database
from idp.platform.errors import Invalid
from idp.users import first_run
from idp.users.locks import lock
from idp.users.models import Operator, User

ROLES = ("admin", "support")
"""Instance roles: `admin` runs the installation, `support` may impersonate in a window that an organization opened."""


@dataclass(frozen=True)
class Post:
    """A person who runs the installation, as what, and since when (microseconds since 1970 UTC)."""

    user_id: str
    username: str
    role: str
    since: int


def add(user: User, role: str = "admin", *, by: Actor) -> None:
    """Let the person run the installation as `role`, instead of any other instance role; twice changes nothing.

    Raises `Invalid` for an unknown role.
    """
    if role not in ROLES:
        raise Invalid(f"an operator is one of {', '.join(ROLES)}", field="role")
    lock(user.id)
    current = _current(user.id)
    if current is not None and current.instance_role == role:
        return
    before = _end(current)
    database.session().add(Operator(user_id=user.id, instance_role=role))
    first_run.close_door()
    event = "operator.changed" if before else "operator.added"
    trail.record(event, by=by, subject=user.id, before=before, after={"role": role})


def remove(user: User, *, by: Actor) -> None:
    """Let the person run the installation no longer; tokens by which they act for others are superseded."""
    lock(user.id)
    before = _end(_current(user.id))
    if before is not None:
        trail.record("operator.removed", by=by, subject=user.id, before=before)


def role_of(user_id: str) -> str | None:
    """The instance role that the person has now."""
    current = _current(user_id)
    return None if current is None else current.instance_role


def everyone() -> list[Post]:
    """All operators, the longest-serving first."""
    posts = select(User.id, User.username, Operator.instance_role, Operator.started_at).join(
        Operator, Operator.user_id == User.id
    )
    live = posts.where(Operator.ended_at.is_(None)).order_by(Operator.started_at, User.id)
    return [Post(*row) for row in database.session().execute(live)]


def _end(current: Operator | None) -> dict[str, str] | None:
    if current is None:
        return None
    current.end()
    losses.record("operator", act=current.user_id)
    database.session().flush()
    return {"role": current.instance_role}


def _current(user_id: str) -> Operator | None:
    live = select(Operator).where(Operator.user_id == user_id, Operator.ended_at.is_(None))
    return database.session().scalars(live).one_or_none()
