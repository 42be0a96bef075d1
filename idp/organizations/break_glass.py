"""Break-glass codes: each stands in once for the sign-in of an organization's own company, on the day that it is down.

Ten at a time, of 80 bits, shown once and kept as digests; new ones void the old. Made by a super admin or the operator,
spent by a super admin, and told to every super admin by mail (`notices`). A code stands in for the company's proof and
for nothing else: never for a second factor.
"""

import hashlib
import json
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, update

from idp.audit import trail
from idp.audit.trail import Actor
from idp.organizations import authority, effective, locking
from idp.organizations.effective import OWNER_ROLE, Context, Holder
from idp.organizations.models import BreakGlassCode
from idp.platform import clock, database, typed_codes
from idp.platform.errors import Forbidden

NUMBER = 10
"""Codes that an organization gets at a time."""


class SuperAdminOnly(Forbidden):
    """Break-glass codes open an organization: they are a super admin's."""

    code = "super_admin_only"
    title = "Only a super admin of the organization can do this"
    remedy = "Ask a super admin."


@dataclass(frozen=True)
class Status:
    """How many codes can be used, when they were made (`None` where there are none), and how many of that set were
    used.
    """

    left: int
    made_at: int | None
    used: int


def status(organization_id: str) -> Status:
    """What there is of the organization's newest set."""
    made_at = database.session().scalar(
        select(func.max(BreakGlassCode.created_at)).where(
            BreakGlassCode.organization_id == organization_id, BreakGlassCode.ended_at.is_(None)
        )
    )
    counted = select(func.count(BreakGlassCode.digest), func.count(BreakGlassCode.used_at)).where(
        BreakGlassCode.organization_id == organization_id, BreakGlassCode.ended_at.is_(None)
    )
    there, used = database.session().execute(counted).one()
    return Status(there - used, made_at, used)


def is_good(organization_id: str, code: str) -> bool:
    """Whether the code could be spent. How often somebody asks is the caller's to limit."""
    mine = select(BreakGlassCode.digest).where(*_usable(organization_id, code))
    return database.session().scalar(mine) is not None


# Each of these is called inside `database.writing()`


def make(organization_id: str, *, by: Actor) -> tuple[str, ...]:
    """New codes, as they are shown this once; the old ones are void. Raises `SuperAdminOnly`.

    That a person who asks has just proven who they are is the caller's to see to (TOT-08).
    """
    locking.lock_open(organization_id)
    _require_super_admin(organization_id, by)
    voided = _end(organization_id)
    codes = tuple(typed_codes.drawn() for _ in range(NUMBER))
    database.session().add_all(
        BreakGlassCode(digest=_digest(organization_id, code), organization_id=organization_id) for code in codes
    )
    database.session().flush()
    _record("organization.break.glass.made", organization_id, by, {"left": NUMBER, "voided": voided})
    return codes


def void(organization_id: str, *, by: Actor) -> int:
    """Let the organization have no codes; how many could have been used. Raises `SuperAdminOnly`."""
    locking.lock(organization_id)
    _require_super_admin(organization_id, by)
    voided = _end(organization_id)
    if voided:
        _record("organization.break.glass.voided", organization_id, by, {"codes": voided})
    return voided


def spend(organization_id: str, user_id: str, code: str) -> bool:
    """Use a code up for that super admin: whether it was one that could be used. One statement decides.

    How often somebody may be wrong is the caller's to limit. Raises `SuperAdminOnly`.
    """
    locking.lock_open(organization_id)
    by = Actor("user", user_id)
    _require_super_admin(organization_id, by)
    mine = update(BreakGlassCode).where(*_usable(organization_id, code))
    spent = database.session().execute(
        mine.values(used_at=clock.now(), used_by=user_id), execution_options={"synchronize_session": False}
    )
    if not spent.rowcount:  # type: ignore[attr-defined]
        return False
    _record("organization.break.glass.used", organization_id, by, {"left": status(organization_id).left})
    return True


def void_all() -> int:
    """Let no code be good any more that was given until now, in any organization; how many."""
    ended = database.session().execute(update(BreakGlassCode).where(*_LIVE).values(ended_at=clock.now()))
    return int(ended.rowcount)  # type: ignore[attr-defined]


_LIVE = (BreakGlassCode.used_at.is_(None), BreakGlassCode.ended_at.is_(None))


def _require_super_admin(organization_id: str, by: Actor) -> None:
    if not authority.is_unlimited(by) and not (by.kind == "user" and _is_super_admin(organization_id, by.id)):
        raise SuperAdminOnly


def _is_super_admin(organization_id: str, user_id: str) -> bool:
    held = effective.effective_roles(Holder(user_id=user_id), Context(organization_id))
    return OWNER_ROLE in held.organization_roles


def _end(organization_id: str) -> int:
    """Void the newest set, its used codes with it; how many could have been used."""
    left = status(organization_id).left
    mine = update(BreakGlassCode).where(
        BreakGlassCode.organization_id == organization_id, BreakGlassCode.ended_at.is_(None)
    )
    database.session().execute(mine.values(ended_at=clock.now()), execution_options={"synchronize_session": False})
    return left


def _usable(organization_id: str, code: str) -> tuple[ColumnElement[bool], ...]:
    return (
        BreakGlassCode.organization_id == organization_id,
        BreakGlassCode.digest == _digest(organization_id, code),
        *_LIVE,
    )


def _digest(organization_id: str, code: str) -> bytes:
    """Under which a code of that organization is stored: no other's is found by it."""
    spelt = json.dumps(["break-glass code", organization_id, typed_codes.plain(code)])
    return hashlib.sha256(spelt.encode()).digest()


def _record(event: str, organization_id: str, by: Actor, after: dict[str, int]) -> None:
    trail.record(event, by=by, subject=organization_id, organization=organization_id, after=after)
