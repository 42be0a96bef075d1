"""Where a role is granted: an organization, one of its accounts, or one of its account groups."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from idp.organizations.effective import Context
from idp.organizations.models import AccountGroup, Organization, Placement, Slug
from idp.platform import bulk, database
from idp.platform.errors import NotFound


@dataclass(frozen=True)
class Scope:
    """A scope in `organization_id`: an account by its present stay there, a group, or (both empty) all of it."""

    organization_id: str
    placement_id: str = ""
    account_id: str = ""
    account_group_id: str = ""
    livemode: bool | None = None

    @property
    def id(self) -> str:
        """What `role_grants.scope` holds."""
        return self.placement_id or self.account_group_id or self.organization_id

    @property
    def context(self) -> Context:
        """Where to ask who holds what, for this scope."""
        return Context(self.organization_id, self.account_id, self.account_group_id)

    @property
    def modes(self) -> tuple[str, ...]:
        """In which modes a role counts here: that of the account, else both."""
        if self.livemode is None:
            return ("live", "sandbox")
        return ("live",) if self.livemode else ("sandbox",)


def of_organization(organization_id: str) -> Scope:
    """The whole organization."""
    return Scope(organization_id)


def of_account(organization_id: str, name: str) -> Scope:
    """The account of this organization with the id or key `name`. Raises `NotFound`, also for others' accounts."""
    place = (
        database.session()
        .execute(
            select(Placement).where(
                Placement.organization_id == organization_id,
                Placement.ended_at.is_(None),
                (Placement.account_id == name) | (Placement.key == name),
            )
        )
        .scalars()
        .first()
    )
    if place is None:
        raise NotFound(f"There is no account {name!r} in this organization.")
    return Scope(organization_id, place.id, place.account_id, livemode=bool(place.livemode))


def of_accounts(organization_id: str, names: Collection[str]) -> list[Scope]:
    """The accounts of this organization with these ids or keys. Raises `NotFound` naming the first that is none."""
    found: dict[str, Scope] = {}
    for some in bulk.chunks(sorted(set(names))):
        statement = select(Placement.id, Placement.account_id, Placement.key, Placement.livemode).where(
            Placement.organization_id == organization_id,
            Placement.ended_at.is_(None),
            Placement.account_id.in_(some) | Placement.key.in_(some),
        )
        for placement_id, account_id, key, livemode in database.session().execute(statement):
            found[account_id] = found[key] = Scope(organization_id, placement_id, account_id, livemode=bool(livemode))
    if missing := sorted(set(names) - found.keys()):
        raise NotFound(f"There is no account {missing[0]!r} in this organization.")
    return [found[name] for name in names]


def of_group(organization_id: str, name: str) -> Scope:
    """The account group of this organization with the id or key `name`. Raises `NotFound`."""
    group_id = (
        database.session()
        .execute(
            select(AccountGroup.id).where(
                AccountGroup.organization_id == organization_id,
                AccountGroup.ended_at.is_(None),
                (AccountGroup.id == name) | (AccountGroup.key == name),
            )
        )
        .scalars()
        .first()
    )
    if group_id is None:
        raise NotFound(f"There is no account group {name!r} in this organization.")
    return Scope(organization_id, account_group_id=group_id)


def of_grant(organization_id: str, placement_id: str | None, account_group_id: str | None) -> Scope:
    """The scope that a row names by its columns; an account's former stay is a scope too."""
    if placement_id is None:
        return Scope(organization_id, account_group_id=account_group_id or "")
    place = database.session().get_one(Placement, placement_id)
    return Scope(organization_id, place.id, place.account_id, livemode=bool(place.livemode))


def named(text: str) -> Scope:
    """The scope that an operator writes: an id, or `slug`, `slug/account-key`, `slug/group:key`. Raises `NotFound`."""
    head, _, tail = text.partition("/")
    if tail:
        organization_id = organization_named(head)
        kind, colon, key = tail.partition(":")
        if colon and kind == "group":
            return of_group(organization_id, key)
        return of_account(organization_id, tail)
    if text.startswith("acct_"):
        return of_account(_owner(Placement, Placement.account_id, text), text)
    if text.startswith("agrp_"):
        return of_group(_owner(AccountGroup, AccountGroup.id, text), text)
    return of_organization(organization_named(text))


def organization_named(name: str) -> str:
    """The id of the organization with the id or slug `name`; a slug of former times leads to it too."""
    known = select(Organization.id).where((Organization.id == name) | (Organization.slug == name))
    former = select(Slug.organization_id).where(Slug.slug == name)
    session = database.session()
    found = session.execute(known).scalar() or session.execute(former).scalar()
    if found is None:
        raise NotFound(f"There is no organization {name!r}.")
    return str(found)


def _owner(table: type[Placement | AccountGroup], column: InstrumentedAttribute[str], wanted: str) -> str:
    live = select(table.organization_id).where(column == wanted, table.ended_at.is_(None))
    found = database.session().execute(live).scalar()
    if found is None:
        raise NotFound(f"There is no {wanted!r}.")
    return str(found)
