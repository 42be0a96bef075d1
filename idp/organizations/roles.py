"""Roles: the built-in ones as rows, and what organizations make themselves."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import asdict, dataclass

from sqlalchemy import func, select

from idp.audit import trail
from idp.audit.trail import SYSTEM, Actor
from idp.clients.declaration import RoleFile
from idp.feed import losses
from idp.organizations import authority, gains, grants, invitations, locking, names, permissions
from idp.organizations.effective import Context, HeldPermission
from idp.organizations.models import BUILT_IN, Role, RoleGrant, RolePermission
from idp.organizations.scopes import Scope
from idp.platform import clock, database
from idp.platform.errors import Conflict, Invalid, NotFound

MOST = 40
"""Custom roles an organization may have: tokens name them all and must stay small."""

_KEY = re.compile(r"x_[a-z0-9][a-z0-9_]{0,29}")
RESERVED = frozenset(
    [
        "owner",
        "super_admin",
        "admin",
        "iam_admin",
        "operator",
        "support",
        "none",
        "root",
        "system",
        "sub",
        "iss",
        "aud",
        "scope",
        "org_id",
    ]
)
"""Names that a custom role cannot have, so that nobody takes one for more (or for another claim) than it is."""


@dataclass(frozen=True, order=True)
class Permitted:
    """A permission in a custom role. `audience` empty: at every API that declares the name."""

    name: str
    audience: str = ""
    live: bool = True
    sandbox: bool = True


@dataclass(frozen=True)
class RoleSettings:
    """A custom role: its key (begins with `x_`, at most 32 characters), its name, what it allows and where it fits.

    `demands`: the level of proof that entering with it takes (`aal1`, `aal2`, `phr`, or empty); `sensitive`: a grant
    of it cools off first, where the organization's policy says so.
    """

    key: str
    name: str
    permissions: frozenset[Permitted]
    at_organization: bool = True
    at_account: bool = True
    demands: str = ""
    sensitive: bool = False

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key) or self.key.removeprefix("x_") in RESERVED:
            raise Invalid("A role key is x_ and up to 30 of a-z, 0-9 and _, and no reserved word.", field="key")
        if _plain(names.shown(self.name)) in RESERVED:
            raise Invalid(f"The name {self.name!r} is reserved.", field="name")
        if not (self.at_organization or self.at_account):
            raise Invalid("A role must be assignable somewhere.", field="assignable_at")
        if self.demands not in ("", "aal1", "aal2", "phr"):
            raise Invalid("demands must be aal1, aal2 or phr.", field="demands")
        if any(not (one.live or one.sandbox) for one in self.permissions):
            raise Invalid("A permission counts in live accounts, in sandboxes, or in both.", field="permissions")
        if len({(one.name, one.audience) for one in self.permissions}) < len(self.permissions):
            raise Invalid("A permission is listed once, with all the modes in which it counts.", field="permissions")


def start_built_in(declared: RoleFile) -> None:
    """Make the built-in roles the rows that the data file says. Run at every start; asking twice changes nothing.

    What they allow is declared by the APIs. Several nodes may start at once.
    """
    rows = {role.key: role for role in database.session().scalars(select(Role).where(Role.owner == BUILT_IN))}
    for wanted in declared.roles:
        row = rows.get(wanted.key)
        before = _said_built_in(row) if row else None
        if row is None:
            row = Role(id=f"role_{wanted.key}", owner=BUILT_IN, key=wanted.key)
            database.session().add(row)
        row.name, row.may_grant = wanted.name, wanted.may_grant
        row.demands, row.sensitive = wanted.demands, int(wanted.sensitive)
        after = _said_built_in(row)
        if before != after:
            event = "role.changed" if before else "role.created"
            trail.record(event, by=SYSTEM, subject=row.id, before=before, after=after)


def create(organization_id: str, wanted: RoleSettings, *, by: Actor, id: str = "") -> Role:
    """Make a custom role. Takes `roles.write` on the organization, and holding there all that it allows."""
    locking.lock_open(organization_id)
    authority.require(by, "roles.write", Context(organization_id))
    _require_room(organization_id, wanted.key)
    _require_may_allow(organization_id, wanted.permissions, by)
    role = Role(id=names.given_id("role", id, Role), owner=organization_id, key=wanted.key, name=wanted.name)
    _fill(role, wanted)
    database.session().add(role)
    database.session().flush()
    for one in sorted(wanted.permissions):
        database.session().add(_row(role, one))
    trail.record("role.created", by=by, subject=role.id, organization=organization_id, after=_said(wanted))
    return role


def change(organization_id: str, role_id: str, wanted: RoleSettings, *, by: Actor) -> bool:
    """Let a custom role be as `wanted` says; whether that changed anything. The key never changes.

    Takes `roles.write`. Widening is a grant to everybody who holds the role: `by` must hold on the organization what
    is added (without end, if they hold the role), and be able to give the role as it will be, wherever it is granted.
    """
    locking.lock_open(organization_id)
    authority.require(by, "roles.write", Context(organization_id))
    role = find(organization_id, role_id)
    before = settings_of(role)
    if before == wanted:
        return False
    if wanted.key != before.key:
        raise Invalid("The key of a role never changes: tokens name it.", field="key")
    added = _widened(before.permissions, wanted.permissions)
    _require_may_allow(organization_id, added, by)
    _fill(role, wanted)
    _rewrite(role, wanted.permissions)
    if added:
        _require_may_give_all(role, by)
        _require_no_gain(role, added, by)
    if _widened(wanted.permissions, before.permissions):
        losses.record("role", org_id=organization_id, role=role.key)
    trail.record(
        "role.changed",
        by=by,
        subject=role.id,
        organization=organization_id,
        before=_said(before),
        after=_said(wanted),
    )
    return True


def delete(organization_id: str, role_id: str, *, by: Actor) -> None:
    """Delete a custom role: its grants end, open invitations with it are revoked. Takes `roles.write`."""
    locking.lock(organization_id)
    authority.require(by, "roles.write", Context(organization_id))
    role = find(organization_id, role_id)
    grants.end_all(_grants_of(role), by=by, silent=True)
    invitations.revoke_for_role(organization_id, role.id, by=by)
    for row in _rows(role):
        row.end()
    role.end()
    losses.record("role", org_id=organization_id, role=role.key)
    trail.record("role.deleted", by=by, subject=role.id, organization=organization_id, before=role.key)


def find(organization_id: str, name: str) -> Role:
    """The organization's own live role with that id or key. Raises `NotFound`, also for built-in ones."""
    statement = select(Role).where(
        Role.owner == organization_id, (Role.id == name) | (Role.key == name), Role.ended_at.is_(None)
    )
    found = database.session().scalars(statement).first()
    if found is None:
        raise NotFound(f"There is no custom role {name!r} in this organization.")
    return found


