"""E-mail domains: claimed by organizations, proven by one at a time."""

import secrets

from sqlalchemy import select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.organizations import authority, locking
from idp.organizations.effective import Context
from idp.organizations.models import Domain
from idp.organizations.names import given_id
from idp.platform import clock, database
from idp.platform.errors import Conflict, Forbidden, Invalid, NotFound
from idp.users import names

PUBLIC = frozenset(
    [
        "aol.com",
        "gmail.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "outlook.com",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "web.de",
        "yahoo.com",
        "yandex.ru",
        "zoho.com",
    ]
)
"""Mail domains of everybody: no organization can prove that the people in them are its own."""


def claim(organization_id: str, name: str, *, by: Actor, id: str = "") -> Domain:
    """Claim a domain; `proof` of the answer goes into its DNS. Takes `sso.write`. Claiming twice changes nothing.

    `id` is for operators who bring one along.
    """
    locking.lock_open(organization_id)
    authority.require(by, "sso.write", Context(organization_id))
    normal = parse(name)
    for before in in_organization(organization_id):
        if before.name == normal:
            return before
    domain = Domain(
        id=given_id("dom", id, Domain),
        organization_id=organization_id,
        name=normal,
        proof=f"canopy-verification={secrets.token_hex(16)}",
    )
    database.session().add(domain)
    database.session().flush()
    trail.record("domain.claimed", by=by, subject=domain.id, organization=organization_id, after=normal)
    return domain


def parse(name: str) -> str:
    """The normal form of the domain `name`. Raises `Invalid` for what is none, and for mail domains of everybody."""
    normal = names.parse_address(f"postmaster@{name}").domain
    if normal in PUBLIC:
        raise Invalid(f"{normal} is a mail domain of everybody.", field="name")
    return normal


def confirm(organization_id: str, domain_id: str, *, by: Actor) -> None:
    """Take the domain as proven, on the operator's word. A `Conflict` while another organization holds it."""
    if not authority.is_unlimited(by):
        raise Forbidden("Only the operator can confirm a domain without its DNS record.")
    locking.lock_open(organization_id)
    domain = find(organization_id, domain_id)
    if domain.verified_at is not None:
        return
    if holder_of(domain.name) is not None:
        raise Conflict("Another organization holds this domain.")
    with database.or_refuse(Conflict("Another organization holds this domain.")):
        domain.verified_at = clock.now()
    trail.record("domain.verified", by=by, subject=domain.id, organization=organization_id, after=domain.name)


def release(organization_id: str, domain_id: str, *, by: Actor) -> None:
    """Give a domain up; its addresses are managed no more. Takes `sso.write`."""
    locking.lock(organization_id)
    authority.require(by, "sso.write", Context(organization_id))
    domain = find(organization_id, domain_id)
    domain.end()
    trail.record("domain.released", by=by, subject=domain.id, organization=organization_id, before=domain.name)


def find(organization_id: str, name: str) -> Domain:
    """The live domain of this organization with that id or name. Raises `NotFound`."""
    for domain in in_organization(organization_id):
        if name in (domain.id, domain.name):
            return domain
    raise NotFound("There is no such domain in this organization.")


def in_organization(organization_id: str) -> list[Domain]:
    """The live domains of this organization, by name."""
    statement = select(Domain).where(Domain.organization_id == organization_id, Domain.ended_at.is_(None))
    return list(database.session().scalars(statement.order_by(Domain.name)))


def holder_of(name: str) -> str | None:
    """The id of the organization that has proven the domain, or `None`."""
    statement = select(Domain.organization_id).where(
        Domain.name == name, Domain.verified_at.is_not(None), Domain.ended_at.is_(None)
    )
    return database.session().execute(statement).scalar()
