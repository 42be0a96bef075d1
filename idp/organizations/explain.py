"""Why somebody may do something, or why not, now or in the past: the whole chain, and what would change it.

The verdict is that of `effective`; the chain names the same conditions (`conditions`), one by one, for every grant
that could lead there. Were they ever to disagree, that would be a bug, and asking says so.
"""

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Select, Text, and_, bindparam, exists, func, or_, select

from idp.clients.declaration import EVERY_MEMBER
from idp.clients.models import Api, ApiPermission, ApiPermissionHolder, Client
from idp.organizations import conditions
from idp.organizations.conditions import ACCOUNT, CLIENT, GROUP, ORGANIZATION, USER, is_open
from idp.organizations.effective import (
    OWNER_ROLE,
    Holder,
    Moment,
    effective_roles,
    held_permissions,
    now,
    permissions_in,
)
from idp.organizations.models import (
    BUILT_IN,
    AccountGroup,
    GroupAccount,
    Membership,
    Ownership,
    Placement,
    Role,
    RoleGrant,
    RolePermission,
    Team,
    TeamMember,
)
from idp.organizations.scopes import Scope
from idp.platform import clock, database
from idp.platform.errors import Invalid

_ATTEMPTS = 3

Kind: TypeAlias = Literal["role", "permission"]
"""What a name is meant to name."""


@dataclass(frozen=True)
class Link:
    """One condition of a path: what it is about, whether it holds, and a sentence for people.

    `fact` and `named` are the same for doors that speak other languages: which sentence it is, and what it names.
    """

    about: str
    holds: bool
    says: str
    fact: str = field(default="", compare=False)
    named: str = field(default="", compare=False)


@dataclass(frozen=True)
class Path:
    """One way to a role: the grant (or ownership), with every condition that it hangs on."""

    role: str
    grant_id: str
    source: str
    counts: bool
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Explanation:
    """The answer to "why": `chain` has the paths that count first; `would_change` says what would turn the answer.

    `giving`: the keys of the roles that would do here.
    """

    allowed: bool
    chain: tuple[Path, ...]
    would_change: tuple[str, ...]
    giving: tuple[str, ...] = ()


class _Disagrees(RuntimeError):
    """The chain does not lead to the verdict: something changed between two statements, or we have a bug."""


@dataclass(frozen=True)
class _Asked:
    """What was asked for: the role with that key, or else the permission with that name."""

    name: str
    is_role: bool


def explain(
    holder: Holder, asked: str, scope: Scope, when: Moment | None = None, *, kind: Kind | None = None
) -> Explanation:
    """Whether `holder` holds `asked` (a role key, or a permission of any API) at `scope`, and why.

    `kind` says which of both is meant; raises `Invalid` where the name is both and nobody says so. Several statements,
    which on PostgreSQL see what is committed between them: then it is asked anew.
    """
    meant = _Asked(asked, _is_role(asked, scope.organization_id, kind))
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(_Disagrees):
            return _explain(holder, meant, scope, when or now())
    return _explain(holder, meant, scope, when or now())


def _explain(holder: Holder, asked: _Asked, scope: Scope, moment: Moment) -> Explanation:
    giving = _roles_that_give(asked, scope, moment)
    roles = frozenset(giving)
    standing = _standing(holder, scope, moment)
    paths = [
        *_by_ownership(standing, roles, holder, scope, moment),
        *_by_membership(standing, roles, holder, scope, moment),
        *(_path(row, standing) for row in _candidates(roles, holder, scope, moment)),
    ]
    allowed = _holds(holder, asked, scope, moment)
    if allowed != any(path.counts for path in paths):
        raise _Disagrees(f"the chain disagrees with the verdict: {asked.name} at {scope.id}")
    paths = [_allowing(path, asked.name, giving[path.role]) for path in paths]
    chain = tuple(sorted(paths, key=lambda path: not path.counts))
    would_do = tuple(sorted(roles - {EVERY_MEMBER}))
    return Explanation(allowed, chain, _would_change(allowed, chain, standing, would_do), would_do)


def _holds(holder: Holder, asked: _Asked, scope: Scope, moment: Moment) -> bool:
    held = effective_roles(holder, scope.context, moment)
    if asked.is_role:
        return asked.name in held.roles
    return asked.name in permissions_in(held_permissions(holder, scope.context, moment), livemode=held.livemode)