def visible_in(organization_id: str) -> list[Role]:
    """The roles that can be granted in the organization: built-in ones, then its own, by key."""
    statement = select(Role).where(Role.owner.in_([BUILT_IN, organization_id]), Role.ended_at.is_(None))
    return sorted(database.session().scalars(statement), key=lambda role: (role.owner != BUILT_IN, role.key))


def names_in(organization_ids: Collection[str]) -> dict[tuple[str, str], str]:
    """What roles are called in each of these organizations: by its id and the key."""
    wanted = select(Role.owner, Role.key, Role.name).where(
        Role.owner.in_([BUILT_IN, *organization_ids]), Role.ended_at.is_(None)
    )
    rows = database.session().execute(wanted).all()
    built_in = {(id, key): name for owner, key, name in rows if owner == BUILT_IN for id in organization_ids}
    return built_in | {(owner, key): name for owner, key, name in rows if owner != BUILT_IN}


def settings_of(role: Role) -> RoleSettings:
    """A custom role as a value."""
    return RoleSettings(
        key=role.key,
        name=role.name,
        permissions=frozenset(
            Permitted(row.permission, row.audience, bool(row.live), bool(row.sandbox)) for row in _rows(role)
        ),
        at_organization=bool(role.at_organization),
        at_account=bool(role.at_account),
        demands=role.demands,
        sensitive=bool(role.sensitive),
    )


def _fill(role: Role, wanted: RoleSettings) -> None:
    role.name, role.demands, role.sensitive = names.shown(wanted.name), wanted.demands, int(wanted.sensitive)
    role.at_organization, role.at_account = int(wanted.at_organization), int(wanted.at_account)


def _row(role: Role, one: Permitted) -> RolePermission:
    return RolePermission(
        role_id=role.id, audience=one.audience, permission=one.name, live=int(one.live), sandbox=int(one.sandbox)
    )


