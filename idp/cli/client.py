"""`idp client`: programs that ask for tokens, and their secrets."""

import json
from collections.abc import Sequence

import click

from idp.cli import naming
from idp.cli.door import Noun, from_stdin, operator
from idp.cli.output import Json, moment
from idp.clients import clients, metadata, secrets, sectors
from idp.clients.clients import KINDS, ClientContext, ClientSettings
from idp.clients.models import OPERATOR, Client
from idp.feed import acknowledgements, positions
from idp.organizations import scopes
from idp.platform import database
from idp.platform.errors import Conflict, Invalid, NotFound

client = Noun("client", help="Clients: applications and machines. CLIENT is a client id, ORGANIZATION an id or slug.")

_set = click.option(
    "--set", "said", multiple=True, metavar="NAME=VALUE", help="Metadata; VALUE as JSON, or else as it stands."
)
_context = click.option(
    "--context",
    metavar="CONTEXT",
    help=f"What tokens speak for: {', '.join(KINDS[:-1])}, or a scope (slug/account-key).",
)
_enabled_for = click.option(
    "--enabled-for", multiple=True, metavar="ORGANIZATION", help="Where the client is offered; `all` for everywhere."
)
_redirect_uris = click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where answers may be sent.")


@client.command("create")
@click.argument("client_id", default="", metavar="[CLIENT]")
@click.option("--name", default="", help="What people read.")
@click.option("--organization", default="", help="Whose client it is.  [default: the operator's]")
@_redirect_uris
@_set
@_context
@_enabled_for
@click.option("--first-party", is_flag=True, help="It is the operator's own application.")
@click.option("--secret-stdin", is_flag=True, help="Read its secret from standard input instead of making one.")
def create(
    client_id: str,
    name: str,
    organization: str,
    redirect_uris: Sequence[str],
    said: Sequence[str],
    context: str | None,
    enabled_for: Sequence[str],
    first_party: bool,
    secret_stdin: bool,
) -> Json:
    """Register a client. Its secret, if it uses one, is printed this once; a client that is so already stays."""
    given = from_stdin("a secret") if secret_stdin else ""
    by = operator()
    named = _named(said, name, redirect_uris)
    seen = sectors.look(named) if _known(client_id) is None else {}
    with database.writing():
        owner = scopes.organization_named(organization) if organization else OPERATOR
        wanted = ClientSettings(named, _context_named(context or "none"), _offered(enabled_for), first_party)
        known = _known(client_id)
        if known is not None:
            _require_same(known, owner, wanted)
            return view(known)
        made = clients.create(wanted, by=by, owner=owner, id=client_id, sectors=seen)
        secret = secrets.add(made, by=by, given=given).secret if _uses_secret(made) else None
    return view(made) | ({"client_secret": secret} if secret and not given else {})


@client.command("get")
@click.argument("client_id", metavar="CLIENT")
def get(client_id: str) -> Json:
    """One client; of its secrets all but their text. Of one that serves an API, how far its instances have followed."""
    found = clients.named(client_id)
    shown = view(found)
    return shown | ({"followers": _followers(found.id)} if shown.get("serves") else {})


