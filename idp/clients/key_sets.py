"""Keys of clients, registered with them (`jwks`) or fetched from them (`jwks_uri`).

What was fetched is kept, so that a client whose server is away can still sign. Another copy is fetched when the one we
have is old, or lacks the key that is asked for; no more often than once an `INTERVAL`, whichever node does it (CLI-08).
Whoever opens transactions takes these steps: `due`, then `claim`, then `fetch`, then `keep`.
"""

import json
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, bindparam, or_, select, text, update

from idp.clients import public_keys
from idp.clients.models import ClientKeySet
from idp.clients.public_keys import PublicKey
from idp.clients.registered import RegisteredClient
from idp.platform import clock, outbound, strict_json
from idp.platform.http_refusals import Malformed
from idp.platform.outbound import OutboundFailed
from idp.platform.prepared import Prepared
from idp.platform.strict_json import Json

FRESH: Final = clock.HOUR
"""How old a copy may be before another one is fetched when a key is asked for: a key taken back counts so long."""

LONGEST: Final = clock.DAY
"""How old a copy may be to be used at all, when no other can be had."""

INTERVAL: Final = 30 * clock.SECOND
"""What lies at least between two fetches for one client."""

NOTHING: Final = "{}"
"""What stands for a fetch that brought no usable key."""

MEDIA_TYPES: Final = ("application/jwk-set+json", "application/json")


@dataclass(frozen=True)
class Due:
    """A copy that ought to be fetched."""

    client_id: str
    uri: str


def signers(client: RegisteredClient, *, kid: str, alg: str) -> list[PublicKey]:
    """The keys of the client that may have made a signature with `alg`, whose header names `kid` (empty: none)."""
    uri = client.text("jwks_uri")
    registered = client.metadata.get("jwks")
    if not uri:
        return public_keys.signers(_keys_in(registered), kid=kid, alg=alg)
    copy = _copy(client.id, uri)
    if copy is None or not copy.is_usable():
        return []
    return public_keys.signers(_keys_in(json.loads(copy.keys_json)), kid=kid, alg=alg)


def due(client: RegisteredClient, *, kid: str, alg: str) -> Due | None:
    """What to fetch before `signers` is asked the same, or `None`: most of the time."""
    uri = client.text("jwks_uri")
    if not uri:
        return None
    copy, wanted = _copy(client.id, uri), Due(client.id, uri)
    if copy is None:
        return wanted
    if not copy.may_be_tried():
        return wanted if copy.is_awaited() else None
    return None if copy.is_fresh() and signers(client, kid=kid, alg=alg) else wanted


def claim(wanted: Due) -> bool:
    """Take it upon us to fetch; `False` when somebody else has done so lately. Inside `database.writing()`.

    A copy that is too old, or from an address that the client has since changed, is dropped.
    """
    now = clock.now()
    if _FIRST.run(client_id=wanted.client_id, uri=wanted.uri, now=now):
        return True
    if _ELSEWHERE.run(client_id=wanted.client_id, uri=wanted.uri, now=now):
        return True
    claimed = bool(_AGAIN.run(client_id=wanted.client_id, now=now, earlier=now - INTERVAL))
    if claimed:
        _DROP.run(client_id=wanted.client_id, earlier=now - LONGEST)
    return claimed


def fetch(wanted: Due) -> str:
    """The usable keys that lie there, as JSON; `NOTHING` where none do. Not inside `database.writing()`."""
    try:
        keys = _keys_in(strict_json.loads(outbound.get(wanted.uri, accept=MEDIA_TYPES)))
    except (OutboundFailed, Malformed):
        return NOTHING
    usable = [key for key in keys if not public_keys.fault_of(key)]
    return json.dumps({"keys": usable}) if usable and len(keys) <= public_keys.MOST else NOTHING


def keep(wanted: Due, keys_json: str) -> None:
    """Let the copy be what was fetched; after `NOTHING`, a good copy stays. Inside `database.writing()`."""
    if keys_json != NOTHING:
        _KEEP.run(client_id=wanted.client_id, uri=wanted.uri, keys_json=keys_json, now=clock.now())
    else:
        _GIVE_UP.run(client_id=wanted.client_id, keys_json=NOTHING)


def is_awaited(wanted: Due) -> bool:
    """Whether there is no copy yet, and somebody is fetching one just now."""
    copy = _copy(wanted.client_id, wanted.uri)
    return copy is not None and copy.is_awaited()


def _keys_in(key_set: Json) -> list[Json]:
    keys = key_set.get("keys") if isinstance(key_set, dict) else None
    return keys if isinstance(keys, list) else []


# The table


@dataclass(frozen=True)
class _Copy:
    keys_json: str
    fetched_at: int | None
    tried_at: int

    def is_fresh(self) -> bool:
        return self.fetched_at is not None and clock.now() < self.fetched_at + FRESH

    def is_usable(self) -> bool:
        return self.fetched_at is not None and clock.now() < self.fetched_at + LONGEST

    def may_be_tried(self) -> bool:
        return self.tried_at <= clock.now() - INTERVAL

    def is_awaited(self) -> bool:
        return self.keys_json == "" and not self.may_be_tried()


def _copy(client_id: str, uri: str) -> _Copy | None:
    return _COPY.one(client_id=client_id, uri=uri)


_NOW = bindparam("now", type_=BigInteger)
_COPY: Prepared[_Copy] = Prepared(
    select(ClientKeySet.keys_json, ClientKeySet.fetched_at, ClientKeySet.tried_at).where(
        ClientKeySet.client_id == bindparam("client_id"), ClientKeySet.uri == bindparam("uri")
    ),
    _Copy,
)
_FIRST: Prepared[object] = Prepared(
    text(
        "INSERT INTO client_key_sets (client_id, uri, keys_json, tried_at) VALUES (:client_id, :uri, '', :now)"
        " ON CONFLICT DO NOTHING"
    ),
    object,
)
_ELSEWHERE: Prepared[object] = Prepared(
    update(ClientKeySet)
    .where(ClientKeySet.client_id == bindparam("client_id"), ClientKeySet.uri != bindparam("uri"))
    .values(uri=bindparam("uri"), keys_json="", fetched_at=None, tried_at=_NOW),
    object,
)
_AGAIN: Prepared[object] = Prepared(
    update(ClientKeySet)
    .where(ClientKeySet.client_id == bindparam("client_id"))
    .where(ClientKeySet.tried_at <= bindparam("earlier", type_=BigInteger))
    .values(tried_at=_NOW),
    object,
)
_DROP: Prepared[object] = Prepared(
    update(ClientKeySet)
    .where(ClientKeySet.client_id == bindparam("client_id"))
    .where(or_(ClientKeySet.fetched_at.is_(None), ClientKeySet.fetched_at < bindparam("earlier", type_=BigInteger)))
    .values(keys_json="", fetched_at=None),
    object,
)
_GIVE_UP: Prepared[object] = Prepared(
    update(ClientKeySet)
    .where(ClientKeySet.client_id == bindparam("client_id"), ClientKeySet.keys_json == "")
    .values(keys_json=bindparam("keys_json")),
    object,
)
_KEEP: Prepared[object] = Prepared(
    update(ClientKeySet)
    .where(ClientKeySet.client_id == bindparam("client_id"), ClientKeySet.uri == bindparam("uri"))
    .values(keys_json=bindparam("keys_json"), fetched_at=_NOW),
    object,
)
