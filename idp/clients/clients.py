"""Clients: registered, changed, switched, disabled, deleted.

The operator's clients are usable in every organization that has not switched them off, or in those they are enabled
for; an organization's own are usable there alone.
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from types import MappingProxyType

from sqlalchemy import select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.clients import metadata, origins
from idp.clients.metadata import InvalidMetadata, Json, Metadata
from idp.clients.models import OPERATOR, Client, ClientDisablement, ClientSecret, ClientSwitch
from idp.clients.sectors import Sectors, require_listed, require_plausible
from idp.feed import losses
from idp.platform import clock, database, identifiers
from idp.platform.errors import Conflict, Invalid, NotFound

FIXED = "fixed"
KINDS = ("none", "organization", "account", "any", FIXED)
"""What the tokens of a client may speak for; `fixed`: one organization, or one account of it, that is named."""

NOWHERE: Sectors = MappingProxyType({})
"""For clients without a sector, or with one that does not change."""

_SPOKEN_FOR = ("usr", "sub", "mem", "team")
"""Prefixes of ids that stand where a client's may: as the `sub` of a token, or as the grantee of a role."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")

Turn = Callable[[str], object]
"""Told the id of an organization: takes its turn, for the rest of the transaction. May raise a `Refusal`."""

_before_owning: list[Turn] = []


def before_owning(turn: Turn) -> Turn:
    """Register `turn` to run before an organization gets a client of its own.

    What befalls all clients of an organization, and finds them by their owner, takes the same turn: it misses none.
    """
    if turn not in _before_owning:
        _before_owning.append(turn)
    return turn


@dataclass(frozen=True)
class ClientContext:
    """What the tokens of a client speak for: a word of `KINDS`; `fixed` goes with ids, the others without."""

    kind: str = "none"
    organization_id: str | None = None
    account_id: str | None = None


@dataclass(frozen=True)
class ClientSettings:
    """What a client is to be. `metadata`: see there. `enabled_for`: ids of organizations, `None` for all."""

    metadata: Metadata = field(default_factory=dict)
    context: ClientContext = ClientContext()
    enabled_for: frozenset[str] | None = None
    first_party: bool = False


def create(
    wanted: ClientSettings, *, by: Actor, owner: str = OPERATOR, id: str = "", sectors: Sectors = NOWHERE
) -> Client:
    """Register a client of `owner` (an organization's id, or `OPERATOR`). `id` brings a client id along.

    `sectors`: what `sectors.look` saw, for a client with `sector_identifier_uri`.

    Raises `Invalid` (`InvalidMetadata`, `InvalidRedirectUri`), `Conflict` when the id is or was taken, and what
    a registered turn raises.
    """
    registered = _checked(wanted, owner)
    require_listed(registered, {}, sectors)
    for turn in _before_owning if owner != OPERATOR else ():
        turn(owner)
    taken = Conflict(f"there is or was a client with the id {id}")
    if id and database.session().get(Client, id) is not None:
        raise taken
    client = Client(id=_own_id(id), owner=owner, enabled_for_all=int(wanted.enabled_for is None))
    _write(client, registered, wanted)
    with database.or_refuse(taken):
        database.session().add(client)
    _let_scripts_call(client, registered)
    _offer(client, wanted.enabled_for)
    trail.record("client.created", by=by, subject=client.id, organization=_organization(client), after=_told(client))
    return client


def settings_of(client: Client) -> ClientSettings:
    """What `reconfigure` would have to be given to change nothing."""
    context = ClientContext(client.context, client.context_organization_id, client.context_account_id)
    enabled_for = None if client.enabled_for_all else frozenset(_switches(client))
    return ClientSettings(metadata.load(client.metadata_json), context, enabled_for, bool(client.first_party))


def reconfigure(client: Client, wanted: ClientSettings, *, by: Actor, sectors: Sectors = NOWHERE) -> bool:
    """Let the client be what `wanted` says; every rule of `create` applies to the whole. Returns whether it changed.

    Where it is enabled no longer, its tokens are superseded. Raises as `create` does.
    """
    registered = _checked(wanted, client.owner)
    client = _lock(client)
    before, told = settings_of(client), _told(client)
    require_listed(registered, before.metadata, sectors)
    _write(client, registered, wanted)
    _let_scripts_call(client, registered)
    _offer(client, wanted.enabled_for)
    database.session().flush()
    if settings_of(client) == before:
        return False
    was, is_now = _difference(told, _told(client))
    trail.record(
        "client.changed", by=by, subject=client.id, organization=_organization(client), before=was, after=is_now
    )
    return True


