"""`idp team`: teams of members."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from idp.cli import naming
from idp.cli.door import Noun, operator
from idp.cli.output import Json
from idp.organizations import listings, teams
from idp.organizations.listings import GatheringLine, Page
from idp.organizations.models import Team
from idp.organizations.teams import TeamSettings
from idp.platform import database
from idp.platform.errors import Conflict, NotFound

team = Noun("team", help="Teams. TEAM is an id or ORG/KEY, USER a member's id, username or address.")


@team.command("create")
@click.argument("named", metavar="ORG/KEY")
@click.option("--name", default="", help="What people read.  [default: the key]")
@click.option("--member", "members", multiple=True, metavar="USER", help="A member in it.")
@click.option("--id", "team_id", default="", help="An id to bring along (team_…).")
def create(named: str, name: str, members: Sequence[str], team_id: str) -> Json:
    """Make a team; one that is so already stays."""
    by = operator()
    with database.writing():
        organization_id, key = naming.place_and_key(named)
        wanted = TeamSettings(key, name or key)
        known = _known(organization_id, key)
        if known is not None and TeamSettings(known.key, known.name) != wanted:
            raise Conflict(f"the team {named} exists and differs: use `idp team update`")
        made = known or teams.create(organization_id, wanted, by=by, id=team_id)
        teams.add(organization_id, made.id, _ids(organization_id, members), by=by)
    return view(made)


@team.command("get")
@click.argument("named", metavar="TEAM")
def get(named: str) -> Json:
    """One team with the usernames of its members."""
    return view(naming.team(named))


@team.command("list")
@click.argument("organization", metavar="ORG")
def list_(organization: str) -> Json:
    """The teams of an organization."""
    return [_shown(line) for line in listings.teams(naming.organization(organization), Page(limit=10_000))]


@team.command("update")
@click.argument("named", metavar="TEAM")
@click.option("--key", default="", help="Another key.")
@click.option("--name", default="", help="What people read.")
@click.option("--add-member", "added", multiple=True, metavar="USER", help="A member who joins.")
@click.option("--remove-member", "removed", multiple=True, metavar="USER", help="A member who leaves.")
def update(named: str, key: str, name: str, added: Sequence[str], removed: Sequence[str]) -> Json:
    """Change what is named and nothing else."""
    by = operator()
    with database.writing():
        changed = naming.team(named)
        organization_id = changed.organization_id
        wanted = TeamSettings(key or changed.key, name or changed.name)
        teams.reconfigure(organization_id, changed.id, wanted, by=by)
        teams.add(organization_id, changed.id, _ids(organization_id, added), by=by)
        teams.remove_many(organization_id, changed.id, _ids(organization_id, removed), by=by)
    return view(changed)


@team.command("delete")
@click.argument("named", metavar="TEAM")
def delete(named: str) -> Json:
    """Delete a team; what was granted to it ends."""
    with database.writing():
        deleted = naming.team(named)
        teams.delete(deleted.organization_id, deleted.id, by=operator())
    return {"id": deleted.id, "deleted": True}


def view(shown: Team) -> Json:
    """A team as the command line shows it."""
    (line,) = listings.teams(shown.organization_id, Page(only=shown.id))
    return {"organization": shown.organization_id, **_shown(line)}


def _shown(line: GatheringLine) -> dict[str, Json]:
    told = asdict(line)
    return {**told, "members": list(told.pop("holds"))}


def _ids(organization_id: str, members: Sequence[str]) -> list[str]:
    return [naming.member(organization_id, text).id for text in members]


def _known(organization_id: str, key: str) -> Team | None:
    try:
        return teams.find(organization_id, key)
    except NotFound:
        return None
