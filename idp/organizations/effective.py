"""Who may what: the one implementation that tokens, introspection, pages, `explain` and the API all ask.

One statement a question, index-only on both databases, for a person or an API client, in an organization, one of its
accounts or one of its account groups, now or at a moment in the past.
"""

from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    SelectBase,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    select,
    true,
    union_all,
)

from idp.clients.declaration import EVERY_MEMBER
from idp.clients.models import Api, ApiPermission, ApiPermissionHolder, Client
from idp.feed.positions import head_of_feed
from idp.organizations.conditions import (
    ACCOUNT,
    CLIENT,
    GROUP,
    ORGANIZATION,
    USER,
    account_active,
    client_enabled,
    client_usable,
    counts,
    is_active,
    is_open,
    organization_active,
    user_enabled,
)
from idp.organizations.models import (
    BUILT_IN,
    AccountGroup,
    GroupAccount,
    Membership,
    Ownership,
    Placement,
    RoleGrant,
    RolePermission,
    TeamMember,
)
from idp.platform import clock
from idp.platform.prepared import Prepared

OWNER_ROLE = "super_admin"
"""What the owner of an organization is, by ownership and not by a grant."""


@dataclass(frozen=True)
class Holder:
    """Who might hold a role: a person (`user_id`) or an API client (`client_id`); the other one is empty."""

    user_id: str = ""
    client_id: str = ""


@dataclass(frozen=True)
class Context:
    """Where a role might be held: an organization, or one of its accounts, or one of its account groups."""

    organization_id: str
    account_id: str = ""
    account_group_id: str = ""


@dataclass(frozen=True)
class Moment:
    """When: `at` is the horizon of history, `clock` what expiry and cooling-off are compared with.

    `spare`: microseconds that a grant must have left to count.
    """

    at: int
    clock: int
    spare: int = 0


def now(*, spare: int = 0) -> Moment:
    """Now: whatever has not been ended, by any node's clock, nor expires within `spare` microseconds."""
    return Moment(clock.FOREVER, clock.now(), spare)


def past(instant: int) -> Moment:
    """The moment `instant` (microseconds since 1970 UTC)."""
    return Moment(instant, instant)


@dataclass(frozen=True)
class HeldRole:
    """One reason to hold a role: `level` is `organization` or `account`; for ownership the ids are empty."""

    key: str
    role_id: str
    level: str
    expires_at: int | None
    grant_id: str


@dataclass(frozen=True)
class EffectiveRoles:
    """What somebody holds in a context, and the feed position (`head`) up to which that was current.

    `member_id` is the active membership, or empty (API clients have none; `held` is then all there is to go by).
    """

    context: Context
    head: int
    livemode: bool
    member_id: str
    held: tuple[HeldRole, ...]

    @cached_property
    def organization_roles(self) -> frozenset[str]:
        """Keys of roles held on the organization."""
        return frozenset(role.key for role in self.held if role.level == "organization")

    @cached_property
    def account_roles(self) -> frozenset[str]:
        """Keys of roles held on the account or on a group that holds it."""
        return frozenset(role.key for role in self.held if role.level == "account")

    @property
    def roles(self) -> frozenset[str]:
        """The effective roles: the union of both."""
        return self.organization_roles | self.account_roles

    @property
    def expires_at(self) -> int | None:
        """The first expiry among the grants that count, or `None`."""
        return min((role.expires_at for role in self.held if role.expires_at is not None), default=None)


@dataclass(frozen=True)
class HeldPermission:
    """A permission held at an API, in live accounts, in sandboxes, or in both (1 or 0)."""

    audience: str
    name: str
    live: int
    sandbox: int