@client.command("list")
@click.option("--organization", default="", help="Only this organization's own.")
@click.option("--after", default="", help="Begin behind this id.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
def list_(organization: str, after: str, limit: int) -> Json:
    """Clients in the order of their ids."""
    owner = scopes.organization_named(organization) if organization else None
    return [
        {"client_id": one.id, "name": one.name, "owner": one.owner, "context": one.context}
        for one in clients.owned(owner, after=after, limit=limit)
    ]


@client.command("update")
@click.argument("client_id", metavar="CLIENT")
@click.option("--name", default="", help="What people read.")
@_redirect_uris
@_set
@click.option("--unset", multiple=True, metavar="NAME", help="Metadata that goes.")
@_context
@_enabled_for
@click.option("--first-party/--third-party", default=None, help="Whether it is the operator's own application.")
def update(
    client_id: str,
    name: str,
    redirect_uris: Sequence[str],
    said: Sequence[str],
    unset: Sequence[str],
    context: str | None,
    enabled_for: Sequence[str],
    first_party: bool | None,
) -> Json:
    """Change what is named and nothing else; --redirect-uri and --enabled-for replace the whole list."""
    named = _named(said, name, redirect_uris)
    was = clients.settings_of(clients.named(client_id)).metadata
    seen = sectors.look(_changed(was, named, unset), was)
    with database.writing():
        changed = clients.named(client_id)
        before = clients.settings_of(changed)
        wanted = ClientSettings(
            _changed(before.metadata, named, unset),
            _context_named(context) if context else before.context,
            _offered(enabled_for) if enabled_for else before.enabled_for,
            before.first_party if first_party is None else first_party,
        )
        clients.reconfigure(changed, wanted, by=operator(), sectors=seen)
    return view(changed)


@client.command("switch")
@click.argument("client_id", metavar="CLIENT")
@click.argument("organization")
@click.option("--on/--off", required=True, default=None, help="Whether the client is usable there.")
def switch(client_id: str, organization: str, on: bool) -> Json:
    """Switch an operator's client on or off in one organization."""
    with database.writing():
        switched = clients.named(client_id)
        organization_id = scopes.organization_named(organization)
        clients.switch(switched, organization_id, on=on, by=operator())
    return {"client_id": client_id, "organization": organization_id, "on": on}


@client.command("disable")
@click.argument("client_id", metavar="CLIENT")
def disable(client_id: str) -> Json:
    """Let a client do nothing anywhere; its tokens are refused within a second."""
    with database.writing():
        disabled = clients.named(client_id)
        clients.disable(disabled, by=operator())
    return view(disabled)


@client.command("enable")
@click.argument("client_id", metavar="CLIENT")
def enable(client_id: str) -> Json:
    """Let a disabled client act again."""
    with database.writing():
        enabled = clients.named(client_id)
        clients.enable(enabled, by=operator())
    return view(enabled)


@client.command("delete")
@click.argument("client_id", metavar="CLIENT")
def delete(client_id: str) -> Json:
    """Delete a client with its secrets; its id is never used again."""
    with database.writing():
        clients.delete(clients.named(client_id), by=operator())
    return {"client_id": client_id, "deleted": True}


@client.group("secret")
def secret() -> None:
    """Secrets of a client: two may live at a time, so that one can be replaced without a gap."""


@secret.command("add")
@click.argument("client_id", metavar="CLIENT")
@click.option("--secret-stdin", is_flag=True, help="Read the secret from standard input instead of making one.")
def add_secret(client_id: str, secret_stdin: bool) -> Json:
    """Give a client another secret; one that is made here is printed this once."""
    given = from_stdin("a secret") if secret_stdin else ""
    with database.writing():
        minted = secrets.add(clients.named(client_id), by=operator(), given=given)
    shown = {} if given else {"client_secret": minted.secret}
    return {"client_id": client_id, "secret_id": minted.secret_id} | shown


@secret.command("end")
@click.argument("client_id", metavar="CLIENT")
@click.argument("secret_id", metavar="SECRET")
def end_secret(client_id: str, secret_id: str) -> Json:
    """Let a secret, named by its id, open nothing any more."""
    with database.writing():
        secrets.end(clients.named(client_id), secret_id, by=operator())
    return {"client_id": client_id, "secret_id": secret_id, "ended": True}


def view(shown: Client) -> dict[str, Json]:
    """A client as the command line shows it: its metadata, and of its secrets all but their text."""
    said = clients.settings_of(shown)
    return {
        "client_id": shown.id,
        "owner": shown.owner,
        **said.metadata,
        "context": _context_shown(said.context),
        "enabled_for": "all" if said.enabled_for is None else sorted(said.enabled_for),
        "first_party": said.first_party,
        "disabled": clients.is_disabled(shown.id),
        "secrets": [
            {"id": one.id, "created_at": moment(one.created_at), "last_used_at": moment(one.last_used_at)}
            for one in secrets.of(shown.id)
        ],
        "created_at": moment(shown.created_at),
    }


def _followers(client_id: str) -> Json:
    head = positions.head()
    return [
        {
            "instance": one.instance,
            "position": one.position,
            "behind": one.position < head,
            "reached_at": moment(one.reached_at),
            "seen_at": moment(one.seen_at),
        }
        for one in acknowledgements.of_client(client_id)
    ]


def _context_shown(context: ClientContext) -> Json:
    if context.kind != clients.FIXED:
        return context.kind
    return {"organization": context.organization_id, "account": context.account_id}


def _context_named(text: str) -> ClientContext:
    if text in KINDS[:-1]:
        return ClientContext(text)
    scope = scopes.named(text)
    if scope.account_group_id:
        raise Invalid("a client speaks for an organization or one account, not for a group", field="context")
    return ClientContext(clients.FIXED, scope.organization_id, scope.account_id or None)


def _offered(names: Sequence[str]) -> frozenset[str] | None:
    if not names or "all" in names:
        return None
    return frozenset(scopes.organization_named(name) for name in names)


def _named(said: Sequence[str], name: str, redirect_uris: Sequence[str]) -> dict[str, metadata.Json]:
    """The metadata that was named, by options of its own or by `--set`."""
    named = {one: _value(value) for one, value in naming.pairs("--set", said)}
    named |= {"client_name": name} if name else {}
    return named | ({"redirect_uris": list(redirect_uris)} if redirect_uris else {})


def _changed(
    before: metadata.Metadata, named: dict[str, metadata.Json], unset: Sequence[str]
) -> dict[str, metadata.Json]:
    return {one: value for one, value in {**before, **named}.items() if one not in unset}


def _value(text: str) -> metadata.Json:
    try:
        value: metadata.Json = json.loads(text)
    except ValueError:
        return text
    return value


def _uses_secret(made: Client) -> bool:
    complete = metadata.with_defaults(clients.settings_of(made).metadata)
    return complete["token_endpoint_auth_method"] in metadata.SECRET_METHODS


def _known(client_id: str) -> Client | None:
    try:
        return clients.named(client_id) if client_id else None
    except NotFound:
        return None


def _require_same(known: Client, owner: str, wanted: ClientSettings) -> None:
    """Asking twice changes nothing; asking for something else is what `update` is for."""
    parsed = ClientSettings(metadata.parse(wanted.metadata), wanted.context, wanted.enabled_for, wanted.first_party)
    if known.owner != owner or clients.settings_of(known) != parsed:
        raise Conflict(f"the client {known.id} exists and differs: use `idp client update`")
