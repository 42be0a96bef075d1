"""Organizations: founded with their owner, renamed, suspended, closed."""

import re
from dataclasses import dataclass

from sqlalchemy import select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.clients import clients
from idp.feed import losses
from idp.organizations import authority, domains, locking, memberships, names, ownership, scopes
from idp.organizations.effective import Context
from idp.organizations.memberships import NewMember
from idp.organizations.models import Organization, OrganizationSuspension, Placement, Slug
from idp.platform import clock, database
from idp.platform.errors import Conflict, Forbidden, Invalid

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")
RESERVED = frozenset(
    [
        "admin",
        "api",
        "branding",
        "canopy",
        "group",
        "login",
        "logout",
        "me",
        "new",
        "oauth2",
        "operator",
        "org",
        "scim",
        "select",
        "setup",
        "signup",
        "sso",
        "static",
    ]
)


@dataclass(frozen=True)
class OrganizationSettings:
    """What an organization is called: `slug` in addresses (up to 48 of a-z, 0-9 and -), `name` to people."""

    slug: str
    name: str

    def __post_init__(self) -> None:
        if not _SLUG.fullmatch(self.slug) or self.slug in RESERVED:
            raise Invalid("A slug is up to 48 of a-z, 0-9 and -, and no reserved word.", field="slug")
        names.shown(self.name)


def found(wanted: OrganizationSettings, owner: str, *, by: Actor, id: str = "", member_id: str = "") -> Organization:
    """Found an organization that the person `owner` (`usr_…`) owns. By the operator.

    Raises `Conflict` when the slug is or ever was another's, `ownership.NotUsable` when the owner could not act.
    """
    _require_operator(by)
    organization = Organization(
        id=names.given_id("org", id, Organization), slug=wanted.slug, name=names.shown(wanted.name)
    )
    with database.or_refuse(_not_free(wanted.slug)):
        database.session().add(organization)
    _take_slug(organization.id, wanted.slug)
    trail.record("organization.created", by=by, subject=organization.id, organization=organization.id, after=wanted)
    member = memberships.add(organization.id, NewMember(owner, id=member_id), by=by)
    ownership.begin(organization.id, member.id)
    trail.record(
        "organization.owner.changed", by=by, subject=organization.id, organization=organization.id, after=member.id
    )
    return organization


def reconfigure(organization_id: str, wanted: OrganizationSettings, *, by: Actor) -> bool:
    """Rename; whether that changed anything. Takes `organization.write`. The old slug stays this organization's."""
    locking.lock_open(organization_id)
    authority.require(by, "organization.write", Context(organization_id))
    organization = find(organization_id)
    before = OrganizationSettings(organization.slug, organization.name)
    if before == wanted:
        return False
    if wanted.slug != before.slug:
        _take_slug(organization_id, wanted.slug)
    organization.slug, organization.name = wanted.slug, names.shown(wanted.name)
    event = "organization.changed" if wanted.slug == before.slug else "organization.renamed"
    trail.record(event, by=by, subject=organization_id, organization=organization_id, before=before, after=wanted)
    return True


def suspend(organization_id: str, *, by: Actor) -> None:
    """Let nothing count in the organization. By the operator; twice changes nothing."""
    _require_operator(by)
    locking.lock(organization_id)
    if suspension_of(organization_id) is None:
        _rest(organization_id)
        trail.record("organization.suspended", by=by, subject=organization_id, organization=organization_id)


def resume(organization_id: str, *, by: Actor) -> None:
    """End the suspension. By the operator; twice changes nothing; what is closed stays closed."""
    _require_operator(by)
    locking.lock_open(organization_id)
    suspension = suspension_of(organization_id)
    if suspension is not None:
        suspension.end()
        trail.record("organization.resumed", by=by, subject=organization_id, organization=organization_id)


def close(organization_id: str, *, by: Actor) -> None:
    """Close an organization for good. By the operator, once its accounts were closed or moved away.

    Its domains are released: the people in them, and another organization, need them.
    """
    _require_operator(by)
    locking.lock(organization_id)
    organization = find(organization_id)
    if organization.closed_at is not None:
        return
    stays = select(Placement.id).where(Placement.organization_id == organization_id, Placement.ended_at.is_(None))
    if database.session().execute(stays).first():
        raise Conflict("Accounts are still open here: close them or move them away first.")
    if suspension_of(organization_id) is None:
        _rest(organization_id)
    for domain in domains.in_organization(organization_id):
        domains.release(organization_id, domain.id, by=by)
    organization.closed_at = clock.now()
    trail.record("organization.closed", by=by, subject=organization_id, organization=organization_id)


def find(name: str) -> Organization:
    """The organization with that id or slug (former ones too). Raises `NotFound`."""
    return database.session().get_one(Organization, scopes.organization_named(name))


def suspension_of(organization_id: str) -> OrganizationSuspension | None:
    """The suspension that the organization is under now, or `None`."""
    statement = select(OrganizationSuspension).where(
        OrganizationSuspension.organization_id == organization_id, OrganizationSuspension.ended_at.is_(None)
    )
    return database.session().scalars(statement).first()


def _rest(organization_id: str) -> None:
    database.session().add(OrganizationSuspension(organization_id=organization_id))
    losses.record("organization", org_id=organization_id)
    for client_id in clients.ids_owned(organization_id):  # whose tokens need not speak for an organization
        losses.record("client", client_id=client_id)


def _take_slug(organization_id: str, slug: str) -> None:
    taken = database.session().get(Slug, slug)
    if taken is None:
        with database.or_refuse(_not_free(slug)):
            database.session().add(Slug(slug=slug, organization_id=organization_id))
    elif taken.organization_id != organization_id:
        raise _not_free(slug)


def _not_free(slug: str) -> Conflict:
    return Conflict(f"The slug {slug!r} is not free.")


def _require_operator(by: Actor) -> None:
    if not authority.is_unlimited(by):
        raise Forbidden("Only the operator of the installation can do this.")
