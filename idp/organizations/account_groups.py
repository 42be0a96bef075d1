"""Account groups: named sets of accounts. A role granted on a group reaches its accounts, so adding one is a grant."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.feed import losses
from idp.organizations import authority, gains, grants, invitations, locking, names, scopes
from idp.organizations.effective import Context
from idp.organizations.models import AccountGroup, GroupAccount, Role
from idp.organizations.scopes import Scope
from idp.platform import bulk, clock, database, identifiers
from idp.platform.errors import Conflict


@dataclass(frozen=True)
class GroupSettings:
    """What a group is called: `key` among programs, `name` among people."""

    key: str
    name: str


def create(organization_id: str, wanted: GroupSettings, *, by: Actor, id: str = "") -> AccountGroup:
    """Make a group without accounts. Takes `accounts.write` on the organization."""
    locking.lock_open(organization_id)
    authority.require(by, "accounts.write", Context(organization_id))
    _require_free(organization_id, names.key(wanted.key, "agrp"))
    group = AccountGroup(
        id=names.given_id("agrp", id, AccountGroup),
        organization_id=organization_id,
        key=wanted.key,
        name=names.shown(wanted.name),
    )
    database.session().add(group)
    database.session().flush()
    trail.record("group.created", by=by, subject=group.id, organization=organization_id, after=wanted)
    return group


def reconfigure(organization_id: str, group_id: str, wanted: GroupSettings, *, by: Actor) -> bool:
    """Rename a group; whether that changed anything. Takes `accounts.write` on the organization."""
    locking.lock_open(organization_id)
    authority.require(by, "accounts.write", Context(organization_id))
    group = find(organization_id, group_id)
    before = GroupSettings(group.key, group.name)
    if before == wanted:
        return False
    if wanted.key != before.key:
        _require_free(organization_id, names.key(wanted.key, "agrp"))
    group.key, group.name = wanted.key, names.shown(wanted.name)
    trail.record("group.changed", by=by, subject=group.id, organization=organization_id, before=before, after=wanted)
    return True


def delete(organization_id: str, group_id: str, *, by: Actor) -> None:
    """End a group: its accounts' places and the grants on it. Takes `accounts.write` on the organization."""
    locking.lock(organization_id)
    authority.require(by, "accounts.write", Context(organization_id))
    group = find(organization_id, group_id)
    grants.end_all(grants.at_scope(organization_id, group.id), by=by)
    invitations.revoke_for(Scope(organization_id, account_group_id=group.id), by=by)
    for place in _places(group):
        place.end()
    group.end()
    trail.record("group.deleted", by=by, subject=group.id, organization=organization_id, before=group.key)


def add(organization_id: str, group_id: str, account_ids: Collection[str], *, by: Actor) -> int:
    """Put accounts (ids or keys) into a group; how many were not in it yet.

    `by` must be able to give every role of the group on each account, and gains nothing by it.
    """
    locking.lock_open(organization_id)
    authority.require(by, "accounts.write", Context(organization_id))
    group = find(organization_id, group_id)
    there = {place.placement_id for place in _places(group)}
    found = {scope.placement_id: scope for scope in scopes.of_accounts(organization_id, account_ids)}
    new = [scope for placement_id, scope in found.items() if placement_id not in there]
    _require_may_reach(group, new, by)
    with gains.refused(by, organization_id):
        _put_in(group, new)
    for scope in new:
        trail.record(
            "group.account.added", by=by, subject=group.id, organization=organization_id, account=scope.account_id
        )
    return len(new)


def remove(organization_id: str, group_id: str, account_id: str, *, by: Actor) -> None:
    """Take one account out of a group; see `remove_many`."""
    remove_many(organization_id, group_id, [account_id], by=by)


def remove_many(organization_id: str, group_id: str, account_ids: Collection[str], *, by: Actor) -> None:
    """Take accounts (ids or keys) out of a group; those not in it do not matter. Takes `accounts.write`."""
    locking.lock(organization_id)
    authority.require(by, "accounts.write", Context(organization_id))
    group = find(organization_id, group_id)
    leaving = {scope.placement_id: scope for scope in scopes.of_accounts(organization_id, account_ids)}
    for place in _places(group):
        scope = leaving.get(place.placement_id)
        if scope is not None:
            place.end()
            losses.record("account", org_id=organization_id, account_id=scope.account_id)
            trail.record(
                "group.account.removed", by=by, subject=group.id, organization=organization_id, account=scope.account_id
            )


def find(organization_id: str, name: str) -> AccountGroup:
    """The live group of this organization with that id or key. Raises `NotFound`."""
    scope = scopes.of_group(organization_id, name)
    return database.session().get_one(AccountGroup, scope.account_group_id)


def placements_of(group: AccountGroup) -> list[str]:
    """The placement ids of the accounts that are in the group now."""
    return [place.placement_id for place in _places(group)]


def _places(group: AccountGroup) -> list[GroupAccount]:
    statement = select(GroupAccount).where(GroupAccount.account_group_id == group.id, GroupAccount.ended_at.is_(None))
    return list(database.session().scalars(statement))


def _require_may_reach(group: AccountGroup, new: list[Scope], by: Actor) -> None:
    given = [
        (database.session().get_one(Role, one.role_id), one.client_id is not None)
        for one in grants.at_scope(group.organization_id, group.id)
    ]
    authority.require_may_grant_each(by, ((role, scope, to_client) for role, to_client in given for scope in new))


def _put_in(group: AccountGroup, new: list[Scope]) -> None:
    edge: dict[str, str | int] = {
        "organization_id": group.organization_id,
        "account_group_id": group.id,
        "started_at": clock.now(),
    }
    bulk.insert_many(GroupAccount, [edge | {"id": identifiers.edge(), "placement_id": one.placement_id} for one in new])


def _require_free(organization_id: str, key: str) -> None:
    taken = select(AccountGroup.id).where(
        AccountGroup.organization_id == organization_id, AccountGroup.key == key, AccountGroup.ended_at.is_(None)
    )
    if database.session().execute(taken).first():
        raise Conflict(f"There is an account group {key!r} already.")
