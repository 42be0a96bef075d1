"""Keys come and go: made where they lack, replaced as planned or at once, retired, brought along.

Each act has two halves. Generating is slow and happens first, outside of the writing transaction; the act itself
takes the table for itself, looks again, and adds only what is still wanted. So any number of nodes may do the same
thing at once, and the outcome is that of one of them.

    pairs = material.generate(rotation.rotatable())
    with database.writing():
        rotation.plan(pairs, by=actor)
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.feed import losses
from idp.keys import lifecycle, material
from idp.keys.lifecycle import Life, State
from idp.keys.material import SLOTS, KeyPair, Slot
from idp.keys.models import SigningKey, only_writer
from idp.platform import clock, database, vault
from idp.platform.errors import Conflict, NotFound

_TABLE, _COLUMN = SigningKey.__tablename__, SigningKey.private_key.key


@dataclass(frozen=True)
class Listed:
    """A key as a list shows it: everything but what is secret."""

    kid: str
    purpose: str
    alg: str
    state: State
    published_at: int
    activates_at: int
    retires_at: int | None
    withdrawn_at: int | None
    sealed_by: str


# What there is


def listing() -> tuple[Listed, ...]:
    """Every key there ever was, by purpose and algorithm, the youngest first."""
    at, rows = clock.now(), _rows()
    lives = [_life(row) for row in rows]
    listed = [_listed(row, lifecycle.state(life, lives, at)) for row, life in zip(rows, lives, strict=True)]
    return tuple(sorted(listed, key=lambda key: (key.purpose, key.alg, -key.activates_at)))


def missing() -> tuple[Slot, ...]:
    """The slots that no key fills."""
    lives, at = [_life(row) for row in _rows()], clock.now()
    return tuple(slot for slot in SLOTS if lifecycle.signer(lives, slot, at) is None)


def rotatable() -> tuple[Slot, ...]:
    """The slots in which no key waits for its time yet."""
    lives, at = [_life(row) for row in _rows()], clock.now()
    waiting = {life.slot for life in lives if lifecycle.is_waiting(life, at)}
    return tuple(slot for slot in SLOTS if slot not in waiting)


def in_use() -> tuple[str, ...]:
    """The kids of all published keys of `SLOTS`: what an emergency rotation withdraws."""
    at = clock.now()
    return tuple(row.kid for row in _rows() if lifecycle.is_published(_life(row), at) and _life(row).slot in SLOTS)


# What is done


def ensure(pairs: Iterable[KeyPair], *, by: Actor) -> tuple[str, ...]:
    """Put each of `pairs` (made for `missing()`) to use at once where its slot is still empty; the kids that were."""
    only_writer(SigningKey)
    return tuple(_add(pair, clock.now(), "key.created", by) for pair in pairs if _signer(pair.slot) is None)


def plan(pairs: Iterable[KeyPair], *, by: Actor) -> tuple[str, ...]:
    """Publish each of `pairs` (made for `rotatable()`) now and let it sign one JWKS lifetime later; the kids that were.

    The key before it stays published until its last token has expired (JWT-07). Where a key waits already, nothing
    changes; where none signs, the new one signs at once.
    """
    only_writer(SigningKey)
    planned = []
    for pair in pairs:
        at = clock.now()
        if any(lifecycle.is_waiting(_life(row), at) for row in _rows(pair.slot)):
            continue
        old = _signer(pair.slot)
        planned.append(_add(pair, at + lifecycle.PUBLISHED_BEFORE_USE if old else at, "key.rotated", by, before=old))
    return tuple(planned)


def withdraw(kids: Iterable[str], replacements: Iterable[KeyPair], *, by: Actor) -> tuple[str, ...]:
    """Refuse `kids` everywhere at once, and let `replacements` sign instead of those that did; the kids withdrawn.

    An emergency is `withdraw(in_use(), generate(SLOTS))` (JWT-08). A replacement is left out where nothing was taken
    away and something signs. Raises `NotFound` for an unknown kid, and `Conflict` when a slot would be left with
    nothing that signs.
    """
    only_writer(SigningKey)
    rows = {kid: row for kid in kids if (row := _row(kid)).withdrawn_at is None}
    touched = {_life(row).slot for row in rows.values() if lifecycle.is_published(_life(row), clock.now())}
    bereft = {slot for slot in touched if (signer := _signer(slot)) and signer.kid in rows}
    for row in rows.values():
        _withdraw(row, by)
    for pair in replacements:
        if pair.slot in bereft or not _has_active(pair.slot):
            _add(pair, clock.now(), "key.created", by)
            bereft.discard(pair.slot)
    for slot in sorted(touched):
        if not _has_active(slot):
            raise Conflict(f"nothing would sign {slot.purpose} with {slot.alg}: a replacement is needed")
        _settle(slot)
    return tuple(rows)


def retire(kid: str, *, by: Actor) -> int:
    """Let a key go as planned; the instant at which it leaves the key set.

    One that waits leaves at once and its predecessor goes on. One that a younger key succeeds leaves when its last
    token has expired, which is settled already. Raises `NotFound`, and `Conflict` for one that has no successor.
    """
    only_writer(SigningKey)
    row = _row(kid)
    before, at = _life(row), clock.now()
    if before.withdrawn_at is not None:
        return before.withdrawn_at
    if before.retires_at is not None:
        return before.retires_at
    if not lifecycle.is_waiting(before, at) or before == _signer(before.slot):
        raise Conflict(f"{kid} signs {row.purpose} with {row.alg}: rotate first, then it retires by itself")
    row.retires_at = at
    _settle(before.slot)
    trail.record("key.retired", by=by, subject=kid, before=before, after=_life(row))
    return at


def bring(pair: KeyPair, *, by: Actor) -> Life:
    """Take in a key that an operator hands over (`material.given`); bringing it twice changes nothing.

    It signs at once where nothing else does, otherwise like a planned rotation. Raises `Conflict` when its kid names
    another key or was withdrawn, and when the same key is here under another kid (JWT-09).
    """
    only_writer(SigningKey)
    for row in _rows():
        if row.kid == pair.kid:
            return _same(row, pair)
        if _members(json.loads(row.public_jwk)) == _members(material.public(pair)):
            raise Conflict(f"this key is here already, as {row.kid}: a key has one purpose and one kid")
    at, old = clock.now(), _signer(pair.slot)
    _add(pair, at + lifecycle.PUBLISHED_BEFORE_USE if old else at, "key.imported", by, before=old)
    return _life(_row(pair.kid))


# Rows


def _rows(slot: Slot | None = None) -> Sequence[SigningKey]:
    wanted = select(SigningKey).order_by(SigningKey.activates_at, SigningKey.kid)
    if slot is not None:
        wanted = wanted.where(SigningKey.purpose == slot.purpose, SigningKey.alg == slot.alg)
    return database.session().scalars(wanted.execution_options(populate_existing=True)).all()


def _row(kid: str) -> SigningKey:
    row = database.session().get(SigningKey, kid, populate_existing=True)
    if row is None:
        raise NotFound(f"there is no key {kid}")
    return row


def _life(row: SigningKey) -> Life:
    return Life(
        row.kid, Slot(row.purpose, row.alg), row.published_at, row.activates_at, row.retires_at, row.withdrawn_at
    )


def _listed(row: SigningKey, state: State) -> Listed:
    instants = (row.published_at, row.activates_at, row.retires_at, row.withdrawn_at)
    return Listed(row.kid, row.purpose, row.alg, state, *instants, row.sealed_by)


def _signer(slot: Slot) -> Life | None:
    return lifecycle.signer([_life(row) for row in _rows(slot)], slot, clock.now())


def _has_active(slot: Slot) -> bool:
    signer, at = _signer(slot), clock.now()
    return signer is not None and signer.activates_at <= at


def _add(pair: KeyPair, activates_at: int, event: str, by: Actor, *, before: Life | None = None) -> str:
    sealed = vault.seal(material.written(pair), table=_TABLE, column=_COLUMN, row=pair.kid)
    row = SigningKey(
        kid=pair.kid,
        purpose=pair.slot.purpose,
        alg=pair.slot.alg,
        public_jwk=json.dumps(material.public(pair)),
        private_key=sealed,
        sealed_by=vault.sealed_by(sealed),
        published_at=min(clock.now(), activates_at),
        activates_at=activates_at,
    )
    database.session().add(row)
    _settle(pair.slot)
    trail.record(event, by=by, subject=pair.kid, before=before, after=_life(row))
    return pair.kid


def _withdraw(row: SigningKey, by: Actor) -> None:
    before = _life(row)
    row.withdrawn_at = clock.now()
    database.session().flush()
    losses.record("key", kid=row.kid)
    trail.record("key.withdrawn", by=by, subject=row.kid, before=before, after=_life(row))


def _settle(slot: Slot) -> None:
    """Every published key but the youngest leaves when the last token signed before its successor has expired."""
    database.session().flush()
    at = clock.now()
    published = [row for row in _rows(slot) if lifecycle.is_published(_life(row), at)]
    for row, successor in pairwise(published):
        if row.retires_at is None:
            row.retires_at = successor.activates_at + lifecycle.PUBLISHED_AFTER_USE
    for youngest in published[-1:]:
        youngest.retires_at = None


def _same(row: SigningKey, pair: KeyPair) -> Life:
    if row.withdrawn_at is not None:
        raise Conflict(f"{row.kid} was withdrawn: it cannot come back")
    if json.loads(row.public_jwk) != material.public(pair) or _life(row).slot != pair.slot:
        raise Conflict(f"{row.kid} names another key")
    return _life(row)


def _members(jwk: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in jwk.items() if name not in ("kid", "use", "alg")}
