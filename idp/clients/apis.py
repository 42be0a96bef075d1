"""APIs: the services that tokens are for, the scopes and permissions they declare, and who holds these.

A permission is declared with the built-in roles that hold it, live and in sandboxes alike, or by its bare name: then
those hold it whom the issuer's own declaration (`config/roles.yaml`) names, in the modes named there. `super_admin`
and `admin` hold everything at every audience but the issuer's own, where that file alone decides.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sqlalchemy import select, text

from idp.audit import trail
from idp.audit.trail import SYSTEM, Actor
from idp.clients import declaration
from idp.clients.declaration import EVERY_MEMBER, HOLDERS_OF_ALL, RoleFile
from idp.clients.models import Api, ApiPermission, ApiPermissionHolder, ApiScope
from idp.feed import losses
from idp.platform import clock, database, identifiers
from idp.platform.database import Period
from idp.platform.errors import Conflict, Invalid, NotFound
from idp.platform.settings import settings

AS_ISSUER = None
"""Instead of roles: the permission is held by whom the issuer's own declaration names."""

_LOCK = 7_214_904
"""The PostgreSQL advisory lock under which declarations change: permissions of one hang on those of another."""

_PERMISSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")  # RFC 6749 §3.3
_LONGEST = 255


@dataclass(frozen=True)
class ScopeSettings:
    """A scope of an API, and the words that a person reads when consenting to it."""

    name: str
    description: str = ""


@dataclass(frozen=True)
class ApiSettings:
    """What an API declares. `permissions`: each with the keys of the built-in roles that hold it, or `AS_ISSUER`."""

    audience: str
    name: str
    scopes: tuple[ScopeSettings, ...] = ()
    permissions: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Holding:
    """A built-in role holds a permission, in live accounts (1 or 0) and in sandboxes."""

    permission: str
    role_key: str
    live: int
    sandbox: int

    def narrows_to(self, other: "_Holding | None") -> bool:
        return other is None or self.live > other.live or self.sandbox > other.sandbox


@dataclass(frozen=True)
class _Declared:
    """What the tables hold of an API: scopes and their words, permissions (1: by the bare name), and their holders."""

    scopes: Mapping[str, str]
    permissions: Mapping[str, int]
    holdings: frozenset[_Holding]


def declare(wanted: ApiSettings, *, by: Actor, id: str = "") -> Api:
    """Let the API at `wanted.audience` be what `wanted` says; made if there is none, else only what differs changes.

    `id` brings the id of a new one along from elsewhere. What loses a permission supersedes the tokens of the audience.
    Raises `Invalid`, and `Conflict` for the issuer's own audience.
    """
    wanted = normal(wanted)
    if wanted.audience == settings().issuer:
        raise Conflict("the issuer's own audience is declared by config/roles.yaml")
    _take_turn()
    return _become(wanted.audience, wanted.name, _declared_by(wanted, declaration.shipped()), by=by, id=id)


def declare_own(declared: RoleFile, audience: str, *, by: Actor = SYSTEM) -> Api:
    """Declare the issuer's own `audience`, and anew whatever other APIs declare by bare names.

    Done at every start; nodes that start at once wait for one another, and asking twice changes nothing.
    """
    _take_turn()
    holdings = {holding for name in declared.permissions for holding in _named_by(declared, name)}
    holdings |= {_Holding(name, EVERY_MEMBER, 1, 1) for name in declared.every_member}
    own = _Declared({}, dict.fromkeys(declared.permissions, 0), frozenset(holdings))
    api = _become(audience, "Canopy", own, by=by)
    for other in everything():
        if other.audience != audience:
            _become(other.audience, other.name, _declared_by(settings_of(other), declared), by=by)
    return api


def withdraw(api: Api, *, by: Actor) -> None:
    """Let there be no such API: its tokens are superseded, and one declared later under its audience is another one."""
    if api.audience == settings().issuer:
        raise Conflict("the issuer's own audience cannot be withdrawn")
    _take_turn()
    if api.ended_at is not None:
        return
    before = _told(api)
    edges: list[Period] = [*_scopes(api), *_permissions(api), *_holders(api), api]
    for edge in edges:
        edge.end()
    losses.record("api", aud=api.audience)
    trail.record("api.deleted", by=by, subject=api.id, before=before)


def find(api_id: str) -> Api:
    """The API with that id, or at that audience. Raises `NotFound`."""
    api = (
        database.session()
        .scalars(select(Api).where(Api.ended_at.is_(None), (Api.id == api_id) | (Api.audience == api_id)))
        .one_or_none()
    )
    if api is None:
        raise NotFound(f"there is no API {api_id!r}")
    return api


def everything() -> list[Api]:
    """All APIs, the issuer's own among them, in the order of their audiences."""
    return list(database.session().scalars(select(Api).where(Api.ended_at.is_(None)).order_by(Api.audience)))


