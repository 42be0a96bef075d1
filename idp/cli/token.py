"""`idp token`: what tokens would say."""

import json
from collections.abc import Sequence

import click

from idp.cli.door import Noun
from idp.cli.output import Worded
from idp.clients import clients
from idp.clients.registered import RegisteredClient
from idp.oauth import active_clients, preview
from idp.oauth.preview import Preview, Wanted
from idp.organizations import scopes
from idp.organizations.effective import Context
from idp.platform.errors import Conflict, Invalid
from idp.users import users

token = Noun("token", help="Tokens.")

_OF_PEOPLE = "openid profile email"


@token.command("preview")
@click.argument("client_id", metavar="CLIENT")
@click.option("--user", "who", default="", metavar="USER", help="Whom it is about.  [default: the client itself]")
@click.option("--context", "where", default="", metavar="SCOPE", help="An organization or account to act in.")
@click.option(
    "--scope", default="", metavar="SCOPES", help="Separated by blanks; with --user without: openid profile email."
)
@click.option("--resource", "resources", multiple=True, metavar="URI", help="The API that the token is for.")
def show(client_id: str, who: str, where: str, scope: str, resources: Sequence[str]) -> Worded:
    """Show what the tokens of a client would say now, if the person signed in and agreed to everything.

    Nothing is signed or written. SCOPE is an id, slug or slug/account-key.
    """
    client = _usable(client_id)
    wanted = Wanted(tuple(scope.split()) or None, tuple(resources), _context(where))
    if who:
        wanted = Wanted(wanted.scope or tuple(_OF_PEOPLE.split()), wanted.resources, wanted.named)
        return _shown(preview.for_person(client, users.named(who).id, wanted))
    return _shown(preview.for_machine(client, wanted))


def _usable(client_id: str) -> RegisteredClient:
    found = active_clients.find(clients.named(client_id).id)
    if found is None:
        raise Conflict(f"the client {client_id} is disabled: it gets no tokens")
    return found


def _context(where: str) -> Context | None:
    context = scopes.named(where).context if where else None
    if context is not None and context.account_group_id:
        raise Invalid("tokens speak for an organization or an account, not for a group", field="--context")
    return context


def _shown(said: Preview) -> Worded:
    parts = {"access_token": said.access_token, "id_token": said.id_token, "userinfo": said.userinfo}
    told = {name: part for name, part in parts.items() if part}
    return Worded(
        told, "\n\n".join(f"{name}\n{json.dumps(part, indent=2, ensure_ascii=False)}" for name, part in told.items())
    )
