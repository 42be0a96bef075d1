"""Secrets of clients: shown once, stored by their digest, two at a time so that one can be replaced without a gap."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, bindparam, or_, select, update

from idp.audit import trail
from idp.audit.trail import Actor
from idp.clients import metadata
from idp.clients.models import OPERATOR, Client, ClientSecret
from idp.platform import bearer, clock, database, memory
from idp.platform.errors import Conflict, Invalid, NotFound
from idp.platform.prepared import Prepared

MOST = 2
"""How many secrets of a client may live at a time."""

PREFIX = "canopy_cs_"
"""What our own secrets begin with, so that scanners of code can recognise one that was left there."""

_LONGEST = 1_000


@dataclass(frozen=True)
class Minted:
    """A secret in the only moment in which it can be read."""

    secret_id: str
    secret: str


def add(client: Client, *, by: Actor, given: str = "") -> Minted:
    """Give the client another secret of 256 random bits, or the one that is `given`.

    One that it has already is not added twice. Raises `Conflict` when two live, or when the client authenticates in
    another way; `Invalid` for a given one that could not be sent (RFC 6749 appendix A.2).
    """
    _require_sendable(given)
    _lock(client)
    if (
        metadata.with_defaults(metadata.load(client.metadata_json))["token_endpoint_auth_method"]
        not in metadata.SECRET_METHODS
    ):
        raise Conflict("the client authenticates without a secret: change token_endpoint_auth_method first")
    live = of(client.id)
    known = next((secret for secret in live if given and bearer.matches(given, secret.digest)), None)
    if known is not None:
        return Minted(known.id, given)
    if len(live) >= MOST:
        raise Conflict("two secrets live already: end one of them first")
    plain = given or bearer.mint(PREFIX)
    secret = ClientSecret(client_id=client.id, digest=bearer.digest(plain))
    database.session().add(secret)
    database.session().flush()
    _record("client.secret.added", client, secret, by=by)
    return Minted(secret.id, plain)


def end(client: Client, secret_id: str, *, by: Actor) -> None:
    """Let the secret open nothing any more; twice changes nothing. Raises `NotFound` for a secret of another client."""
    _lock(client)
    secret = database.session().get(ClientSecret, secret_id, populate_existing=True)
    if secret is None or secret.client_id != client.id:
        raise NotFound("the client has no such secret")
    if secret.ended_at is None:
        secret.ended_at = max(clock.now(), secret.created_at)
        _record("client.secret.removed", client, secret, by=by)


def of(client_id: str) -> list[ClientSecret]:
    """The secrets of the client that live, the oldest first; with the time of their last use, without their text."""
    live = select(ClientSecret).where(ClientSecret.client_id == client_id, ClientSecret.ended_at.is_(None))
    return list(database.session().scalars(live.order_by(ClientSecret.created_at, ClientSecret.id)))


# Use


def recognise(client_id: str, presented: str) -> bool:
    """Whether `presented` is a live secret of the client, whose use is then noted; in the same time for every answer.

    Whether the client itself may act is not asked here.
    """
    digest, found = bearer.digest(presented), ""
    for live in (*_LIVE.all(client_id=client_id), _NOBODYS):
        if bearer.same(digest, live.digest):
            found = live.id
    if found:
        memory.of(_Uses).last[found] = clock.now()
    return bool(found)


def were_used() -> bool:
    """Whether this process has noted anything that `write_uses` would look at."""
    return bool(memory.of(_Uses).last)


def write_uses() -> int:
    """Write down when secrets were last used, as this process noted it; how many were. Inside `database.writing()`.

    What was written is forgotten by the next call, which finds it there: a transaction that fails loses nothing.
    """
    noted, written = memory.of(_Uses).last, 0
    for secret_id, at in list(noted.items()):
        touched = _USED.run(secret_id=secret_id, at=at)
        written += touched
        if not touched and noted.get(secret_id) == at:
            noted.pop(secret_id, None)
    return written


class _Uses:
    """Of one application in this process: when secrets were last used, by their ids."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}


@dataclass(frozen=True)
class _Live:
    id: str
    digest: bytes


_NOBODYS = _Live("", bearer.digest(bearer.mint()))
"""Compared with every presented one, so that there is a comparison for clients without any."""

_LIVE: Prepared[_Live] = Prepared(
    select(ClientSecret.id, ClientSecret.digest).where(
        ClientSecret.client_id == bindparam("client_id"), ClientSecret.ended_at.is_(None)
    ),
    _Live,
)
_AT = bindparam("at", type_=BigInteger)
_USED: Prepared[object] = Prepared(
    update(ClientSecret)
    .where(
        ClientSecret.id == bindparam("secret_id"),
        or_(ClientSecret.last_used_at.is_(None), ClientSecret.last_used_at < _AT),
    )
    .values(last_used_at=_AT),
    object,
)


def _require_sendable(given: str) -> None:
    if len(given) > _LONGEST or not given.isascii() or (given and not given.isprintable()):
        raise Invalid(f"a secret has at most {_LONGEST} printable ASCII characters", field="client_secret")


def _lock(client: Client) -> None:
    """Two secrets that are added at once are added one after the other, so that they count each other."""
    row = select(Client.id).where(Client.id == client.id, Client.ended_at.is_(None)).with_for_update(key_share=True)
    if database.session().execute(row).one_or_none() is None:
        raise NotFound(f"there is no client {client.id!r}")


def _record(event: str, client: Client, secret: ClientSecret, *, by: Actor) -> None:
    organization = None if client.owner == OPERATOR else client.owner
    trail.record(event, by=by, subject=client.id, organization=organization, after={"secret_id": secret.id})
