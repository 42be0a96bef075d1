"""What a person may choose to act in: organizations and accounts in which at least one role is effective.

The same conditions as `effective`, asked for many contexts at once: a page of accounts costs two statements, however
many there are.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import CTE, BigInteger, Select, Text, bindparam, func, literal, or_, select, union_all

from idp.organizations.conditions import (
    ORGANIZATION,
    USER,
    account_active,
    counts,
    is_active,
    is_open,
    organization_active,
    user_enabled,
)
from idp.organizations.effective import OWNER_ROLE, Moment, holders, member_of, now
from idp.organizations.models import (
    Account,
    GroupAccount,
    Membership,
    Organization,
    Ownership,
    Placement,
    RoleGrant,
    TeamMember,
)
from idp.platform import database

PAGE = 50
"""Accounts that are shown at a time."""


OWNERSHIP = "ownership"
"""The source of what is held without a grant."""


@dataclass(frozen=True, order=True)
class Sourced:
    """A role by its key, and one source that it is held from (`RoleGrant.source`, or `OWNERSHIP`)."""

    role: str
    source: str


@dataclass(frozen=True)
class OrganizationChoice:
    """An organization that the person is active in, with the roles that are held on it (perhaps none)."""

    id: str
    slug: str
    name: str
    held: tuple[Sourced, ...]

    @property
    def roles(self) -> tuple[str, ...]:
        """The keys of those roles."""
        return _keys(self.held)


@dataclass(frozen=True)
class AccountChoice:
    """An account that the person may enter: `organization_roles` reach it, `held` on it are `account_roles`."""

    id: str
    key: str
    name: str
    livemode: bool
    organization_roles: tuple[str, ...]
    held: tuple[Sourced, ...]

    @property
    def account_roles(self) -> tuple[str, ...]:
        """The keys of the roles that are held on it or on a group that holds it."""
        return _keys(self.held)


def _keys(held: Iterable[Sourced]) -> tuple[str, ...]:
    return tuple(sorted({one.role for one in held}))


def organizations_of(user_id: str) -> list[OrganizationChoice]:
    """The organizations in which the person is active, by name. One statement for them, one for the roles."""
    values = _values(user_id, "", now())
    session = database.session()
    found = session.execute(_ORGANIZATIONS, values).all()
    held: dict[str, set[Sourced]] = defaultdict(set)
    for organization_id, key, source in session.execute(_ORGANIZATION_ROLES, values):
        held[organization_id].add(Sourced(key, source))
    return [OrganizationChoice(id, slug, name, tuple(sorted(held[id]))) for id, slug, name in found]


def accounts_in(
    user_id: str, organization: OrganizationChoice, *, search: str = "", after: str = "", limit: int = PAGE
) -> list[AccountChoice]:
    """Accounts of the organization that the person may enter, by key, from the one behind key `after` on.

    `search`: only those whose key or name contains it, in any letter case.
    """
    values = _values(user_id, organization.id, now()) | {
        "everywhere": int(bool(organization.roles)),
        "search": f"%{_escaped(search.casefold())}%",
        "after": after,
    }
    rows = database.session().execute(_ACCOUNTS.limit(limit), values).all()
    held = _held_on([placement_id for placement_id, *_ in rows], values)
    return [
        AccountChoice(account_id, key, name, bool(livemode), organization.roles, tuple(sorted(held[placement_id])))
        for placement_id, account_id, key, name, livemode in rows
    ]


def _values(user_id: str, organization_id: str, when: Moment) -> dict[str, str | int]:
    return {
        "user_id": user_id,
        "client_id": "",
        "organization_id": organization_id,
        "at": when.at,
        "clock": when.clock,
    }


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _held_on(placements: Sequence[str], values: Mapping[str, str | int]) -> dict[str, set[Sourced]]:
    held: dict[str, set[Sourced]] = defaultdict(set)
    for placement_id, key, source in database.session().execute(
        _ACCOUNT_ROLES.where(_on_accounts.c.placement_id.in_(placements)), values
    ):
        held[placement_id].add(Sourced(key, source))
    return held


# The statements


def _memberships() -> CTE:
    return (
        select(Membership.id, Membership.organization_id)
        .where(
            Membership.user_id == USER,
            is_open(Membership),
            is_active(Membership.id),
            user_enabled(USER),
            organization_active(Membership.organization_id),
        )
        .cte("mine")
    )


def _organizations_statement() -> Select[str, str, str]:
    mine = _memberships()
    return (
        select(Organization.id, Organization.slug, Organization.name)
        .join(mine, mine.c.organization_id == Organization.id)
        .order_by(Organization.name, Organization.id)
    )


def _organization_roles_statement() -> Select[str, str, str]:
    mine = _memberships()
    grantees = union_all(
        select(mine.c.id.label("grantee"), mine.c.organization_id),
        select(TeamMember.team_id, mine.c.organization_id)
        .join(mine, TeamMember.member_id == mine.c.id)
        .where(is_open(TeamMember)),
    ).cte("grantees")
    granted = (
        select(RoleGrant.organization_id, RoleGrant.role_key, RoleGrant.source)
        .join(grantees, grantees.c.grantee == RoleGrant.grantee)
        .where(RoleGrant.scope == grantees.c.organization_id, is_open(RoleGrant), counts(RoleGrant))
    )
    owned = (
        select(Ownership.organization_id, literal(OWNER_ROLE), literal(OWNERSHIP))
        .join(mine, mine.c.id == Ownership.member_id)
        .where(is_open(Ownership))
    )
    return select(granted.union(owned).subquery())


def _on_accounts_query() -> CTE:
    """(placement, role, source) for every grant that counts on an account or on a group that holds it."""
    grantees = holders(member_of().cte("member"))
    mine = (RoleGrant.grantee.in_(select(grantees.c.grantee)), is_open(RoleGrant), counts(RoleGrant))
    direct = select(
        RoleGrant.placement_id.label("placement_id"), RoleGrant.role_key.label("key"), RoleGrant.source.label("source")
    ).where(RoleGrant.organization_id == ORGANIZATION, RoleGrant.placement_id.is_not(None), *mine)
    by_group = (
        select(GroupAccount.placement_id, RoleGrant.role_key, RoleGrant.source)
        .join(RoleGrant, RoleGrant.scope == GroupAccount.account_group_id)
        .where(RoleGrant.organization_id == ORGANIZATION, is_open(GroupAccount), *mine)
    )
    return direct.union(by_group).cte("on_accounts")


_on_accounts = _on_accounts_query()
_ACCOUNT_ROLES = select(_on_accounts.c.placement_id, _on_accounts.c.key, _on_accounts.c.source)


def _accounts_statement() -> Select[str, str, str, str, int]:
    search, after = bindparam("search", type_=Text), bindparam("after", type_=Text)
    everywhere = bindparam("everywhere", type_=BigInteger)
    return (
        select(Placement.id, Placement.account_id, Placement.key, Account.name, Placement.livemode)
        .join(Account, Account.id == Placement.account_id)
        .where(
            Placement.organization_id == ORGANIZATION,
            is_open(Placement),
            account_active(Placement.account_id),
            or_(everywhere == 1, Placement.id.in_(select(_on_accounts.c.placement_id))),
            or_(func.lower(Account.name).like(search, escape="\\"), Placement.key.like(search, escape="\\")),
            Placement.key > after,
        )
        .order_by(Placement.key)
    )


_ORGANIZATIONS = _organizations_statement()
_ORGANIZATION_ROLES = _organization_roles_statement()
_ACCOUNTS = _accounts_statement()