def words_of_scopes(audiences: Collection[str]) -> dict[tuple[str, str], str]:
    """What people are told of the scopes of these APIs: by audience and name."""
    wanted = (
        select(Api.audience, ApiScope.name, ApiScope.description)
        .join(ApiScope, ApiScope.api_id == Api.id)
        .where(Api.audience.in_(audiences), Api.ended_at.is_(None), ApiScope.ended_at.is_(None))
    )
    return {(audience, name): words for audience, name, words in database.session().execute(wanted)}


def settings_of(api: Api) -> ApiSettings:
    """What `declare` would have to be given to change nothing."""
    declared = _read(api)
    roles: dict[str, list[str]] = {name: [] for name in declared.permissions}
    for holding in sorted(declared.holdings, key=lambda holding: holding.role_key):
        if holding.role_key not in (*HOLDERS_OF_ALL, EVERY_MEMBER):
            roles[holding.permission].append(holding.role_key)
    return ApiSettings(
        api.audience,
        api.name,
        tuple(ScopeSettings(name, description) for name, description in sorted(declared.scopes.items())),
        {
            name: AS_ISSUER if as_issuer else tuple(roles[name])
            for name, as_issuer in sorted(declared.permissions.items())
        },
    )


# What was asked for


def normal(wanted: ApiSettings) -> ApiSettings:
    """`wanted` as `settings_of` would say it: in order, without the roles that hold everything. Raises `Invalid`."""
    _check(wanted)
    return ApiSettings(
        wanted.audience,
        wanted.name.strip(),
        tuple(sorted(wanted.scopes, key=lambda scope: scope.name)),
        {
            name: AS_ISSUER if roles is AS_ISSUER else tuple(sorted(set(roles) - set(HOLDERS_OF_ALL)))
            for name, roles in sorted(wanted.permissions.items())
        },
    )


def _check(wanted: ApiSettings) -> None:
    _require_audience(wanted.audience)
    if not wanted.name.strip() or len(wanted.name) > _LONGEST or not wanted.name.isprintable():
        raise Invalid(f"an API has a name of 1 to {_LONGEST} printable characters", field="name")
    names = [scope.name for scope in wanted.scopes]
    for name in names:
        if not _SCOPE.fullmatch(name) or names.count(name) > 1:
            raise Invalid(f"{name!r} is not the name of one scope (RFC 6749 §3.3)", field="scopes")
    for name in wanted.permissions:
        if not _PERMISSION.fullmatch(name):
            raise Invalid(f"{name!r} is not the name of a permission: letters, digits, '._:/-'", field="permissions")


def _require_audience(audience: str) -> None:
    try:
        parts = urlsplit(audience)
        absolute = bool(parts.scheme) and bool(parts.netloc or parts.path) and "#" not in audience
    except ValueError:
        absolute = False
    if (
        not absolute
        or len(audience) > _LONGEST
        or not audience.isascii()
        or not audience.isprintable()
        or " " in audience
    ):
        raise Invalid("an audience is an absolute URI without a fragment (RFC 8707 §2)", field="audience")


def _declared_by(wanted: ApiSettings, declared: RoleFile) -> _Declared:
    holdings: set[_Holding] = set()
    for name, roles in wanted.permissions.items():
        holdings |= _held_by_all(name)
        if roles is AS_ISSUER:
            holdings |= {holding for holding in _named_by(declared, name) if holding.role_key not in HOLDERS_OF_ALL}
        else:
            holdings |= _held_by(name, roles, declared)
    return _Declared(
        {scope.name: scope.description for scope in wanted.scopes},
        {name: int(roles is AS_ISSUER) for name, roles in wanted.permissions.items()},
        frozenset(holdings),
    )


def _held_by_all(name: str) -> set[_Holding]:
    return {_Holding(name, key, 1, 1) for key in HOLDERS_OF_ALL}


def _held_by(name: str, roles: Iterable[str], declared: RoleFile) -> set[_Holding]:
    keys = set(roles)
    unknown = sorted(keys - declared.keys)
    if unknown:
        raise Invalid(f"{name}: {unknown[0]!r} is not a built-in role", field="permissions")
    return {_Holding(name, key, 1, 1) for key in keys}


def _named_by(declared: RoleFile, name: str) -> set[_Holding]:
    return {
        _Holding(name, role.key, int(name in role.live), int(name in role.sandbox))
        for role in declared.roles
        if name in role.live | role.sandbox
    }


# What the tables hold


def _take_turn() -> None:
    if not database.is_sqlite():
        database.session().execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    database.session().expire_all()


