"""Every grant that a person holds, by themselves or in a team, whether it counts just now or not."""

from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select

from idp.organizations.models import AccountGroup, Membership, Placement, RoleGrant, Team, TeamMember
from idp.platform import database


@dataclass(frozen=True)
class OwnGrant:
    """A grant to the person or a team of theirs: the role's key, and where: `account` and `group` by their keys, both
    empty for the whole organization. Times in microseconds; `counts_from`: when cooling-off is over.
    """

    organization_id: str
    role: str
    account: str
    group: str
    team: str
    source: str
    since: int
    counts_from: int
    expires_at: int | None


def of(user_id: str, *, limit: int) -> list[OwnGrant]:
    """Up to `limit` live grants of the person, by organization and place."""
    mine = select(Membership.id).where(Membership.user_id == user_id, Membership.ended_at.is_(None))
    teams = select(TeamMember.team_id).where(TeamMember.member_id.in_(mine), TeamMember.ended_at.is_(None))
    account, group = func.coalesce(Placement.key, ""), func.coalesce(AccountGroup.key, "")
    wanted = (
        select(
            RoleGrant.organization_id,
            RoleGrant.role_key,
            account,
            group,
            func.coalesce(Team.key, ""),
            RoleGrant.source,
            RoleGrant.started_at,
            RoleGrant.effective_from,
            RoleGrant.expires_at,
        )
        .outerjoin(Placement, and_(Placement.id == RoleGrant.placement_id, Placement.ended_at.is_(None)))
        .outerjoin(AccountGroup, AccountGroup.id == RoleGrant.account_group_id)
        .outerjoin(Team, Team.id == RoleGrant.team_id)
        .where(
            RoleGrant.ended_at.is_(None),
            or_(RoleGrant.grantee.in_(mine), RoleGrant.grantee.in_(teams)),
            or_(RoleGrant.placement_id.is_(None), Placement.id.is_not(None)),
        )
        .order_by(RoleGrant.organization_id, account, group, RoleGrant.role_key, RoleGrant.id)
    )
    return [OwnGrant(*row) for row in database.session().execute(wanted.limit(limit))]