def _values(holder: Holder, scope: Scope, moment: Moment) -> dict[str, str | int]:
    return {
        "user_id": holder.user_id,
        "client_id": holder.client_id,
        "organization_id": scope.organization_id,
        "account_id": scope.account_id,
        "account_group_id": scope.account_group_id,
        "at": moment.at,
        "clock": moment.clock,
    }


# Which roles would do


def _is_role(asked: str, organization_id: str, kind: Kind | None) -> bool:
    """Whether `asked` is the key of a role, there is or was; `kind` decides where it is a permission, too."""
    if kind is not None:
        return kind == "role"
    is_key = exists().where(Role.owner.in_([BUILT_IN, organization_id]), Role.key == asked)
    is_permission = exists().where(ApiPermission.name == asked)
    key, permission = database.session().execute(select(is_key, is_permission)).one()
    if key and permission:
        raise Invalid(f"{asked!r} is a role and a permission: say which of both is meant.", field="kind")
    return bool(key)


def _roles_that_give(asked: _Asked, scope: Scope, moment: Moment) -> dict[str, tuple[str, ...]]:
    """Roles that are, or allow, what was asked, in the mode of the scope: by key, the audiences at which they do."""
    if asked.is_role:
        return {asked.name: ()}
    mode = "live" if scope.livemode in (None, True) else "sandbox"
    values = {"asked": asked.name, "organization_id": scope.organization_id, "at": moment.at}
    found: dict[str, set[str]] = defaultdict(set)
    for key, audience in database.session().execute(_GIVING[mode], values):
        found[key].add(audience)
    return {key: tuple(sorted(audiences)) for key, audiences in found.items()}


def _allowing(path: Path, asked: str, audiences: tuple[str, ...]) -> Path:
    """The path, with a link that says where its role allows what was asked."""
    if not audiences:
        return path
    who = f"The role {path.role}" if path.role else "Being a member"
    fact = "role allows" if path.role else "membership allows"
    link = Link("permission", True, f"{who} allows {asked} at {', '.join(audiences)}", fact, path.role)
    return replace(path, links=(link, *path.links))


def _giving(mode: str) -> Select[str, str]:
    asked = bindparam("asked", type_=Text)
    built_in = (
        select(ApiPermissionHolder.role_key, Api.audience)
        .join(Api, and_(Api.id == ApiPermissionHolder.api_id, is_open(Api)))
        .where(
            ApiPermissionHolder.permission == asked,
            getattr(ApiPermissionHolder, mode) == 1,
            is_open(ApiPermissionHolder),
        )
    )
    custom = (
        select(Role.key, Api.audience)
        .join(RolePermission, and_(RolePermission.role_id == Role.id, is_open(RolePermission)))
        .join(ApiPermission, and_(ApiPermission.name == RolePermission.permission, is_open(ApiPermission)))
        .join(Api, and_(Api.id == ApiPermission.api_id, is_open(Api)))
        .where(
            Role.owner == ORGANIZATION,
            RolePermission.permission == asked,
            getattr(RolePermission, mode) == 1,
            or_(RolePermission.audience == "", RolePermission.audience == Api.audience),
        )
    )
    either = built_in.union(custom).subquery()
    return select(either.c.role_key, either.c.audience)


_GIVING = {mode: _giving(mode) for mode in ("live", "sandbox")}


# What everything hangs on


