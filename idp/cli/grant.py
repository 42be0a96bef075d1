"""`idp grant`: who holds which role where."""

from dataclasses import asdict

import click

from idp.cli import naming
from idp.cli.door import Noun, operator
from idp.cli.output import Json, moment
from idp.organizations import grants, listings, scopes
from idp.organizations.grants import Wanted
from idp.organizations.listings import GrantLine, Page
from idp.platform import database
from idp.platform.errors import Conflict, NotFound

grant = Noun(
    "grant",
    help="Roles that are held. GRANTEE is a person (id, username, address), team:KEY or client:ID; SCOPE is an id, "
    "slug, slug/account-key or slug/group:key.",
)


@grant.command("create")
@click.argument("grantee")
@click.argument("role")
@click.argument("scope")
@click.option("--reason", default="", help="For the people who read the trail.")
@click.option("--expires", default="", metavar="TIME", help="When it ends by itself (RFC 3339).")
def create(grantee: str, role: str, scope: str, reason: str, expires: str) -> Json:
    """Give somebody a role at a scope; one that is given like that already stays."""
    expires_at = naming.instant("--expires", expires) if expires else None
    with database.writing():
        place = scopes.named(scope)
        who = naming.grantee(place.organization_id, grantee)
        made = grants.grant(Wanted(who, role, place, reason, expires_at), by=operator())
    return view(made.organization_id, made.id)


@grant.command("get")
@click.argument("grant_id", metavar="GRANT")
def get(grant_id: str) -> Json:
    """One grant that is in force, by its id."""
    return view(listings.home_of(grant_id), grant_id)


@grant.command("list")
@click.argument("scope")
@click.option("--to", "grantee", default="", metavar="GRANTEE", help="Only those to this one.")
@click.option("--here", is_flag=True, help="Only those on SCOPE itself, not all of its organization.")
@click.option("--after", default="", help="Begin behind this id.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
def list_(scope: str, grantee: str, here: bool, after: str, limit: int) -> Json:
    """The grants in force in an organization in the order of their ids."""
    place = scopes.named(scope)
    who = naming.grantee(place.organization_id, grantee).id if grantee else ""
    at = place.id if here or place.account_id or place.account_group_id else ""
    found = listings.grants(place.organization_id, Page(after, limit), grantee=who, scope=at)
    return [_shown(line) for line in found]


@grant.command("update")
@click.argument("grant_id", metavar="GRANT")
@click.option("--expires", required=True, metavar="TIME", help="When it ends by itself (RFC 3339), or `never`.")
def update(grant_id: str, expires: str) -> Json:
    """Give a grant another end: it is ended and made anew."""
    expires_at = None if expires == "never" else naming.instant("--expires", expires)
    with database.writing():
        before = grants.find(listings.home_of(grant_id), grant_id)
        if before.ended_at is not None:
            raise Conflict("the grant has ended: make another one")
        who = grants.Grantee("member" if before.member_id else "team" if before.team_id else "client", before.grantee)
        wanted = Wanted(who, before.role_key, grants.scope_of(before), before.reason, expires_at)
        made = grants.grant(wanted, by=operator(), source=before.source)
    return view(made.organization_id, made.id)


@grant.command("delete")
@click.argument("grant_id", metavar="GRANT")
def delete(grant_id: str) -> Json:
    """End a grant; what it opened is refused within a second."""
    with database.writing():
        grants.end(listings.home_of(grant_id), grant_id, by=operator())
    return {"id": grant_id, "ended": True}


def view(organization_id: str, grant_id: str) -> Json:
    """A grant as the command line shows it. Raises `NotFound` for one that has ended."""
    lines = listings.grants(organization_id, Page(only=grant_id))
    if not lines:
        raise NotFound(f"the grant {grant_id} has ended")
    return {"organization": organization_id, **_shown(lines[0])}


def _shown(line: GrantLine) -> dict[str, Json]:
    times = ("started_at", "effective_from", "expires_at")
    return {**asdict(line), **{name: moment(getattr(line, name)) for name in times}}
