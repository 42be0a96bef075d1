"""Nobody gets to hold, by any act of their own, what they lacked.

What somebody holds is written down before and after the act: which role, at which scope, from when to when, with
groups spread out over their accounts. Whatever is new, in place or in time, undoes the act. So no path to a gain (a
grant, a team, a group, an account) needs to be thought of by itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import CTE, Select, select

from idp.audit.trail import Actor
from idp.organizations.authority import holder_of, is_unlimited
from idp.organizations.conditions import ORGANIZATION, has_not_expired, is_open
from idp.organizations.effective import OWNER_ROLE, Holder, holders, member_of
from idp.organizations.models import GroupAccount, Ownership, RoleGrant
from idp.platform import clock, database
from idp.platform.errors import Forbidden

Possessions = Mapping[tuple[str, str], Sequence[tuple[int, int]]]
"""(role key, scope id) → the spans of time, in microseconds UTC, in which the role counts there."""


class WouldGain(Forbidden):
    """The act would give to whoever does it what they lack."""

    code = "would_gain"
    title = "This would give something to yourself"
    remedy = "Ask another administrator to do it."


@contextmanager
def refused(by: Actor, organization_id: str) -> Iterator[None]:
    """Let the block act, and raise `WouldGain` when `by` holds more in the organization after it than before."""
    if is_unlimited(by):
        yield
        return
    instant = clock.now()
    before = possessions(holder_of(by), organization_id, instant)
    yield
    database.session().flush()
    after = possessions(holder_of(by), organization_id, instant)
    if gained := sorted({role for role, _ in gain(before, after, organization_id)}):
        raise WouldGain(f"You would gain: {', '.join(gained)}.")


def possessions(holder: Holder, organization_id: str, instant: int) -> Possessions:
    """What `holder` holds in the organization from `instant` on, including what is still cooling off."""
    values = {
        "user_id": holder.user_id,
        "client_id": holder.client_id,
        "organization_id": organization_id,
        "at": clock.FOREVER,
        "clock": instant,
    }
    member = member_of().cte("member")
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    session = database.session()
    for key, scope, accounts, begins, ends in session.execute(_spread(holders(member)), values):
        span = (max(begins, instant), clock.FOREVER if ends is None else ends)
        found.setdefault((key, scope), []).append(span)
        if accounts:
            found.setdefault((key, accounts), []).append(span)
    owns = select(Ownership.id).join(member, member.c.id == Ownership.member_id).where(is_open(Ownership))
    if session.execute(owns, values).first():
        found.setdefault((OWNER_ROLE, organization_id), []).append((instant, clock.FOREVER))
    return found


def gain(before: Possessions, after: Possessions, organization_id: str) -> frozenset[tuple[str, str]]:
    """What of `after` was not in `before`: at another scope (the organization reaches all), or at another time."""
    return frozenset(
        (role, scope)
        for (role, scope), spans in after.items()
        if not _within(spans, [*before.get((role, scope), ()), *before.get((role, organization_id), ())])
    )


def _within(spans: Sequence[tuple[int, int]], cover: Sequence[tuple[int, int]]) -> bool:
    joined: list[tuple[int, int]] = []
    for begins, ends in sorted(cover):
        if joined and begins <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(ends, joined[-1][1]))
        else:
            joined.append((begins, ends))
    return all(any(first <= begins and ends <= last for first, last in joined) for begins, ends in spans)


def _spread(grantees: CTE) -> Select[str, str, str, int, int | None]:
    return (
        select(
            RoleGrant.role_key,
            RoleGrant.scope,
            GroupAccount.placement_id,
            RoleGrant.effective_from,
            RoleGrant.expires_at,
        )
        .join(grantees, grantees.c.grantee == RoleGrant.grantee)
        .outerjoin(GroupAccount, (GroupAccount.account_group_id == RoleGrant.account_group_id) & is_open(GroupAccount))
        .where(RoleGrant.organization_id == ORGANIZATION, is_open(RoleGrant), has_not_expired(RoleGrant))
    )