def switch(client: Client, organization_id: str, *, on: bool, by: Actor) -> None:
    """Switch an operator's client on or off in one organization; off, its tokens there are superseded.

    Raises `Conflict` for an organization's own client, and where the operator does not offer the client.
    """
    client = _lock(client)
    if client.owner != OPERATOR:
        raise Conflict("a client of an organization is usable there and nowhere else: disable it instead")
    current = _switches(client).get(organization_id)
    if current is None and not client.enabled_for_all:
        raise Conflict("the operator does not offer this client to the organization")
    if (current is None or bool(current.enabled)) == on:
        return
    if current is not None:
        current.end()
        database.session().flush()
    if not on or not client.enabled_for_all:
        _set(client, organization_id, on=on)
    if not on:
        losses.record("client", client_id=client.id, org_id=organization_id)
    event = "client.switched.on" if on else "client.switched.off"
    trail.record(event, by=by, subject=client.id, organization=organization_id)


def disable(client: Client, *, by: Actor) -> None:
    """Let the client do nothing anywhere; its tokens are superseded. Twice changes nothing."""
    client = _lock(client)
    if is_disabled(client.id):
        return
    database.session().add(ClientDisablement(client_id=client.id))
    losses.record("client", client_id=client.id)
    trail.record("client.disabled", by=by, subject=client.id, organization=_organization(client))


def enable(client: Client, *, by: Actor) -> None:
    """Let a disabled client act again."""
    client = _lock(client)
    disablement = _disablement(client.id)
    if disablement is not None:
        disablement.end()
        trail.record("client.enabled", by=by, subject=client.id, organization=_organization(client))


def is_disabled(client_id: str) -> bool:
    """Whether the client may do nothing just now."""
    return _disablement(client_id) is not None


def delete(client: Client, *, by: Actor) -> None:
    """Delete the client: secrets end, tokens are superseded, and its id is never used again."""
    client = _lock(client)
    told = _told(client)
    client.ended_at = max(clock.now(), client.created_at)
    live = select(ClientSecret).where(ClientSecret.client_id == client.id, ClientSecret.ended_at.is_(None))
    for secret in database.session().scalars(live):
        secret.ended_at = client.ended_at
    for one in _switches(client).values():
        one.end()
    _let_scripts_call(client, {})
    losses.record("client", client_id=client.id)
    trail.record("client.deleted", by=by, subject=client.id, organization=_organization(client), before=told)


def find(owner: str, client_id: str) -> Client:
    """The client `client_id` of `owner`. Raises `NotFound`, also for a client of somebody else."""
    client = database.session().get(Client, client_id)
    if client is None or client.owner != owner or client.ended_at is not None:
        raise NotFound(f"there is no client {client_id!r}")
    return client


def named(client_id: str) -> Client:
    """The client `client_id`, whoever owns it: for those who run the installation. Raises `NotFound`."""
    client = database.session().get(Client, client_id)
    return find(client.owner if client else OPERATOR, client_id)


def owned(owner: str | None = None, *, after: str = "", limit: int = 100) -> list[Client]:
    """Up to `limit` clients of `owner` (`None`: of everyone) in the order of their ids, beginning behind `after`."""
    live = select(Client).where(Client.ended_at.is_(None), Client.id > after)
    if owner is not None:
        live = live.where(Client.owner == owner)
    return list(database.session().scalars(live.order_by(Client.id).limit(limit)))


def ids_owned(owner: str) -> list[str]:
    """The ids of all clients of `owner`."""
    return list(database.session().scalars(select(Client.id).where(Client.ended_at.is_(None), Client.owner == owner)))


# What was asked for


def _first_party_is_the_operators_word(wanted: ClientSettings, registered: Metadata, owner: str) -> None:
    if wanted.first_party and owner != OPERATOR:
        raise Invalid("only the operator's clients can be first-party", field="first_party")


def _serving_is_the_operators_word(wanted: ClientSettings, registered: Metadata, owner: str) -> None:
    """Who serves an audience may introspect its tokens and follow the feed, of every organization."""
    if registered.get("serves") and owner != OPERATOR:
        raise InvalidMetadata("serves is the operator's word: refused for clients of an organization", field="serves")


def _consent_is_skipped_by_first_parties(wanted: ClientSettings, registered: Metadata, owner: str) -> None:
    if registered.get("consent") == "skip" and not wanted.first_party:
        raise InvalidMetadata("consent can be skipped by first-party clients alone", field="consent")


def _own_clients_are_usable_at_home(wanted: ClientSettings, registered: Metadata, owner: str) -> None:
    if owner != OPERATOR and (wanted.enabled_for is not None or wanted.context.organization_id not in (None, owner)):
        raise Invalid("a client of an organization is usable there and nowhere else", field="enabled_for")


