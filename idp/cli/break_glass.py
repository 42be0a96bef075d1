"""`idp break-glass`: codes that stand in for a company's own sign-in on the day that it is down."""

import click

from idp.cli import naming
from idp.cli.door import Failure, Noun, from_stdin, operator
from idp.cli.output import Json, moment
from idp.login import breaking_glass
from idp.organizations import break_glass as codes
from idp.platform import database

break_glass = Noun(
    "break-glass", help="Codes for the day on which a company's own sign-in is down. ORG is an id or slug."
)


@break_glass.command("make")
@click.argument("organization", metavar="ORG")
def make(organization: str) -> Json:
    """Make ten new codes; they are printed this once, and the old ones are void. Every super admin is told by mail."""
    with database.writing():
        organization_id = naming.organization(organization)
        made = codes.make(organization_id, by=operator())
    return {"organization": organization_id, "codes": list(made)}


@break_glass.command("status")
@click.argument("organization", metavar="ORG")
def status(organization: str) -> Json:
    """How many codes are left, and how old they are; nobody is shown them again."""
    return _status(naming.organization(organization))


@break_glass.command("void")
@click.argument("organization", metavar="ORG")
def void(organization: str) -> Json:
    """Let no code be good any more."""
    with database.writing():
        organization_id = naming.organization(organization)
        codes.void(organization_id, by=operator())
    return _status(organization_id)


@break_glass.command("check")
@click.argument("organization", metavar="ORG")
def check(organization: str) -> Json:
    """Say whether the code on standard input could be used; it is not used up. The exit status says the same."""
    code = from_stdin("a code")
    with database.writing():
        organization_id = naming.organization(organization)
        is_good = breaking_glass.check(organization_id, code)
    answer: dict[str, Json] = {"organization": organization_id, "good": is_good}
    if not is_good:
        raise Failure(answer)
    return answer


def _status(organization_id: str) -> Json:
    found = codes.status(organization_id)
    made_at = None if found.made_at is None else moment(found.made_at)
    return {"organization": organization_id, "left": found.left, "used": found.used, "made_at": made_at}