def _become(audience: str, name: str, wanted: _Declared, *, by: Actor, id: str = "") -> Api:
    api = database.session().scalars(select(Api).where(Api.audience == audience, Api.ended_at.is_(None))).one_or_none()
    before = None if api is None else _told(api)
    if api is None:
        api = _make(audience, name, id)
    api.name = name
    scope_gone = _declare_scopes(api, wanted)
    _declare_permissions(api, wanted)
    if _declare_holders(api, wanted) or scope_gone:
        losses.record("api", aud=audience)
    after = _told(api)
    if before != after:
        event = "api.changed" if before else "api.created"
        trail.record(event, by=by, subject=api.id, before=before, after=after)
    return api


def _told(api: Api) -> dict[str, object]:
    """What the trail is told: a line a permission, with its holders and modes, so that a change is a short one."""
    declared = _read(api)
    lines: dict[str, dict[str, str | bool]] = {
        name: {"as_issuer": bool(as_issuer)} for name, as_issuer in declared.permissions.items()
    }
    for holding in sorted(declared.holdings, key=lambda holding: (holding.permission, holding.role_key)):
        modes = ["live"] * holding.live + ["sandbox"] * holding.sandbox
        lines[holding.permission][holding.role_key or "every member"] = " and ".join(modes)
    said = {f"permission {name}": line for name, line in lines.items()}
    return {"audience": api.audience, "name": api.name, "scopes": dict(declared.scopes), **said}


def _make(audience: str, name: str, given: str) -> Api:
    if given and not identifiers.is_one("api", given):
        raise Invalid("the id of an API is api_ and up to 64 letters, digits, '-' and '_'", field="id")
    if given and database.session().get(Api, given) is not None:
        raise Conflict(f"there is or was an API with the id {given}")
    api = Api(id=given or identifiers.api(), audience=audience, name=name)
    database.session().add(api)
    database.session().flush()
    return api


def _declare_scopes(api: Api, wanted: _Declared) -> bool:
    """Returns whether a scope is gone."""
    live = {scope.name: scope for scope in _scopes(api)}
    gone = live.keys() - wanted.scopes.keys()
    for name in gone:
        live[name].end()
    for name, description in wanted.scopes.items():
        if name in live:
            live[name].description = description
        else:
            database.session().add(ApiScope(api_id=api.id, name=name, description=description))
    return bool(gone)


def _declare_permissions(api: Api, wanted: _Declared) -> None:
    live = {permission.name: permission for permission in _permissions(api)}
    for name in live.keys() - wanted.permissions.keys():
        live[name].end()
    for name, as_issuer in wanted.permissions.items():
        if name in live:
            live[name].as_issuer = as_issuer
        else:
            database.session().add(ApiPermission(api_id=api.id, name=name, as_issuer=as_issuer))


def _declare_holders(api: Api, wanted: _Declared) -> bool:
    """Returns whether a role lost something, in any mode."""
    live = {(row.permission, row.role_key): row for row in _holders(api)}
    after = {(holding.permission, holding.role_key): holding for holding in wanted.holdings}
    lost = False
    for key, row in live.items():
        if after.get(key) != _holding(row):
            lost = lost or _holding(row).narrows_to(after.get(key))
            row.end()
    database.session().flush()
    for key, holding in after.items():
        if key not in live or live[key].ended_at is not None:
            since = live[key].ended_at if key in live else None
            database.session().add(_row(api, holding, since or clock.now()))
    return lost


def _row(api: Api, holding: _Holding, since: int) -> ApiPermissionHolder:
    return ApiPermissionHolder(
        api_id=api.id,
        permission=holding.permission,
        role_key=holding.role_key,
        live=holding.live,
        sandbox=holding.sandbox,
        started_at=since,
    )


def _read(api: Api) -> _Declared:
    return _Declared(
        {scope.name: scope.description for scope in _scopes(api)},
        {permission.name: permission.as_issuer for permission in _permissions(api)},
        frozenset(_holding(holder) for holder in _holders(api)),
    )


def _holding(holder: ApiPermissionHolder) -> _Holding:
    return _Holding(holder.permission, holder.role_key, holder.live, holder.sandbox)


def _scopes(api: Api) -> list[ApiScope]:
    live = select(ApiScope).where(ApiScope.api_id == api.id, ApiScope.ended_at.is_(None))
    return list(database.session().scalars(live.order_by(ApiScope.name)))


def _permissions(api: Api) -> list[ApiPermission]:
    live = select(ApiPermission).where(ApiPermission.api_id == api.id, ApiPermission.ended_at.is_(None))
    return list(database.session().scalars(live.order_by(ApiPermission.name)))


def _holders(api: Api) -> list[ApiPermissionHolder]:
    holder = ApiPermissionHolder
    return list(database.session().scalars(select(holder).where(holder.api_id == api.id, holder.ended_at.is_(None))))
