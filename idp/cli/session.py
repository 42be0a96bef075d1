"""`idp session`: who is signed in, and ending it."""

from dataclasses import asdict

import click

from idp.cli import output
from idp.cli.door import Noun, operator
from idp.cli.output import Json, moment
from idp.platform import database
from idp.platform.errors import Invalid
from idp.sessions import listings, people
from idp.sessions.listings import SessionLine
from idp.users import users

session = Noun("session", help="People who are signed in in a browser. USER is an id, username or address.")


@session.command("list")
@click.option("--user", "name", default="", metavar="USER", help="Only of this person.")
@click.option("--after", default="", help="Begin behind this id.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
def list_(name: str, after: str, limit: int) -> Json:
    """Sessions that can be used, in the order of their ids."""
    found = listings.sessions(users.named(name).id if name else "", after=after, limit=limit)
    if len(found) == limit:
        output.tell(f"There may be more: --after {found[-1].id}")
    return [_shown(line) for line in found]


@session.command("revoke")
@click.argument("session_id", metavar="[SESSION]", default="")
@click.option("--user", "name", default="", metavar="USER", help="Every session of this person.")
def revoke(session_id: str, name: str) -> Json:
    """End one session, or all of a person; what was issued in them is superseded."""
    if bool(session_id) == bool(name):
        raise Invalid("name either a session or --user")
    with database.writing():
        if name:
            ended = people.end_all_of(users.named(name).id, because="revoked", by=operator())
        else:
            ended = int(people.end(session_id, because="revoked", by=operator()))
    return {"ended": ended}


def _shown(line: SessionLine) -> dict[str, Json]:
    return {
        **asdict(line),
        "created_at": moment(line.created_at),
        "last_seen_at": moment(line.last_seen_at),
        "methods": list(line.methods),
    }
