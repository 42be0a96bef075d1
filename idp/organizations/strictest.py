"""The strictest of what a person's organizations take of them: asked before something is taken from the person.

Where somebody enters one context, `entry` says what that one takes; whoever joins shows as much as any of those takes
that they will be able to enter.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import or_, select

from idp.organizations import choices, entry
from idp.organizations.conditions import ORGANIZATION, counts, is_open
from idp.organizations.effective import Context, HeldRole, Holder, effective_roles, holders, member_of, now
from idp.organizations.entry import Entry
from idp.organizations.models import Membership, Placement, RoleGrant, TeamMember
from idp.platform import database


@dataclass(frozen=True)
class Taken:
    """The name of an organization that the person is active in, and what entering anything there takes of them."""

    organization: str
    entry: Entry


def of(user_id: str) -> list[Taken]:
    """One for each organization that the person is active in, as if all of their roles there were held at once."""
    return [Taken(one.name, _entry(user_id, one.id)) for one in choices.organizations_of(user_id)]


def of_joining(user_id: str, organization_id: str, brought: Iterable[tuple[str, str]]) -> Entry:
    """What entering anything there takes of the person once they are in, with these roles (key, id), beside any that
    they hold there or that wait for them as somebody invited. `user_id` may be empty, for somebody not known yet.
    """
    held = effective_roles(Holder(user_id), Context(organization_id))
    roles = {*brought, *_waiting(user_id, organization_id)}
    more = (HeldRole(key, role_id, "account", None, "") for key, role_id in sorted(roles))
    return entry.of(user_id, replace(held, held=(*held.held, *_anywhere(user_id, organization_id), *more)))


def _waiting(user_id: str, organization_id: str) -> Iterable[tuple[str, str]]:
    """The roles that nothing but the status of the membership keeps from counting."""
    mine = select(Membership.id).where(
        Membership.user_id == user_id, Membership.organization_id == organization_id, Membership.ended_at.is_(None)
    )
    teams = select(TeamMember.team_id).where(TeamMember.member_id.in_(mine), TeamMember.ended_at.is_(None))
    granted = select(RoleGrant.role_key, RoleGrant.role_id).where(
        RoleGrant.organization_id == organization_id,
        or_(RoleGrant.grantee.in_(mine), RoleGrant.grantee.in_(teams)),
        RoleGrant.ended_at.is_(None),
    )
    for key, role_id in database.session().execute(granted):
        yield key, role_id or ""


def _entry(user_id: str, organization_id: str) -> Entry:
    held = effective_roles(Holder(user_id), Context(organization_id))
    return entry.of(user_id, replace(held, held=(*held.held, *_anywhere(user_id, organization_id))))


def _anywhere(user_id: str, organization_id: str) -> Iterable[HeldRole]:
    """The roles that are held on some account or group of the organization, each once."""
    moment = now()
    values = {
        "user_id": user_id,
        "client_id": "",
        "organization_id": organization_id,
        "at": moment.at,
        "clock": moment.clock,
    }
    for key, role_id in database.session().execute(_ROLES, values):
        yield HeldRole(key, role_id or "", "account", None, "")


_grantees = holders(member_of().cte("member"))
_open_places = select(Placement.id).where(Placement.organization_id == ORGANIZATION, is_open(Placement))

_ROLES = (
    select(RoleGrant.role_key, RoleGrant.role_id)
    .where(
        RoleGrant.organization_id == ORGANIZATION,
        RoleGrant.grantee.in_(select(_grantees.c.grantee)),
        RoleGrant.scope != ORGANIZATION,
        or_(RoleGrant.placement_id.is_(None), RoleGrant.placement_id.in_(_open_places)),
        is_open(RoleGrant),
        counts(RoleGrant),
    )
    .distinct()
)
