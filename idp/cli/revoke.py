"""`idp revoke`: everything that was issued to a person or a client, for an organization, or at all."""

from collections.abc import Callable
from dataclasses import asdict

import click

from idp.audit.trail import Actor
from idp.cli.door import Command, operator
from idp.cli.output import Json
from idp.clients import clients
from idp.oauth import mass_revocation
from idp.oauth.mass_revocation import Revoked
from idp.organizations import scopes
from idp.platform import database
from idp.platform.errors import Invalid
from idp.users import users


@click.command("revoke", cls=Command)
@click.option("--user", default="", metavar="USER", help="A person's sessions too; an id, username or address.")
@click.option("--client", default="", metavar="CLIENT", help="What a client holds, its own tokens as a machine too.")
@click.option("--org", default="", metavar="ORGANIZATION", help="What speaks for an organization; an id or slug.")
@click.option("--all", "everybody", is_flag=True, help="Everything: everybody signs in anew.")
def revoke(user: str, client: str, org: str, everybody: bool) -> Json:
    """Revoke what was issued: refresh tokens end for good, access tokens are refused within a second.

    Nobody is disabled: whoever may sign in or act as a machine gets new tokens by doing so.
    """
    if sum(map(bool, (user, client, org, everybody))) != 1:
        raise Invalid("name one of --user, --client, --org and --all")
    with database.writing():
        revoked = _of(user, client, org)(operator())
    return asdict(revoked)


def _of(user: str, client: str, org: str) -> Callable[[Actor], Revoked]:
    if user:
        user_id = users.named(user).id
        return lambda by: mass_revocation.of_person(user_id, by=by)
    if client:
        client_id = clients.named(client).id
        return lambda by: mass_revocation.of_client(client_id, by=by)
    if org:
        organization_id = scopes.organization_named(org)
        return lambda by: mass_revocation.of_organization(organization_id, by=by)
    return lambda by: mass_revocation.of_everybody(by=by)
