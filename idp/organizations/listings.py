"""What there is, for lists: organizations, and what one of them has, in the order of ids, page by page.

Every question but the first is about one organization, and answers with nothing of any other (ORG-11).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, case, func, select

from idp.organizations.models import (
    Account,
    AccountGroup,
    AccountSuspension,
    Deputy,
    Domain,
    GroupAccount,
    Invitation,
    Membership,
    MembershipStatus,
    Organization,
    OrganizationSuspension,
    Ownership,
    Placement,
    Role,
    RoleGrant,
    Team,
    TeamMember,
)
from idp.platform import bulk, database
from idp.platform.errors import NotFound
from idp.users.models import User


@dataclass(frozen=True)
class Page:
    """Up to `limit` lines behind the id `after`; `only`: the one line with that id."""

    after: str = ""
    limit: int = 100
    only: str = ""


FIRST = Page()


@dataclass(frozen=True)
class OrganizationLine:
    """An organization; `owner` and `deputy` are usernames, `status` is `active`, `suspended` or `closed`."""

    id: str
    slug: str
    name: str
    status: str
    owner: str | None
    deputy: str | None
    created_at: int


@dataclass(frozen=True)
class AccountLine:
    """An account; `status` is `active` or `suspended`."""

    id: str
    key: str
    name: str
    country: str
    livemode: bool
    status: str


@dataclass(frozen=True)
class MemberLine:
    """A person in the organization; `status` is `invited`, `active` or `suspended`."""

    id: str
    user_id: str
    username: str
    status: str
    owner: bool
    deputy: bool
    since: int


@dataclass(frozen=True)
class GatheringLine:
    """A team with the usernames of its members, or an account group with the keys of its accounts."""

    id: str
    key: str
    name: str
    holds: tuple[str, ...]


@dataclass(frozen=True)
class GrantLine:
    """A live grant. `grantee_kind`: `member`, `team` or `client`; `grantee`: its username, key or id.

    `scope_kind`: `organization`, `group` or `account`; `scope_key`: the key of the latter two. Times in microseconds.
    """

    id: str
    grantee_kind: str
    grantee: str
    role: str
    scope_kind: str
    scope_key: str
    source: str
    made_by: str
    reason: str
    started_at: int
    effective_from: int
    expires_at: int | None


def organizations(page: Page = FIRST) -> list[OrganizationLine]:
    """All organizations: for those who run the installation."""
    owner, deputy = _username_of(Ownership), _username_of(Deputy)
    suspended = select(OrganizationSuspension.id).where(
        OrganizationSuspension.organization_id == Organization.id, OrganizationSuspension.ended_at.is_(None)
    )
    status = case((Organization.closed_at.is_not(None), "closed"), (suspended.exists(), "suspended"), else_="active")
    rows = select(Organization.id, Organization.slug, Organization.name, status, owner, deputy, Organization.created_at)
    return [OrganizationLine(*row) for row in _page(rows, Organization.id, page)]


def accounts(organization_id: str, page: Page = FIRST) -> list[AccountLine]:
    """The accounts that are in the organization now."""
    suspended = select(AccountSuspension.id).where(
        AccountSuspension.account_id == Account.id, AccountSuspension.ended_at.is_(None)
    )
    rows = (
        select(
            Account.id,
            Placement.key,
            Account.name,
            Account.country,
            Account.livemode == 1,
            case((suspended.exists(), "suspended"), else_="active"),
        )
        .join(Placement, Placement.account_id == Account.id)
        .where(Placement.organization_id == organization_id, Placement.ended_at.is_(None))
    )
    return [AccountLine(*row) for row in _page(rows, Account.id, page)]


def members(organization_id: str, page: Page = FIRST) -> list[MemberLine]:
    """The people of the organization."""
    owns = select(Ownership.id).where(Ownership.member_id == Membership.id, Ownership.ended_at.is_(None))
    follows = select(Deputy.id).where(Deputy.member_id == Membership.id, Deputy.ended_at.is_(None))
    rows = (
        select(
            Membership.id,
            Membership.user_id,
            User.username,
            MembershipStatus.status,
            owns.exists(),
            follows.exists(),
            Membership.started_at,
        )
        .join(User, User.id == Membership.user_id)
        .join(
            MembershipStatus,
            and_(MembershipStatus.member_id == Membership.id, MembershipStatus.ended_at.is_(None)),
        )
        .where(Membership.organization_id == organization_id, Membership.ended_at.is_(None))
    )
    return [MemberLine(*row) for row in _page(rows, Membership.id, page)]


def teams(organization_id: str, page: Page = FIRST) -> list[GatheringLine]:
    """The teams of the organization with their members."""
    rows = select(Team.id, Team.key, Team.name).where(Team.organization_id == organization_id, Team.ended_at.is_(None))
    inside = (
        select(TeamMember.team_id, User.username)
        .join(Membership, Membership.id == TeamMember.member_id)
        .join(User, User.id == Membership.user_id)
        .where(TeamMember.organization_id == organization_id, TeamMember.ended_at.is_(None))
        .order_by(User.username)
    )
    return _gathered(_page(rows, Team.id, page), inside, TeamMember.team_id)


def groups(organization_id: str, page: Page = FIRST) -> list[GatheringLine]:
    """The account groups of the organization with their accounts."""
    rows = select(AccountGroup.id, AccountGroup.key, AccountGroup.name).where(
        AccountGroup.organization_id == organization_id, AccountGroup.ended_at.is_(None)
    )
    inside = (
        select(GroupAccount.account_group_id, Placement.key)
        .join(Placement, Placement.id == GroupAccount.placement_id)
        .where(GroupAccount.organization_id == organization_id, GroupAccount.ended_at.is_(None))
        .order_by(Placement.key)
    )
    return _gathered(_page(rows, AccountGroup.id, page), inside, GroupAccount.account_group_id)


def grants(organization_id: str, page: Page = FIRST, *, grantee: str = "", scope: str = "") -> list[GrantLine]:
    """The live grants of the organization; to one grantee, or at one scope (`Scope.id`), when told so."""
    kind = case((RoleGrant.member_id.is_not(None), "member"), (RoleGrant.team_id.is_not(None), "team"), else_="client")
    place = case(
        (RoleGrant.placement_id.is_not(None), "account"),
        (RoleGrant.account_group_id.is_not(None), "group"),
        else_="organization",
    )
    rows = (
        select(
            RoleGrant.id,
            kind,
            func.coalesce(User.username, Team.key, RoleGrant.client_id),
            RoleGrant.role_key,
            place,
            func.coalesce(Placement.key, AccountGroup.key, ""),
            RoleGrant.source,
            RoleGrant.made_by,
            RoleGrant.reason,
            RoleGrant.started_at,
            RoleGrant.effective_from,
            RoleGrant.expires_at,
        )
        .outerjoin(Membership, Membership.id == RoleGrant.member_id)
        .outerjoin(User, User.id == Membership.user_id)
        .outerjoin(Team, Team.id == RoleGrant.team_id)
        .outerjoin(Placement, Placement.id == RoleGrant.placement_id)
        .outerjoin(AccountGroup, AccountGroup.id == RoleGrant.account_group_id)
        .where(RoleGrant.organization_id == organization_id, RoleGrant.ended_at.is_(None))
    )
    if grantee:
        rows = rows.where(RoleGrant.grantee == grantee)
    if scope:
        rows = rows.where(RoleGrant.scope == scope)
    return [GrantLine(*row) for row in _page(rows, RoleGrant.id, page)]


_HOMES: dict[str, Any] = {
    "mem": Membership.organization_id,
    "team": Team.organization_id,
    "role": Role.owner,
    "grant": RoleGrant.organization_id,
    "inv": Invitation.organization_id,
    "dom": Domain.organization_id,
}


def home_of(id: str) -> str:
    """The id of the organization that what has this id belongs to: for those who run the installation.

    Members, teams, roles, grants, invitations and domains; `scopes.named` knows the rest. Raises `NotFound`.
    """
    home = _HOMES.get(id.partition("_")[0])
    found = None if home is None else database.session().execute(select(home).where(home.class_.id == id)).scalar()
    if found is None:
        raise NotFound(f"There is no {id!r}.")
    return str(found)


def _username_of(edge: type[Ownership] | type[Deputy]) -> Any:
    return (
        select(User.username)
        .join(Membership, Membership.user_id == User.id)
        .join(edge, edge.member_id == Membership.id)
        .where(edge.organization_id == Organization.id, edge.ended_at.is_(None))
        .correlate(Organization)
        .scalar_subquery()
    )


def _page(rows: Select[*tuple[Any, ...]], id_column: Any, page: Page) -> Sequence[Any]:
    asked = rows.where(id_column > page.after)
    if page.only:
        asked = asked.where(id_column == page.only)
    return database.session().execute(asked.order_by(id_column).limit(page.limit)).all()


def _gathered(rows: Sequence[Any], inside: Select[*tuple[Any, ...]], gathering: Any) -> list[GatheringLine]:
    holds: dict[str, list[str]] = {row[0]: [] for row in rows}
    for some in bulk.chunks(sorted(holds)):
        for gathering_id, name in database.session().execute(inside.where(gathering.in_(some))):
            holds[gathering_id].append(name)
    return [GatheringLine(id, key, name, tuple(holds[id])) for id, key, name in rows]