def _rows(role: Role) -> list[RolePermission]:
    statement = select(RolePermission).where(RolePermission.role_id == role.id, RolePermission.ended_at.is_(None))
    return list(database.session().scalars(statement))


def _rewrite(role: Role, wanted: Collection[Permitted]) -> None:
    """End the rows that are wanted no more and begin those that are new."""
    kept = set()
    for row in _rows(role):
        one = Permitted(row.permission, row.audience, bool(row.live), bool(row.sandbox))
        if one in wanted:
            kept.add(one)
        else:
            row.end()
    database.session().flush()
    for one in sorted(set(wanted) - kept):
        database.session().add(_row(role, one))
    database.session().flush()


def _widened(before: Collection[Permitted], after: Collection[Permitted]) -> frozenset[Permitted]:
    """What of `after` is not in `before`, mode by mode."""
    had = {(one.name, one.audience, mode) for one in before for mode in _modes(one)}
    return frozenset(one for one in after for mode in _modes(one) if (one.name, one.audience, mode) not in had)


def _modes(one: Permitted) -> tuple[str, ...]:
    return ("live",) * one.live + ("sandbox",) * one.sandbox


def _require_may_allow(organization_id: str, added: Collection[Permitted], by: Actor) -> None:
    """Every added permission is declared by some API, and held on the organization by who adds it."""
    needed = _meant_by(added)
    for one in sorted(added):
        if not any(meant.name == one.name and one.audience in ("", meant.audience) for meant in needed):
            raise Invalid(f"No API declares the permission {one.name!r}.", field="permissions")
    authority.require_holds(by, needed, Context(organization_id))


def _meant_by(listed: Collection[Permitted]) -> frozenset[HeldPermission]:
    """The permissions that are listed, at every API that declares them."""
    declared = permissions.declared({(one.audience, one.name) for one in listed})
    return frozenset(
        HeldPermission(audience, name, int(one.live), int(one.sandbox))
        for one in listed
        for audience, name in declared
        if name == one.name and one.audience in ("", audience)
    )


def _require_no_gain(role: Role, added: Collection[Permitted], by: Actor) -> None:
    """Who holds the role may add what their other roles give them without end; else they would keep what runs out."""
    has = gains.possessions(authority.holder_of(by), role.owner, clock.now())
    if role.key not in {key for key, _ in has}:
        return
    lasting = {
        key
        for (key, scope), spans in has.items()
        if key != role.key and scope == role.owner and any(ends == clock.FOREVER for _, ends in spans)
    }
    kept = {one for other in grants.roles_of(role.owner, lasting).values() for one in permissions.of_role(other)}
    if permissions.lacking(_meant_by(added), kept, ("live", "sandbox")):
        raise gains.WouldGain(f"You hold {role.key} yourself, and what you add to it only for a time.")


def _require_may_give_all(role: Role, by: Actor) -> None:
    reached = {(grants.scope_of(one), one.client_id is not None) for one in _grants_of(role)}
    reached.add((Scope(role.owner), False))
    authority.require_may_grant_each(by, ((role, scope, to_client) for scope, to_client in reached))


def _grants_of(role: Role) -> list[RoleGrant]:
    statement = select(RoleGrant).where(
        RoleGrant.organization_id == role.owner, RoleGrant.role_id == role.id, RoleGrant.ended_at.is_(None)
    )
    return list(database.session().scalars(statement))


def _require_room(organization_id: str, key: str) -> None:
    session = database.session()
    mine = select(func.count()).where(Role.owner == organization_id, Role.ended_at.is_(None))
    if session.execute(mine).scalar_one() >= MOST:
        raise Conflict(f"An organization has at most {MOST} custom roles.")
    taken = select(Role.id).where(Role.owner == organization_id, Role.key == key, Role.ended_at.is_(None))
    if session.execute(taken).first():
        raise Conflict(f"There is a role {key!r} already.")


def _said(wanted: RoleSettings) -> dict[str, object]:
    said = {name: value for name, value in asdict(wanted).items() if name != "permissions"}
    return said | {"permissions": [asdict(one) for one in sorted(wanted.permissions)]}


def _said_built_in(role: Role) -> dict[str, object]:
    return {
        "key": role.key,
        "name": role.name,
        "may_grant": role.may_grant,
        "demands": role.demands,
        "sensitive": bool(role.sensitive),
    }


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().replace(" ", "_").replace("-", "_")
