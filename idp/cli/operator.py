"""`idp operator`: who runs the installation."""

import click

from idp.cli import door
from idp.cli.door import Noun
from idp.cli.output import Json, moment
from idp.platform import database
from idp.users import operators, users

operator = Noun("operator", help="People who run the installation. USER is an id, username or address.")


@operator.command("add")
@click.argument("name", metavar="USER")
@click.option("--role", type=click.Choice(operators.ROLES), default="admin", show_default=True)
def add(name: str, role: str) -> Json:
    """Let a person run the installation, as `admin` or as `support`; another role is replaced."""
    with database.writing():
        person = users.named(name)
        operators.add(person, role, by=door.operator())
    return {"id": person.id, "username": person.username, "role": role}


@operator.command("remove")
@click.argument("name", metavar="USER")
def remove(name: str) -> Json:
    """Let a person run the installation no longer."""
    with database.writing():
        person = users.named(name)
        operators.remove(person, by=door.operator())
    return {"id": person.id, "username": person.username, "role": None}


@operator.command("list")
def list_() -> Json:
    """Everyone who runs the installation."""
    return [
        {"id": post.user_id, "username": post.username, "role": post.role, "since": moment(post.since)}
        for post in operators.everyone()
    ]
