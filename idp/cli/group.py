"""`idp group`: account groups."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from idp.cli import naming
from idp.cli.door import Noun, operator
from idp.cli.output import Json
from idp.organizations import account_groups, listings
from idp.organizations.account_groups import GroupSettings
from idp.organizations.listings import GatheringLine, Page
from idp.organizations.models import AccountGroup
from idp.platform import database
from idp.platform.errors import Conflict, NotFound

group = Noun("group", help="Account groups. GROUP is an id or ORG/KEY, ACCOUNT a key or an id.")


@group.command("create")
@click.argument("named", metavar="ORG/KEY")
@click.option("--name", default="", help="What people read.  [default: the key]")
@click.option("--account", "accounts", multiple=True, metavar="ACCOUNT", help="An account in it.")
@click.option("--id", "group_id", default="", help="An id to bring along (agrp_…).")
def create(named: str, name: str, accounts: Sequence[str], group_id: str) -> Json:
    """Make an account group; one that is so already stays."""
    by = operator()
    with database.writing():
        organization_id, key = naming.place_and_key(named)
        wanted = GroupSettings(key, name or key)
        known = _known(organization_id, key)
        if known is not None and GroupSettings(known.key, known.name) != wanted:
            raise Conflict(f"the group {named} exists and differs: use `idp group update`")
        made = known or account_groups.create(organization_id, wanted, by=by, id=group_id)
        account_groups.add(organization_id, made.id, accounts, by=by)
    return view(made)


@group.command("get")
@click.argument("named", metavar="GROUP")
def get(named: str) -> Json:
    """One account group with the keys of its accounts."""
    return view(naming.group(named))


@group.command("list")
@click.argument("organization", metavar="ORG")
def list_(organization: str) -> Json:
    """The account groups of an organization."""
    return [_shown(line) for line in listings.groups(naming.organization(organization), Page(limit=10_000))]


@group.command("update")
@click.argument("named", metavar="GROUP")
@click.option("--key", default="", help="Another key.")
@click.option("--name", default="", help="What people read.")
@click.option("--add-account", "added", multiple=True, metavar="ACCOUNT", help="An account that joins.")
@click.option("--remove-account", "removed", multiple=True, metavar="ACCOUNT", help="An account that leaves.")
def update(named: str, key: str, name: str, added: Sequence[str], removed: Sequence[str]) -> Json:
    """Change what is named and nothing else."""
    by = operator()
    with database.writing():
        changed = naming.group(named)
        organization_id = changed.organization_id
        wanted = GroupSettings(key or changed.key, name or changed.name)
        account_groups.reconfigure(organization_id, changed.id, wanted, by=by)
        account_groups.add(organization_id, changed.id, added, by=by)
        account_groups.remove_many(organization_id, changed.id, removed, by=by)
    return view(changed)


@group.command("delete")
@click.argument("named", metavar="GROUP")
def delete(named: str) -> Json:
    """Delete an account group; what was granted on it ends."""
    with database.writing():
        deleted = naming.group(named)
        account_groups.delete(deleted.organization_id, deleted.id, by=operator())
    return {"id": deleted.id, "deleted": True}


def view(shown: AccountGroup) -> Json:
    """An account group as the command line shows it."""
    (line,) = listings.groups(shown.organization_id, Page(only=shown.id))
    return {"organization": shown.organization_id, **_shown(line)}


def _shown(line: GatheringLine) -> dict[str, Json]:
    told = asdict(line)
    return {**told, "accounts": list(told.pop("holds"))}


def _known(organization_id: str, key: str) -> AccountGroup | None:
    try:
        return account_groups.find(organization_id, key)
    except NotFound:
        return None