def effective_roles(holder: Holder, context: Context, when: Moment | None = None) -> EffectiveRoles:
    """The roles that `holder` holds in `context`, now or at a moment in the past.

    The only implementation of "who may what". One statement, index-only; nothing is remembered between calls.
    """
    rows = _ROLES.all(**_values(holder, context, when or now()))
    held = tuple(
        HeldRole(row.key, row.role_id or "", row.level or "", row.expires_at, row.grant_id or "")
        for row in rows
        if row.key is not None
    )
    first = rows[0]
    return EffectiveRoles(context, first.head, first.livemode != 0, first.member_id or "", held)


def held_permissions(
    holder: Holder, context: Context, when: Moment | None = None, *, audience: str = ""
) -> frozenset[HeldPermission]:
    """What the effective roles of `holder` allow at `audience` (empty: every API), and in which modes."""
    values = _values(holder, context, when or now())
    return frozenset(_PERMISSIONS_AT.all(**values, audience=audience) if audience else _PERMISSIONS.all(**values))


def permissions_in(held: frozenset[HeldPermission], *, livemode: bool) -> frozenset[str]:
    """The names of those permissions that count in live accounts (`livemode`), or else in sandboxes."""
    return frozenset(permission.name for permission in held if (permission.live if livemode else permission.sandbox))


def _values(holder: Holder, context: Context, when: Moment) -> dict[str, str | int]:
    return {
        "user_id": holder.user_id,
        "client_id": holder.client_id,
        "organization_id": context.organization_id,
        "account_id": context.account_id,
        "account_group_id": context.account_group_id,
        "at": when.at,
        "clock": when.clock,
        "spare": when.spare,
    }


# The statement


def _step(name: str, query: SelectBase) -> CTE:
    """A part of the statement that is worked out once: otherwise SQLite may fold it into a scan of all grants."""
    return query.cte(name).prefix_with("MATERIALIZED")


def member_of() -> Select[str]:
    """The active membership of the person, while person and organization are in good standing."""
    return select(Membership.id).where(
        Membership.user_id == USER,
        Membership.organization_id == ORGANIZATION,
        is_open(Membership),
        is_active(Membership.id),
        user_enabled(USER),
        organization_active(ORGANIZATION),
    )


def holders(member: CTE) -> CTE:
    """Everything that can be a grantee on behalf of the person or client: the member, their teams, the client."""
    return _step(
        "holders",
        union_all(
            select(member.c.id.label("grantee")),
            select(TeamMember.team_id).join(member, TeamMember.member_id == member.c.id).where(is_open(TeamMember)),
            select(Client.id).where(
                Client.id == CLIENT,
                client_enabled(Client),
                client_usable(Client, ORGANIZATION),
                organization_active(ORGANIZATION),
            ),
        ),
    )


def _place() -> CTE:
    return _step(
        "place",
        select(Placement.id, Placement.livemode).where(
            Placement.account_id == ACCOUNT,
            Placement.organization_id == ORGANIZATION,
            is_open(Placement),
            account_active(ACCOUNT),
        ),
    )


def _scopes(place: CTE) -> CTE:
    """The organization, and what leads to the account. In an account that is gone or suspended: nothing at all."""
    reached = or_(ACCOUNT == "", select(place.c.id).exists())
    return _step(
        "scopes",
        union_all(
            select(ORGANIZATION.label("scope")).where(reached),
            select(place.c.id),
            select(GroupAccount.account_group_id)
            .join(place, GroupAccount.placement_id == place.c.id)
            .where(is_open(GroupAccount)),
            select(AccountGroup.id).where(AccountGroup.id == GROUP, AccountGroup.organization_id == ORGANIZATION),
        ),
    )


