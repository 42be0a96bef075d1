"""`idp account`: accounts of organizations."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from idp.cli import naming
from idp.cli.door import Noun, operator
from idp.cli.output import Json
from idp.organizations import accounts, listings, moves, scopes
from idp.organizations.accounts import AccountSettings, NewAccount
from idp.organizations.listings import AccountLine, Page
from idp.organizations.moves import CarriedOver
from idp.organizations.scopes import Scope
from idp.platform import database
from idp.platform.errors import Conflict, NotFound

account = Noun("account", help="Accounts. ACCOUNT is an id or ORG/KEY, ORG an id or slug.")


@account.command("create")
@click.argument("named", metavar="ORG/KEY")
@click.option("--name", default="", help="What people read.  [default: the key]")
@click.option("--country", required=True, help="Two capital letters, e.g. DE.")
@click.option("--live/--sandbox", default=True, show_default=True, help="Fixed for good.")
@click.option("--id", "account_id", default="", help="An id to bring along (acct_…).")
def create(named: str, name: str, country: str, live: bool, account_id: str) -> Json:
    """Open an account; one that is so already stays."""
    with database.writing():
        organization_id, key = naming.place_and_key(named)
        wanted = AccountSettings(key, name or key, country)
        known = _known(organization_id, key)
        if known is None:
            made = accounts.open_account(organization_id, NewAccount(wanted, live, account_id), by=operator())
            return view(scopes.of_account(organization_id, made))
        line = _line(known)
        if (line.name, line.country, line.livemode) != (wanted.name, wanted.country, live):
            raise Conflict(f"the account {named} exists and differs: use `idp account update`")
    return view(known)


@account.command("get")
@click.argument("named", metavar="ACCOUNT")
def get(named: str) -> Json:
    """One account."""
    return view(naming.account(named))


@account.command("list")
@click.argument("organization", metavar="ORG")
@click.option("--after", default="", help="Begin behind this id.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
def list_(organization: str, after: str, limit: int) -> Json:
    """The accounts of an organization in the order of their ids."""
    return [asdict(line) for line in listings.accounts(naming.organization(organization), Page(after, limit))]


@account.command("update")
@click.argument("named", metavar="ACCOUNT")
@click.option("--key", default="", help="Another key.")
@click.option("--name", default="", help="What people read.")
@click.option("--country", default="", help="Two capital letters, e.g. DE.")
@click.option("--status", type=click.Choice(["active", "suspended"]), help="Whether anything counts in it.")
def update(named: str, key: str, name: str, country: str, status: str | None) -> Json:
    """Change what is named and nothing else."""
    by = operator()
    with database.writing():
        scope = naming.account(named)
        line = _line(scope)
        wanted = AccountSettings(key or line.key, name or line.name, country or line.country)
        accounts.reconfigure(scope.organization_id, scope.account_id, wanted, by=by)
        if status is not None:
            change = accounts.suspend if status == "suspended" else accounts.resume
            change(scope.organization_id, scope.account_id, by=by)
    return view(scope)


@account.command("move")
@click.argument("named", metavar="ACCOUNT")
@click.option("--to", "target", required=True, metavar="ORG", help="The organization that it goes to.")
@click.option("--key", default="", help="Its key there.  [default: its key here]")
@click.option("--carry-grant", "grants", multiple=True, metavar="GRANT", help="A grant that goes along, by its id.")
@click.option("--group", "groups", multiple=True, metavar="KEY", help="A group there that it joins.")
def move(named: str, target: str, key: str, grants: Sequence[str], groups: Sequence[str]) -> Json:
    """Move an account; its grants, groups and open invitations end unless they are carried over by name."""
    by = operator()
    with database.writing():
        scope = naming.account(named)
        target_id = naming.organization(target)
        offered = moves.offer(scope.organization_id, scope.account_id, target_id, by=by)
        carried = CarriedOver(tuple(grants), tuple(groups))
        there = moves.accept(target_id, offered.id, by=by, key=key, carried=carried)
    return view(there)


@account.command("delete")
@click.argument("named", metavar="ACCOUNT")
def delete(named: str) -> Json:
    """Close an account for good; what was granted on it ends."""
    with database.writing():
        scope = naming.account(named)
        accounts.close(scope.organization_id, scope.account_id, by=operator())
    return {"id": scope.account_id, "deleted": True}


def view(scope: Scope) -> Json:
    """An account as the command line shows it."""
    return {"organization": scope.organization_id, **asdict(_line(scope))}


def _line(scope: Scope) -> AccountLine:
    (line,) = listings.accounts(scope.organization_id, Page(only=scope.account_id))
    return line


def _known(organization_id: str, key: str) -> Scope | None:
    try:
        return scopes.of_account(organization_id, key)
    except NotFound:
        return None