def _context_is_one(wanted: ClientSettings, registered: Metadata, owner: str) -> None:
    context = wanted.context
    if context.kind not in KINDS:
        raise Invalid(f"a context is one of {', '.join(KINDS)}", field="context")
    if (context.kind == FIXED) != bool(context.organization_id) or (context.account_id and context.kind != FIXED):
        raise Invalid("a fixed context names an organization and perhaps an account, no other does", field="context")


def _addresses_are_of_the_public_network(wanted: ClientSettings, registered: Metadata, owner: str) -> None:
    """SSR-01: at save as far as the spelling tells, and again at every use."""
    require_plausible(registered)


_Rule = Callable[[ClientSettings, Metadata, str], None]
_RULES: tuple[_Rule, ...] = (
    _first_party_is_the_operators_word,
    _serving_is_the_operators_word,
    _consent_is_skipped_by_first_parties,
    _own_clients_are_usable_at_home,
    _context_is_one,
    _addresses_are_of_the_public_network,
)


def _checked(wanted: ClientSettings, owner: str) -> dict[str, Json]:
    registered = metadata.parse(wanted.metadata)
    for rule in _RULES:
        rule(wanted, registered, owner)
    return registered


def _own_id(given: str) -> str:
    """A machine's `sub` is its client id: it must not look like a person's (RFC 9068 §5), or another grantee's."""
    if given and (not _ID.fullmatch(given) or any(identifiers.is_one(prefix, given) for prefix in _SPOKEN_FOR)):
        raise Invalid(
            "a client id has 1 to 128 letters, digits, '.', '_', '~', '-'; not usr_…, sub_…, mem_… or team_…",
            field="client_id",
        )
    return given or identifiers.client()


# What the tables hold


def _lock(client: Client) -> Client:
    """The row on which everything that changes a client queues. Raises `NotFound` once it is deleted."""
    row = select(Client).where(Client.id == client.id).with_for_update(key_share=True)
    locked = database.session().scalars(row, execution_options={"populate_existing": True}).one()
    if locked.ended_at is not None:
        raise NotFound(f"there is no client {locked.id!r}")
    return locked


def _write(client: Client, registered: Metadata, wanted: ClientSettings) -> None:
    client.metadata_json = metadata.dump(registered)
    client.name = str(registered.get("client_name") or client.id)
    client.context = wanted.context.kind
    client.context_organization_id = wanted.context.organization_id
    client.context_account_id = wanted.context.account_id
    client.first_party = int(wanted.first_party)


def _let_scripts_call(client: Client, registered: Metadata) -> None:
    said = registered.get("cors_origins")
    origins.replace(client.id, [one for one in said if isinstance(one, str)] if isinstance(said, list) else [])


def _offer(client: Client, enabled_for: frozenset[str] | None) -> None:
    """Offer the client to all organizations, or to those alone. Who has switched it off keeps it off."""
    was_for_all, client.enabled_for_all = client.enabled_for_all, int(enabled_for is None)
    if was_for_all and enabled_for is not None:
        losses.record("client", client_id=client.id)
    rows = _switches(client)
    for organization_id, row in rows.items():
        if enabled_for is None and row.enabled:
            row.end()
        elif enabled_for is not None and organization_id not in enabled_for:
            row.end()
            losses.record("client", client_id=client.id, org_id=organization_id)
    for organization_id in sorted((enabled_for or frozenset()) - rows.keys()):
        _set(client, organization_id, on=True)


def _set(client: Client, organization_id: str, *, on: bool) -> None:
    row = ClientSwitch(client_id=client.id, organization_id=organization_id, enabled=int(on))
    database.session().add(row)


def _switches(client: Client) -> dict[str, ClientSwitch]:
    """What was said about the client in organizations, by their ids."""
    live = select(ClientSwitch).where(ClientSwitch.client_id == client.id, ClientSwitch.ended_at.is_(None))
    return {row.organization_id: row for row in database.session().scalars(live)}


def _disablement(client_id: str) -> ClientDisablement | None:
    live = select(ClientDisablement).where(
        ClientDisablement.client_id == client_id, ClientDisablement.ended_at.is_(None)
    )
    return database.session().scalars(live).one_or_none()


# What the trail is told


def _organization(client: Client) -> str | None:
    return None if client.owner == OPERATOR else client.owner


def _told(client: Client) -> dict[str, object]:
    told = settings_of(client)
    enabled_for = None if told.enabled_for is None else sorted(told.enabled_for)
    return {
        **told.metadata,
        "context": asdict(told.context),
        "enabled_for": enabled_for,
        "first_party": told.first_party,
    }


def _difference(before: dict[str, object], after: dict[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """What differs, as it was and as it is."""
    names = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    return {name: before.get(name) for name in names}, {name: after.get(name) for name in names}
