"""Why a person holds which roles, for many places at once: what `explain` says of one place, in one statement.

The conditions are those of `effective`. Whoever made a grant is named only by who belongs to the same organization.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, func, literal, or_, select, union_all

from idp.organizations.choices import OWNERSHIP
from idp.organizations.conditions import ORGANIZATION, counts, is_open
from idp.organizations.effective import OWNER_ROLE, holders, member_of, now
from idp.organizations.models import (
    BUILT_IN,
    AccountGroup,
    GroupAccount,
    Membership,
    Ownership,
    Placement,
    Role,
    RoleGrant,
    Team,
    TeamMember,
)
from idp.organizations.scopes import Scope
from idp.platform import database


@dataclass(frozen=True)
class Reason:
    """One reason to hold the role `key`, called `name`, at a place.

    `account_id`: the account, empty for the whole organization. `team` and `group`: the names of the team that it was
    granted to and of the account group that it was granted on, if any. `made_by`: the id of the person who granted it,
    if they belong to the organization, else empty. `since` and `expires_at` (`None`: no end) in microseconds.
    """

    account_id: str
    key: str
    name: str
    source: str
    team: str
    group: str
    made_by: str
    since: int
    expires_at: int | None


def of(user_id: str, organization_id: str, account_ids: Collection[str]) -> list[Reason]:
    """Why the person holds roles on the organization, and on those of its accounts (some few): by place and key.

    What is held on the organization reaches its accounts and stands there once.
    """
    when = now()
    values: Mapping[str, Any] = {
        "user_id": user_id,
        "client_id": "",
        "organization_id": organization_id,
        "at": when.at,
        "clock": when.clock,
    }
    wanted = select(_REASONS).where(or_(_REASONS.c.account_id == "", _REASONS.c.account_id.in_(account_ids)))
    rows = database.session().execute(wanted, values)
    return sorted((Reason(*row) for row in rows), key=lambda one: (one.account_id, one.key, one.team, one.group))


def was_given(user_id: str, scope: Scope) -> bool:
    """Whether the person, as a member now, was ever granted anything on that account itself, or on a group that held it
    then or holds it now: then they know of it.
    """
    mine = select(Membership.id).where(
        Membership.user_id == user_id,
        Membership.organization_id == scope.organization_id,
        Membership.ended_at.is_(None),
    )
    teams = select(TeamMember.team_id).where(TeamMember.member_id.in_(mine))
    groups = select(GroupAccount.account_group_id).where(GroupAccount.placement_id == scope.placement_id)
    given = select(RoleGrant.id).where(
        or_(RoleGrant.grantee.in_(mine), RoleGrant.grantee.in_(teams)),
        or_(RoleGrant.scope == scope.placement_id, RoleGrant.scope.in_(groups)),
    )
    return database.session().execute(given.limit(1)).first() is not None


def _statement() -> Select[Any]:
    member = member_of().cte("member")
    grantees = holders(member)
    mine = (
        RoleGrant.organization_id == ORGANIZATION,
        RoleGrant.grantee.in_(select(grantees.c.grantee)),
        is_open(RoleGrant),
        counts(RoleGrant),
    )
    on_organization = select(literal("").label("account_id"), RoleGrant.id.label("grant_id")).where(
        RoleGrant.scope == ORGANIZATION, *mine
    )
    on_accounts = (
        select(Placement.account_id, RoleGrant.id)
        .join(Placement, Placement.id == RoleGrant.placement_id)
        .where(is_open(Placement), *mine)
    )
    on_groups = (
        select(Placement.account_id, RoleGrant.id)
        .join(GroupAccount, GroupAccount.account_group_id == RoleGrant.account_group_id)
        .join(Placement, Placement.id == GroupAccount.placement_id)
        .where(is_open(Placement), is_open(GroupAccount), *mine)
    )
    granted = union_all(on_organization, on_accounts, on_groups).subquery()
    maker = and_(
        Membership.user_id == RoleGrant.made_by,
        Membership.organization_id == RoleGrant.organization_id,
        Membership.ended_at.is_(None),
    )
    by_grant = (
        select(
            granted.c.account_id,
            RoleGrant.role_key.label("key"),
            Role.name,
            RoleGrant.source,
            func.coalesce(Team.name, "").label("team"),
            func.coalesce(AccountGroup.name, "").label("group"),
            func.coalesce(Membership.user_id, "").label("made_by"),
            RoleGrant.started_at.label("since"),
            RoleGrant.expires_at,
        )
        .select_from(granted)
        .join(RoleGrant, RoleGrant.id == granted.c.grant_id)
        .join(Role, and_(Role.owner == RoleGrant.role_owner, Role.id == RoleGrant.role_id))
        .outerjoin(Team, Team.id == RoleGrant.team_id)
        .outerjoin(AccountGroup, AccountGroup.id == RoleGrant.account_group_id)
        .outerjoin(Membership, maker)
    )
    by_ownership = (
        select(
            literal(""), Role.key, Role.name, literal(OWNERSHIP), literal(""), literal(""), literal(""),
            Ownership.started_at, literal(None),
        )
        .select_from(member)
        .join(Ownership, and_(Ownership.member_id == member.c.id, is_open(Ownership)))
        .join(Role, and_(Role.owner == BUILT_IN, Role.key == OWNER_ROLE, Role.ended_at.is_(None)))
    )  # fmt: skip
    return union_all(by_grant, by_ownership)  # type: ignore[return-value]


_REASONS = _statement().subquery("reasons")
