"""Whether a person may do anything at all: disabled, enabled, deleted.

Rooms above say what stands in the way (the owner of an organization cannot be disabled, ORG-04) or what has to end
along with a person, by registering a step here. Everything else asks at use whether the person is disabled.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import func, select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.feed import losses
from idp.platform import clock, database
from idp.platform.errors import Conflict
from idp.users import addresses
from idp.users.locks import lock
from idp.users.models import User, UserDisablement

Step = Callable[[User, Actor], None]
"""Told who is being disabled or deleted, and by whom. The person's row is locked. May raise a `Refusal`."""

Reach = Callable[[str], object]
"""Told the id of a person who is to be deleted, before their row is locked: locks what is locked before people are."""

_locks_before_deleting: list[Reach] = []
_before_disabling: list[Step] = []
_before_deleting: list[Step] = []


def before_disabling(step: Step) -> Step:
    """Register `step` to run before anyone is disabled or deleted."""
    if step not in _before_disabling:
        _before_disabling.append(step)
    return step


def before_deleting(step: Step) -> Step:
    """Register `step` to run before anyone is deleted, after the steps of `before_disabling`."""
    if step not in _before_deleting:
        _before_deleting.append(step)
    return step


def locks_before_deleting(reach: Reach) -> Reach:
    """Register `reach` to lock what a step of `before_deleting` will change."""
    if reach not in _locks_before_deleting:
        _locks_before_deleting.append(reach)
    return reach


def is_disabled(user_id: str) -> bool:
    """Whether the person may do nothing just now."""
    return _disablement(user_id) is not None


def is_deleted(user_id: str) -> bool:
    """Whether there was a person with that id who was deleted."""
    user = database.session().get(User, user_id, populate_existing=True)
    return user is not None and user.deleted_at is not None


def enabled_since(user_id: str) -> int:
    """When the person was last enabled again; 0 for somebody who was never disabled."""
    ended = select(func.max(UserDisablement.ended_at)).where(UserDisablement.user_id == user_id)
    return database.session().scalar(ended) or 0


def disabled_among(user_ids: Sequence[str]) -> frozenset[str]:
    """Those of these people who may do nothing just now."""
    live = select(UserDisablement.user_id).where(
        UserDisablement.user_id.in_(user_ids), UserDisablement.ended_at.is_(None)
    )
    return frozenset(database.session().scalars(live))


def disable(user: User, *, by: Actor) -> None:
    """Let the person do nothing anywhere until enabled again; disabling twice changes nothing.

    Tokens that speak for the person are superseded. Raises what a registered step raises.
    """
    user = lock(user.id)
    if is_disabled(user.id):
        return
    for step in _before_disabling:
        step(user, by)
    _disable(user)
    trail.record("user.disabled", by=by, subject=user.id)


def enable(user: User, *, by: Actor) -> None:
    """Let a disabled person act again; what was ended meanwhile stays ended. Raises `Conflict` for a deleted one."""
    user = lock(user.id)
    if user.deleted_at is not None:
        raise Conflict("a deleted person cannot be enabled")
    disablement = _disablement(user.id)
    if disablement is None:
        return
    disablement.end()
    trail.record("user.enabled", by=by, subject=user.id)


def delete(user: User, *, by: Actor) -> None:
    """Forget the person: claims, username and addresses go (and are free again), the id is never used again.

    Raises what a registered step raises. Deleting twice changes nothing.
    """
    user_id = user.id
    for reach in _locks_before_deleting:
        reach(user_id)
    user = lock(user_id)
    if user.deleted_at is not None:
        return
    for step in (*_before_disabling, *_before_deleting):
        step(user, by)
    if not is_disabled(user.id):
        _disable(user)
    addresses.forget_all(user)
    user.username = user.username_key = user.id
    user.claims = "{}"
    user.deleted_at = clock.now()
    trail.record("user.deleted", by=by, subject=user.id)


def _disable(user: User) -> None:
    database.session().add(UserDisablement(user_id=user.id))
    losses.record("membership", sub=user.id)


def _disablement(user_id: str) -> UserDisablement | None:
    live = select(UserDisablement).where(UserDisablement.user_id == user_id, UserDisablement.ended_at.is_(None))
    return database.session().scalars(live).one_or_none()