def _granted(member: CTE, place: CTE) -> CTE:
    """Every reason to hold a role in the context: the grants that count, and ownership."""
    grantees, scopes = holders(member), _scopes(place)
    by_grant = select(
        RoleGrant.role_key.label("key"),
        RoleGrant.role_id,
        RoleGrant.role_owner,
        case((RoleGrant.scope == ORGANIZATION, "organization"), else_="account").label("level"),
        RoleGrant.expires_at,
        RoleGrant.id.label("grant_id"),
    ).where(
        RoleGrant.grantee.in_(select(grantees.c.grantee)),
        RoleGrant.scope.in_(select(scopes.c.scope)),
        is_open(RoleGrant),
        counts(RoleGrant),
    )
    by_ownership = (
        select(literal(OWNER_ROLE), null(), literal(BUILT_IN), literal("organization"), null(), null())
        .select_from(member)
        .join(Ownership, and_(Ownership.member_id == member.c.id, is_open(Ownership)))
        .where(ORGANIZATION.in_(select(scopes.c.scope)))
    )
    return _step("granted", union_all(by_grant, by_ownership))


@dataclass(frozen=True)
class _Row:
    head: int
    livemode: int | None
    member_id: str | None
    key: str | None
    role_id: str | None
    level: str | None
    expires_at: int | None
    grant_id: str | None


def _roles_statement() -> Select[tuple[object, ...]]:
    member, place = _step("member", member_of()), _place()
    granted = _granted(member, place)
    always = select(literal(1).label("one")).subquery()
    return select(
        head_of_feed,
        select(place.c.livemode).scalar_subquery(),
        select(member.c.id).scalar_subquery(),
        granted.c.key,
        granted.c.role_id,
        granted.c.level,
        granted.c.expires_at,
        granted.c.grant_id,
    ).select_from(always.outerjoin(granted, true()))


def _permissions_statement(asked: ColumnElement[bool]) -> Select[str, str, int, int]:
    """Of the APIs `asked` for. Built-in roles hold what an API declares for them; custom roles hold what they list and
    the API declares.

    What every member may stands among the holders under an empty key: on the organization, and in an account that the
    person may enter because some role is effective there.
    """
    member = _step("member", member_of())
    granted = _granted(member, _place())
    enters = or_(and_(ACCOUNT == "", GROUP == ""), select(granted.c.key).exists())
    built_in_keys = union_all(
        select(granted.c.key).where(granted.c.role_owner == BUILT_IN),
        select(literal(EVERY_MEMBER)).select_from(member).where(enters),
    ).cte("built_in_keys")
    built_in = (
        select(Api.audience, ApiPermissionHolder.permission, ApiPermissionHolder.live, ApiPermissionHolder.sandbox)
        .select_from(built_in_keys)
        .join(Api, asked)
        .join(
            ApiPermissionHolder,
            and_(
                ApiPermissionHolder.api_id == Api.id,
                ApiPermissionHolder.role_key == built_in_keys.c.key,
                is_open(ApiPermissionHolder),
            ),
        )
    )
    listed = _step(
        "listed",
        select(RolePermission.audience, RolePermission.permission, RolePermission.live, RolePermission.sandbox)
        .select_from(granted)
        .join(RolePermission, and_(RolePermission.role_id == granted.c.role_id, is_open(RolePermission))),
    )
    custom = (
        select(Api.audience, listed.c.permission, listed.c.live, listed.c.sandbox)
        .select_from(listed)
        .join(Api, and_(asked, or_(listed.c.audience == "", listed.c.audience == Api.audience)))
        .join(
            ApiPermission,
            and_(ApiPermission.api_id == Api.id, ApiPermission.name == listed.c.permission, is_open(ApiPermission)),
        )
    )
    every = union_all(built_in, custom).subquery()
    name, live, sandbox = every.c.permission, func.max(every.c.live), func.max(every.c.sandbox)
    return select(every.c.audience, name, live, sandbox).group_by(every.c.audience, name)


_ROLES: Prepared[_Row] = Prepared(_roles_statement(), _Row)
_PERMISSIONS: Prepared[HeldPermission] = Prepared(_permissions_statement(is_open(Api)), HeldPermission)

_PERMISSIONS_AT: Prepared[HeldPermission] = Prepared(
    _permissions_statement(and_(Api.audience == bindparam("audience", type_=Text), is_open(Api))), HeldPermission
)
"""At one API: found by its name, so that it does not matter how many others there are, and what they declare."""
