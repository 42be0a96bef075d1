"""Which key signs now, and which one verifies: asked for at every token, answered from a memory of two seconds.

What a process remembers is read again when it is older than `FRESH_FOR` or when the change feed says that something
was taken away since. So a withdrawn key is refused on every node within seconds, without a restart (JWT-08), and a
new one is known everywhere long before it signs. Ages are measured on the monotonic clock, so that setting the time
does not make a memory young; and on the other one, because the first stands still while a machine is suspended.

A row is believed as far as its sealed half bears it out: who can only write to the database can neither put a key of
their own there nor let one serve another purpose.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import bindparam, or_, select

from idp.feed import positions
from idp.keys import lifecycle, material
from idp.keys.lifecycle import Life
from idp.keys.material import JoseKey, KeyPair, Slot
from idp.keys.models import SigningKey
from idp.platform import clock, database, memory, vault
from idp.platform.errors import Refusal, Unavailable
from idp.platform.prepared import Prepared

FRESH_FOR = 2.0
"""Seconds for which a node goes by what it has read."""

_LOOK_AGAIN_AFTER = 0.05
"""Seconds after which an unknown kid is worth another look: it may have been made on another node just now."""

_log = logging.getLogger(__name__)


class NoSigningKey(Unavailable):
    """Nothing signs for this purpose and algorithm: the first start did not make its keys yet."""

    code = "no_signing_key"
    title = "There is no key to sign with"


class UnknownKey(Refusal):
    """No published key has this `kid` and this purpose; whatever names it is not a token of ours."""

    code = "unknown_key"
    status = 401
    title = "The token was not signed by a key of this issuer"
    remedy = "Get a new token."


@dataclass(frozen=True)
class VerificationKey:
    """The public half of a key, and the one algorithm that it verifies."""

    kid: str
    alg: str
    jwk: JoseKey


def current(purpose: str, alg: str) -> KeyPair:
    """The key that signs for `purpose` with `alg` now. Raises `NoSigningKey`."""
    slot = Slot(purpose, alg)
    for age in (FRESH_FOR, 0):  # it may have been made this very moment
        row = known(age).signer(slot)
        if row is not None:
            return opened(row).pair
    raise NoSigningKey(f"no key signs {purpose} with {alg}")


def verification_key(kid: object, purpose: str) -> VerificationKey:
    """The key that verifies what `kid` signed for `purpose`: published, not withdrawn, of that purpose alone.

    `kid` is whatever stood in the header, of any type and size. Raises `UnknownKey` (JWT-04, JWT-08, JWT-09).
    """
    for age in (FRESH_FOR, _LOOK_AGAIN_AFTER):
        row = known(age).named(kid)
        if row is not None:
            return _verifies(row, purpose)
    raise UnknownKey


def _verifies(row: "Row", purpose: str) -> VerificationKey:
    try:
        key = opened(row)
    except vault.Unopenable:
        _log.exception("signing key %s does not open", row.kid)
        raise UnknownKey from None
    if key.pair.slot.purpose != purpose:
        raise UnknownKey
    return key.public


# What this process remembers


@dataclass(frozen=True)
class Row:
    """A key as it is stored."""

    kid: str
    purpose: str
    alg: str
    private_key: bytes = field(repr=False)
    published_at: int
    activates_at: int
    retires_at: int | None
    withdrawn_at: int | None

    @cached_property
    def life(self) -> Life:
        slot = Slot(self.purpose, self.alg)
        return Life(self.kid, slot, self.published_at, self.activates_at, self.retires_at, self.withdrawn_at)


@dataclass(frozen=True)
class Opened:
    """A key that was opened and parsed, which takes milliseconds for RSA; `sealed` is what it was opened from."""

    sealed: bytes = field(repr=False)
    pair: KeyPair
    public: VerificationKey


@dataclass(frozen=True)
class Known:
    """The keys by kid, as read at `read_at` (seconds of the monotonic clock, and the instant).

    `head`: the position of the change feed in the same snapshot.
    """

    read_at: tuple[float, int]
    head: int
    rows: Mapping[str, Row]

    def is_younger_than(self, seconds: float) -> bool:
        """Whether less than that has passed by either clock, and nothing was taken away since."""
        ticked, at = self.read_at
        is_young = clock.monotonic() - ticked < seconds and abs(clock.now() - at) < seconds * clock.SECOND
        return is_young and self.head >= positions.last_seen()

    def signer(self, slot: Slot) -> Row | None:
        """The row of the key that signs for `slot` now."""
        life = lifecycle.signer((row.life for row in self.rows.values()), slot, clock.now())
        return None if life is None else self.rows[life.kid]

    def published(self) -> tuple[Row, ...]:
        """The rows of the keys that are published now, by purpose and algorithm, the youngest first."""
        at = clock.now()
        rows = [row for row in self.rows.values() if lifecycle.is_published(row.life, at)]
        return tuple(sorted(rows, key=lambda row: (row.purpose, row.alg, -row.activates_at, row.kid)))

    def named(self, kid: object) -> Row | None:
        """The row of the published key that `kid` names."""
        row = self.rows.get(kid) if isinstance(kid, str) else None
        return row if row is not None and lifecycle.is_published(row.life, clock.now()) else None


class _Memory:
    """What one application remembers of its keys."""

    def __init__(self) -> None:
        self.known = Known((-math.inf, 0), 0, {})
        self.opened: dict[str, Opened] = {}


def _row_and_head(*columns: Any) -> tuple[Row, int]:
    return Row(*columns[:-1]), columns[-1]


_ROWS = Prepared(
    select(
        SigningKey.kid,
        SigningKey.purpose,
        SigningKey.alg,
        SigningKey.private_key,
        SigningKey.published_at,
        SigningKey.activates_at,
        SigningKey.retires_at,
        SigningKey.withdrawn_at,
        positions.head_of_feed,
    ).where(
        SigningKey.withdrawn_at.is_(None),
        or_(SigningKey.retires_at.is_(None), SigningKey.retires_at > bindparam("at")),
    ),
    _row_and_head,
)


def known(age: float = FRESH_FOR) -> Known:
    """The keys as they were at most `age` seconds ago, read again where need be."""
    remembered = memory.of(_Memory)
    if remembered.known.is_younger_than(age):
        return remembered.known
    read_at = clock.monotonic(), clock.now()
    read = _ROWS.all(at=clock.now())
    latest = Known(read_at, max((head for _, head in read), default=0), {row.kid: row for row, _ in read})
    if not database.is_writing():  # what may yet be rolled back is nobody else's business
        _remember(remembered, latest)
    return latest


def last_known() -> Known:
    """The keys as they were last read, however long ago that was."""
    return memory.of(_Memory).known


def opened(row: Row) -> Opened:
    """The key in `row`. Raises `vault.Unopenable` when somebody tampered with it."""
    cache = memory.of(_Memory).opened
    before = cache.get(row.kid)
    if before is not None and before.sealed == row.private_key and before.pair.slot == row.life.slot:
        return before
    cache[row.kid] = key = _open(row)
    return key


def _open(row: Row) -> Opened:
    place = {"table": SigningKey.__tablename__, "column": SigningKey.private_key.key, "row": row.kid}
    pair = material.read(row.kid, vault.open(row.private_key, **place))
    if pair.slot != row.life.slot:
        raise vault.Unopenable(f"signing key {row.kid} was made for another purpose or algorithm")
    return Opened(row.private_key, pair, VerificationKey(pair.kid, pair.slot.alg, material.public_key(pair)))


def _remember(into: _Memory, latest: Known) -> None:
    """Keep `latest` unless another thread has read later; forget the keys that are gone."""
    if latest.read_at > into.known.read_at:
        into.known = latest
        into.opened = {kid: key for kid, key in into.opened.items() if kid in latest.rows}
