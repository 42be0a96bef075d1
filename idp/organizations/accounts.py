"""Accounts: opened in an organization, suspended, closed. Where an account belongs says its placement."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.feed import losses
from idp.organizations import authority, grants, invitations, locking, names, scopes
from idp.organizations.effective import Context
from idp.organizations.models import Account, AccountMove, AccountSuspension, GroupAccount, Placement
from idp.organizations.scopes import Scope
from idp.platform import bulk, clock, database, identifiers
from idp.platform.errors import Conflict, Invalid

_COUNTRY = re.compile("[A-Z]{2}")


@dataclass(frozen=True)
class AccountSettings:
    """What can be changed of an account: its key, its name, its country (ISO 3166-1 alpha-2)."""

    key: str
    name: str
    country: str

    def __post_init__(self) -> None:
        names.key(self.key, "acct")
        names.shown(self.name)
        if not _COUNTRY.fullmatch(self.country):
            raise Invalid("country takes two capital letters, e.g. DE.", field="country")


@dataclass(frozen=True)
class NewAccount:
    """An account to be opened; `livemode` stays as it is said here. `id` is for operators who bring one along."""

    settings: AccountSettings
    livemode: bool
    id: str = ""


def open_account(organization_id: str, wanted: NewAccount, *, by: Actor) -> str:
    """Open one account; its id. See `open_many`."""
    return open_many(organization_id, [wanted], by=by)[wanted.settings.key]


def open_many(organization_id: str, wanted: Sequence[NewAccount], *, by: Actor) -> dict[str, str]:
    """Open accounts; their ids by key. Takes `accounts.write` on the organization; a key in use is a `Conflict`."""
    locking.lock_open(organization_id)
    authority.require(by, "accounts.write", Context(organization_id))
    _require_free(organization_id, [one.settings.key for one in wanted])
    ids = {one.settings.key: names.given_id("acct", one.id, Account) for one in wanted}
    if len(ids) != len(wanted):
        raise Conflict("Two accounts have the same key.")
    _insert(organization_id, wanted, ids)
    for one in wanted:
        trail.record(
            "account.created",
            by=by,
            subject=ids[one.settings.key],
            organization=organization_id,
            account=ids[one.settings.key],
            after={"key": one.settings.key, "name": one.settings.name, "livemode": one.livemode},
        )
    return ids


def reconfigure(organization_id: str, account_id: str, wanted: AccountSettings, *, by: Actor) -> bool:
    """Change key, name or country; whether that changed anything. Takes `accounts.write` on the organization."""
    locking.lock_open(organization_id)
    authority.require(by, "accounts.write", Context(organization_id))
    scope = scopes.of_account(organization_id, account_id)
    account = database.session().get_one(Account, scope.account_id)
    place = database.session().get_one(Placement, scope.placement_id)
    before = AccountSettings(place.key, account.name, account.country)
    if before == wanted:
        return False
    if place.key != wanted.key:
        _require_free(organization_id, [wanted.key])
    place.key, account.name, account.country = wanted.key, names.shown(wanted.name), wanted.country
    trail.record(
        "account.changed",
        by=by,
        subject=account.id,
        organization=organization_id,
        account=account.id,
        before=before,
        after=wanted,
    )
    return True


def suspend(organization_id: str, account_id: str, *, by: Actor) -> None:
    """Let nothing count in the account. Takes `accounts.write` on the organization; twice changes nothing."""
    scope = _administered(organization_id, account_id, by)
    if suspension_of(scope.account_id) is None:
        database.session().add(AccountSuspension(account_id=scope.account_id))
        losses.record("account", org_id=organization_id, account_id=scope.account_id)
        _record("account.suspended", scope, by)


def resume(organization_id: str, account_id: str, *, by: Actor) -> None:
    """End the suspension. Takes `accounts.write` on the organization; twice changes nothing."""
    scope = _administered(organization_id, account_id, by)
    suspension = suspension_of(scope.account_id)
    if suspension is not None:
        suspension.end()
        _record("account.resumed", scope, by)


def close(organization_id: str, account_id: str, *, by: Actor) -> None:
    """Close the account for good: its stay here ends, and with it everything granted on it."""
    scope = _administered(organization_id, account_id, by)
    leave(scope, by=by)
    _record("account.closed", scope, by)


def leave(scope: Scope, *, by: Actor) -> None:
    """End the account's stay in its organization, with its places in groups, grants, open invitations and offers."""
    session = database.session()
    for place in session.scalars(
        select(GroupAccount).where(GroupAccount.placement_id == scope.placement_id, GroupAccount.ended_at.is_(None))
    ):
        place.end()
    for move in session.scalars(
        select(AccountMove).where(AccountMove.placement_id == scope.placement_id, AccountMove.outcome.is_(None))
    ):
        move.outcome, move.settled_by, move.settled_at = "withdrawn", by.id, clock.now()
        for side in (move.organization_id, move.target_id):
            trail.record("account.move.withdrawn", by=by, subject=move.id, organization=side, account=scope.account_id)
    grants.end_all(grants.at_scope(scope.organization_id, scope.placement_id), by=by, silent=True)
    invitations.revoke_for(scope, by=by)
    session.get_one(Placement, scope.placement_id).end()
    losses.record("account", org_id=scope.organization_id, account_id=scope.account_id)


def arrive(organization_id: str, before: Scope, key: str) -> Scope:
    """Begin a stay of the account of `before` in another organization. A key in use there is a `Conflict`."""
    _require_free(organization_id, [names.key(key, "acct")])
    session = database.session()
    session.flush()
    session.add(
        Placement(
            organization_id=organization_id, account_id=before.account_id, livemode=int(before.livemode or 0), key=key
        )
    )
    session.flush()
    return scopes.of_account(organization_id, before.account_id)


def suspension_of(account_id: str) -> AccountSuspension | None:
    """The suspension that the account is under now, or `None`."""
    statement = select(AccountSuspension).where(
        AccountSuspension.account_id == account_id, AccountSuspension.ended_at.is_(None)
    )
    return database.session().scalars(statement).first()


def _administered(organization_id: str, account_id: str, by: Actor) -> Scope:
    locking.lock(organization_id)
    authority.require(by, "accounts.write", Context(organization_id))
    return scopes.of_account(organization_id, account_id)


def _record(event: str, scope: Scope, by: Actor) -> None:
    account_id = scope.account_id
    trail.record(event, by=by, subject=account_id, organization=scope.organization_id, account=account_id)


def _require_free(organization_id: str, keys: Sequence[str]) -> None:
    for some in bulk.chunks(keys):
        statement = select(Placement.key).where(
            Placement.organization_id == organization_id, Placement.key.in_(some), Placement.ended_at.is_(None)
        )
        taken = database.session().scalars(statement).first()
        if taken:
            raise Conflict(f"There is an account {taken!r} already.")


def _insert(organization_id: str, wanted: Sequence[NewAccount], ids: dict[str, str]) -> None:
    instant = clock.now()
    opened: list[bulk.Columns] = [
        {
            "id": ids[one.settings.key],
            "name": names.shown(one.settings.name),
            "country": one.settings.country,
            "livemode": int(one.livemode),
            "created_at": instant,
        }
        for one in wanted
    ]
    bulk.insert_many(Account, opened)
    stays: list[bulk.Columns] = [
        {
            "id": identifiers.placement(),
            "organization_id": organization_id,
            "account_id": ids[one.settings.key],
            "livemode": int(one.livemode),
            "key": one.settings.key,
            "started_at": instant,
        }
        for one in wanted
    ]
    bulk.insert_many(Placement, stays)
