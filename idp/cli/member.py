"""`idp member`: people in organizations."""

from dataclasses import asdict

import click

from idp.cli import naming
from idp.cli.door import Noun, operator
from idp.cli.output import Json, moment
from idp.organizations import listings, memberships
from idp.organizations.listings import MemberLine, Page
from idp.organizations.memberships import NewMember
from idp.organizations.models import Membership
from idp.platform import database
from idp.platform.errors import Conflict
from idp.users import users

member = Noun("member", help="People in organizations. ORG is an id or slug, USER an id, username or address.")


@member.command("create")
@click.argument("organization", metavar="ORG")
@click.argument("user", metavar="USER")
@click.option("--status", type=click.Choice(memberships.STATUSES), default="active", show_default=True)
@click.option("--id", "member_id", default="", help="An id to bring along (mem_…).")
def create(organization: str, user: str, status: str, member_id: str) -> Json:
    """Take a person in; one who is a member like that already stays."""
    with database.writing():
        organization_id = naming.organization(organization)
        wanted = NewMember(users.named(user).id, status, member_id)
        made = memberships.add(organization_id, wanted, by=operator())
        if memberships.status_of(made) != status:
            raise Conflict(f"{user} is a member already, and not {status}: use `idp member update`")
    return view(made)


@member.command("get")
@click.argument("organization", metavar="ORG")
@click.argument("user", metavar="USER")
def get(organization: str, user: str) -> Json:
    """One member."""
    return view(naming.member(naming.organization(organization), user))


@member.command("list")
@click.argument("organization", metavar="ORG")
@click.option("--after", default="", help="Begin behind this id.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
def list_(organization: str, after: str, limit: int) -> Json:
    """The people of an organization in the order of their memberships' ids."""
    return [_shown(line) for line in listings.members(naming.organization(organization), Page(after, limit))]


@member.command("update")
@click.argument("organization", metavar="ORG")
@click.argument("user", metavar="USER")
@click.option("--status", type=click.Choice(["active", "suspended"]), required=True)
def update(organization: str, user: str, status: str) -> Json:
    """Suspend a membership, or make it active (again)."""
    with database.writing():
        changed = naming.member(naming.organization(organization), user)
        change = memberships.suspend if status == "suspended" else memberships.reactivate
        change(changed.organization_id, changed.id, by=operator())
    return view(changed)


@member.command("delete")
@click.argument("organization", metavar="ORG")
@click.argument("user", metavar="USER")
def delete(organization: str, user: str) -> Json:
    """Remove a person from an organization; refused for the owner."""
    with database.writing():
        removed = naming.member(naming.organization(organization), user)
        memberships.remove(removed.organization_id, removed.id, by=operator())
    return {"id": removed.id, "deleted": True}


def view(shown: Membership) -> Json:
    """A member as the command line shows them."""
    (line,) = listings.members(shown.organization_id, Page(only=shown.id))
    return {"organization": shown.organization_id, **_shown(line)}


def _shown(line: MemberLine) -> dict[str, Json]:
    return {**asdict(line), "since": moment(line.since)}
