"""What a role allows, wherever it is declared; and whether somebody holds all of it."""

from collections.abc import Collection

from sqlalchemy import and_, or_, select

from idp.clients import declaration
from idp.clients.models import Api, ApiPermission, ApiPermissionHolder
from idp.organizations.conditions import is_open_after
from idp.organizations.effective import HeldPermission
from idp.organizations.models import BUILT_IN, Role, RolePermission
from idp.platform import clock, database
from idp.platform.settings import settings


def of_role(role: Role, *, since: int = clock.FOREVER) -> frozenset[HeldPermission]:
    """What `role` allows now, at every API, in which modes; and what an organization took out of it after `since`."""
    return _of_built_in(role.key) if role.owner == BUILT_IN else _of_custom(role.id, since)


def declared(names: Collection[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Those (audience, permission) pairs that some API declares which `names` speak of (empty audience: any API)."""
    rows = database.session().execute(
        select(Api.audience, ApiPermission.name)
        .join(ApiPermission, ApiPermission.api_id == Api.id)
        .where(Api.ended_at.is_(None), ApiPermission.ended_at.is_(None), ApiPermission.name.in_({n for _, n in names}))
    )
    return frozenset((audience, name) for audience, name in rows if (audience, name) in names or ("", name) in names)


def is_privileged(allowed: Collection[HeldPermission]) -> bool:
    """Whether `allowed` holds a permission that gives or removes access, at the issuer's own audience."""
    own = {permission.name for permission in allowed if permission.audience == settings().issuer}
    return not own.isdisjoint(declaration.shipped().privileged)


def lacking(
    needed: Collection[HeldPermission], held: Collection[HeldPermission], modes: Collection[str]
) -> frozenset[HeldPermission]:
    """What of `needed` is not in `held`, in one of `modes` (`live`, `sandbox`)."""
    have = {(permission.audience, permission.name, mode) for permission in held for mode in _modes(permission)}
    return frozenset(
        permission
        for permission in needed
        for mode in _modes(permission)
        if mode in modes and (permission.audience, permission.name, mode) not in have
    )


def _modes(permission: HeldPermission) -> tuple[str, ...]:
    return ("live",) * permission.live + ("sandbox",) * permission.sandbox


def _of_built_in(key: str) -> frozenset[HeldPermission]:
    holder = ApiPermissionHolder
    rows = database.session().execute(
        select(Api.audience, holder.permission, holder.live, holder.sandbox)
        .join(holder, holder.api_id == Api.id)
        .where(Api.ended_at.is_(None), holder.ended_at.is_(None), holder.role_key == key)
    )
    return frozenset(HeldPermission(*row) for row in rows)


def _of_custom(role_id: str, since: int) -> frozenset[HeldPermission]:
    listed = RolePermission
    rows = database.session().execute(
        select(Api.audience, listed.permission, listed.live, listed.sandbox)
        .join(ApiPermission, and_(ApiPermission.name == listed.permission, ApiPermission.ended_at.is_(None)))
        .join(Api, and_(Api.id == ApiPermission.api_id, or_(listed.audience == "", listed.audience == Api.audience)))
        .where(Api.ended_at.is_(None), is_open_after(listed, since), listed.role_id == role_id)
    )
    return frozenset(HeldPermission(*row) for row in rows)
