"""`idp setup`: the first run."""

from urllib.parse import urlencode

import click

from idp.cli.door import Command, operator
from idp.cli.output import Json, moment
from idp.platform import database
from idp.platform.settings import settings
from idp.users import first_run


@click.command("setup", cls=Command)
def setup() -> Json:
    """Print the one-time link by which the first operator is made; the last one that is printed counts, for a day.

    Refused once there was an operator: use `idp operator add`.
    """
    with database.writing():
        link = first_run.open_door(by=operator())
    address = f"{settings().issuer}/setup?{urlencode({'token': link.token})}"
    return {"link": address, "expires_at": moment(link.expires_at)}
