"""A person's own memberships: where they belong, as what, and since when, whatever counts there now."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Select, and_, select, union_all

from idp.organizations.models import (
    Membership,
    MembershipStatus,
    Organization,
    OrganizationSuspension,
    Ownership,
    RoleGrant,
)
from idp.platform import database
from idp.platform.errors import NotFound

PAGE = 50
"""Memberships that are shown at a time."""


@dataclass(frozen=True)
class OwnMembership:
    """A membership of the person in an organization. `status`: `invited`, `active` or `suspended`; `since`: when they
    were taken in; `rests`: the organization itself is suspended or closed.
    """

    id: str
    organization_id: str
    slug: str
    name: str
    status: str
    since: int
    source: str
    owns: bool
    rests: bool


def of(user_id: str, *, after: str = "", limit: int = PAGE) -> list[OwnMembership]:
    """The memberships of the person, by the name of the organization, behind the one with the slug `after`, if that is
    one of theirs: of no other organization it is said whether there is such a one.
    """
    wanted = _WANTED.where(Membership.user_id == user_id)
    last = database.session().execute(wanted.where(Organization.slug == after)).first() if after else None
    if last is not None:
        _, id, _, name, *_ = last
        behind = (Organization.name > name) | and_(Organization.name == name, Organization.id > id)
        wanted = wanted.where(behind)
    rows = database.session().execute(wanted.order_by(Organization.name, Organization.id).limit(limit))
    return [OwnMembership(*row) for row in rows]


def find(user_id: str, slug: str) -> OwnMembership:
    """The membership of the person in the organization with that slug. Raises `NotFound`, also where there is one that
    they do not belong to.
    """
    mine = _WANTED.where(Membership.user_id == user_id, Organization.slug == slug)
    row = database.session().execute(mine).first()
    if row is None:
        raise NotFound("You are not a member of such an organization.")
    return OwnMembership(*row)


def owned(user_id: str) -> list[OwnMembership]:
    """Those that own their organization, which is not closed."""
    mine = _WANTED.where(Membership.user_id == user_id, Ownership.id.is_not(None), Organization.closed_at.is_(None))
    rows = database.session().execute(mine.order_by(Organization.name, Organization.id).limit(PAGE))
    return [OwnMembership(*row) for row in rows]


def everything_of(user_id: str) -> Select[str]:
    """The ids of the memberships that the person has or had, and of the grants to them (not to teams)."""
    memberships = select(Membership.id).where(Membership.user_id == user_id)
    granted = select(RoleGrant.id).where(RoleGrant.grantee.in_(memberships))
    return select(union_all(memberships, granted).subquery())


def names_of(organization_ids: Collection[str]) -> dict[str, str]:
    """What these organizations are called, by their ids."""
    named = select(Organization.id, Organization.name).where(Organization.id.in_(organization_ids))
    return {id: name for id, name in database.session().execute(named)}  # noqa: C416 typed rows


_WANTED = (
    select(
        Membership.id,
        Membership.organization_id,
        Organization.slug,
        Organization.name,
        MembershipStatus.status,
        Membership.started_at,
        Membership.source,
        Ownership.id.is_not(None),
        OrganizationSuspension.id.is_not(None),
    )
    .join(Organization, Organization.id == Membership.organization_id)
    .join(MembershipStatus, and_(MembershipStatus.member_id == Membership.id, MembershipStatus.ended_at.is_(None)))
    .outerjoin(Ownership, and_(Ownership.member_id == Membership.id, Ownership.ended_at.is_(None)))
    .outerjoin(
        OrganizationSuspension,
        and_(OrganizationSuspension.organization_id == Organization.id, OrganizationSuspension.ended_at.is_(None)),
    )
    .where(Membership.ended_at.is_(None))
)