def _is_member(*more: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(
        Membership.user_id == USER, Membership.organization_id == ORGANIZATION, is_open(Membership), *more
    )


def _is_placed() -> ColumnElement[bool]:
    return exists().where(
        Placement.account_id == ACCOUNT, Placement.organization_id == ORGANIZATION, is_open(Placement)
    )


def _client(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(Client.id == CLIENT, condition)


_OF_PERSONS = (
    ("person", "The person is enabled", conditions.user_enabled(USER)),
    ("membership", "The person is a member of the organization", _is_member()),
    ("membership", "The membership is active", _is_member(conditions.is_active(Membership.id))),
)
_OF_CLIENTS = (
    ("client", "The client is enabled", _client(conditions.client_enabled(Client))),
    ("client", "The client can be used in the organization", _client(conditions.client_usable(Client, ORGANIZATION))),
)
_OF_ORGANIZATIONS = (("organization", "The organization is active", conditions.organization_active(ORGANIZATION)),)
_OF_ACCOUNTS = (
    ("account", "The account belongs to the organization", _is_placed()),
    ("account", "The account is active", conditions.account_active(ACCOUNT)),
)


def _standing(holder: Holder, scope: Scope, moment: Moment) -> tuple[Link, ...]:
    """The conditions that every path hangs on."""
    asked: tuple[tuple[str, str, ColumnElement[bool]], ...] = (
        *(_OF_PERSONS if holder.user_id else _OF_CLIENTS),
        *_OF_ORGANIZATIONS,
        *(_OF_ACCOUNTS if scope.account_id else ()),
    )
    row = database.session().execute(
        select(*(condition.label(f"c{number}") for number, (_, _, condition) in enumerate(asked))),
        _values(holder, scope, moment),
    )
    found = zip(asked, row.one(), strict=True)
    return tuple(Link(about, bool(holds), says, fact=says) for (about, says, _), holds in found)


# The ways that could lead there


def _by_ownership(
    standing: Sequence[Link], roles: frozenset[str], holder: Holder, scope: Scope, moment: Moment
) -> list[Path]:
    owns = (
        select(Ownership.id)
        .join(Membership, Membership.id == Ownership.member_id)
        .where(Membership.user_id == USER, Ownership.organization_id == ORGANIZATION, is_open(Ownership))
    )
    if OWNER_ROLE not in roles or not database.session().execute(owns, _values(holder, scope, moment)).first():
        return []
    link = Link("ownership", True, f"The person owns the organization, and is {OWNER_ROLE} by that", "owns", OWNER_ROLE)
    return [Path(OWNER_ROLE, "", "ownership", all(one.holds for one in standing), (link, *standing))]


@dataclass(frozen=True)
class _Candidate:
    id: str
    role: str
    source: str
    scope: str
    started_at: int
    effective_from: int
    expires_at: int | None
    team: str | None
    account_group: str | None
    open: bool
    begun: bool
    unexpired: bool
    same_membership: bool
    in_team: bool
    in_group: bool
    same_stay: bool

    @property
    def holding(self) -> int:
        """How many of its own conditions hold."""
        own = (self.open, self.begun, self.unexpired, self.same_membership, self.in_team, self.in_group, self.same_stay)
        return sum(map(bool, own))


def _by_membership(
    standing: Sequence[Link], roles: frozenset[str], holder: Holder, scope: Scope, moment: Moment
) -> list[Path]:
    """What every member may: on the organization, and in what they may enter."""
    if EVERY_MEMBER not in roles or not holder.user_id:
        return []
    links = standing
    if scope.account_id or scope.account_group_id:
        enters = bool(effective_roles(holder, scope.context, moment).held)
        links = (Link("role", enters, "Some role is effective there", "enters"), *standing)
    return [Path(EVERY_MEMBER, "", "membership", all(link.holds for link in links), tuple(links))]


def _candidates(roles: frozenset[str], holder: Holder, scope: Scope, moment: Moment) -> list[_Candidate]:
    """One row a grant: where somebody left a team and came back, the stay that counts."""
    statement = _CANDIDATES.where(RoleGrant.role_key.in_(roles))
    best: dict[str, _Candidate] = {}
    for row in database.session().execute(statement, _values(holder, scope, moment)):
        found = _Candidate(*row)
        if found.id not in best or found.holding > best[found.id].holding:
            best[found.id] = found
    return list(best.values())


def _candidates_statement() -> Select[Any]:
    """Every grant, ended ones too, to the person, to a team they are or were in, or to the client, that leads here."""
    grantee = or_(
        and_(RoleGrant.member_id == Membership.id, Membership.user_id == USER),
        and_(RoleGrant.team_id == TeamMember.team_id, Membership.user_id == USER),
        RoleGrant.client_id == CLIENT,
    )
    leads_here = or_(
        RoleGrant.scope == ORGANIZATION,
        RoleGrant.scope == GROUP,
        and_(Placement.account_id == ACCOUNT, Placement.organization_id == ORGANIZATION),
    )
    columns: tuple[Any, ...] = (
        RoleGrant.id,
        RoleGrant.role_key,
        RoleGrant.source,
        RoleGrant.scope,
        RoleGrant.started_at,
        RoleGrant.effective_from,
        RoleGrant.expires_at,
        Team.name.label("team"),
        AccountGroup.name.label("account_group"),
        is_open(RoleGrant).label("open"),
        conditions.has_begun(RoleGrant).label("begun"),
        conditions.has_not_expired(RoleGrant).label("unexpired"),
        or_(RoleGrant.member_id.is_(None), is_open(Membership)).label("same_membership"),
        or_(RoleGrant.team_id.is_(None), and_(is_open(TeamMember), is_open(Membership))).label("in_team"),
        or_(GroupAccount.id.is_(None), and_(is_open(GroupAccount))).label("in_group"),
        or_(Placement.id.is_(None), is_open(Placement)).label("same_stay"),
    )
    return (
        select(*columns)
        .select_from(RoleGrant)
        .outerjoin(TeamMember, TeamMember.team_id == RoleGrant.team_id)
        .outerjoin(Membership, Membership.id == func.coalesce(RoleGrant.member_id, TeamMember.member_id))
        .outerjoin(Team, Team.id == RoleGrant.team_id)
        .outerjoin(GroupAccount, and_(GroupAccount.account_group_id == RoleGrant.account_group_id, ACCOUNT != ""))
        .outerjoin(Placement, Placement.id == func.coalesce(RoleGrant.placement_id, GroupAccount.placement_id))
        .outerjoin(AccountGroup, AccountGroup.id == RoleGrant.account_group_id)
        .where(RoleGrant.organization_id == ORGANIZATION, RoleGrant.started_at <= conditions.AT, grantee, leads_here)
        .order_by(RoleGrant.id)
    )


_CANDIDATES = _candidates_statement()


def _path(row: _Candidate, standing: Sequence[Link]) -> Path:
    links = (*_links(row), *standing)
    return Path(row.role, row.id, row.source, all(link.holds for link in links), links)


def _links(row: _Candidate) -> list[Link]:
    """The conditions of one grant, in the order in which a reader follows them."""
    granted = f"The grant of {row.role} ({row.source}) has not been ended"
    links = [Link("grant", bool(row.open), granted, "granted", row.role)]
    if row.expires_at is not None:
        expires = f"The grant expires at {clock.iso(row.expires_at)}"
        links.append(Link("grant", bool(row.unexpired), expires, "expires", str(row.expires_at)))
    if row.effective_from > row.started_at:
        begins = f"The grant counts from {clock.iso(row.effective_from)}"
        links.append(Link("grant", bool(row.begun), begins, "begins", str(row.effective_from)))
    if row.team is not None:
        links.append(Link("team", bool(row.in_team), f"The person is in the team {row.team}", "team", row.team))
    elif not row.same_membership:
        links.append(Link("membership", False, "The grant belongs to a former membership", "former membership"))
    if row.account_group is not None:
        in_group = f"The account is in the group {row.account_group}"
        links.append(Link("group", bool(row.in_group), in_group, "group", row.account_group))
    elif not row.same_stay:
        former = "The grant belongs to a former stay of the account in the organization"
        links.append(Link("account", False, former, "former stay"))
    if row.scope.startswith("org_"):
        links.append(Link("scope", True, "Held on the organization, it reaches every account", "reaches"))
    return links


def _would_change(
    allowed: bool, chain: Sequence[Path], standing: Sequence[Link], roles: Sequence[str]
) -> tuple[str, ...]:
    if allowed:
        ends = " and ".join(f"ending {path.grant_id or f'the {path.source}'}" for path in chain if path.counts)
        return (f"It would be lost by {ends}.",)
    broken = [[link.says for link in path.links if not link.holds] for path in chain]
    mended = [f"It would be held if this were so: {'; '.join(says)}." for says in broken]
    if not roles:
        return (*mended, "No role of this organization gives it.")
    missing = [link.says for link in standing if not link.holds]
    first = f", once this is so: {'; '.join(missing)}" if missing else ""
    return (*mended, f"It would be held with one of these roles here: {', '.join(roles)}{first}.")
