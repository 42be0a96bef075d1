"""`idp domain`: e-mail domains of organizations."""

import click

from idp.cli import naming
from idp.cli.door import Noun, operator
from idp.cli.output import Json, moment
from idp.organizations import domains
from idp.organizations.models import Domain
from idp.platform import database

domain = Noun("domain", help="E-mail domains that organizations have proven. ORG is an id or slug.")

_verified = click.option("--verified", is_flag=True, help="Take it as proven, on the operator's word.")


@domain.command("create")
@click.argument("organization", metavar="ORG")
@click.argument("name", metavar="DOMAIN")
@click.option("--id", "domain_id", default="", help="An id to bring along (dom_…).")
@_verified
def create(organization: str, name: str, domain_id: str, verified: bool) -> Json:
    """Claim a domain; the answer says which TXT record proves it. One that is claimed already stays."""
    by = operator()
    with database.writing():
        organization_id = naming.organization(organization)
        made = domains.claim(organization_id, name, by=by, id=domain_id)
        if verified:
            domains.confirm(organization_id, made.id, by=by)
    return view(made)


@domain.command("get")
@click.argument("organization", metavar="ORG")
@click.argument("name", metavar="DOMAIN")
def get(organization: str, name: str) -> Json:
    """One domain."""
    return view(_named(organization, name))


@domain.command("list")
@click.argument("organization", metavar="ORG")
def list_(organization: str) -> Json:
    """The domains of an organization."""
    return [view(one) for one in domains.in_organization(naming.organization(organization))]


@domain.command("update")
@click.argument("organization", metavar="ORG")
@click.argument("name", metavar="DOMAIN")
@_verified
def update(organization: str, name: str, verified: bool) -> Json:
    """Take a claimed domain as proven."""
    with database.writing():
        changed = _named(organization, name)
        if verified:
            domains.confirm(changed.organization_id, changed.id, by=operator())
    return view(changed)


@domain.command("delete")
@click.argument("organization", metavar="ORG")
@click.argument("name", metavar="DOMAIN")
def delete(organization: str, name: str) -> Json:
    """Give a domain up; its addresses are managed no more."""
    with database.writing():
        released = _named(organization, name)
        domains.release(released.organization_id, released.id, by=operator())
    return {"id": released.id, "name": released.name, "deleted": True}


def view(shown: Domain) -> Json:
    """A domain as the command line shows it; `proof` is the text of its TXT record."""
    return {
        "id": shown.id,
        "organization": shown.organization_id,
        "name": shown.name,
        "verified": shown.verified_at is not None,
        "verified_at": moment(shown.verified_at),
        "mode": shown.mode,
        "proof": shown.proof,
    }


def _named(organization: str, name: str) -> Domain:
    return domains.find(naming.organization(organization), domains.parse(name) if "." in name else name)
