"""Master keys: which ones this database needs, refusing to start without them, and moving on to a new one (KEY-02).

A master key that seals is put on record with a check value that only it opens. A new one is put before the old in
`IDP_SECRET_KEY`; resealing moves every value to it in small transactions while nodes run, and may be stopped and
started again at any point, because each value says which key sealed it. When nothing needs the old key any more, its
record goes, and it may leave `IDP_SECRET_KEY`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Select, func, select, update

from idp.audit import trail
from idp.audit.trail import Actor
from idp.keys.models import MasterKey, only_writer
from idp.platform import clock, database, vault
from idp.platform.errors import Refusal
from idp.platform.vault import SealedColumn

_CHECK = b"canopy"
_PLACE = {"table": MasterKey.__tablename__, "column": MasterKey.check_value.key}

BATCH = 100
"""Values that one transaction of resealing moves: some milliseconds for whoever waits to write."""


class MasterKeyMissing(Refusal):
    """`IDP_SECRET_KEY` lacks a key that sealed something here. Nothing was changed."""

    code = "master_key_missing"
    status = 503
    title = "IDP_SECRET_KEY does not open what is stored in this database"
    remedy = "Add the key that is missing behind the others in IDP_SECRET_KEY; `idp keys reseal` makes it dispensable."


class MasterKeyDamaged(Refusal):
    """The check value of a master key was changed in the database. Nothing was changed now."""

    code = "master_key_damaged"
    status = 503
    title = "The record of a master key in this database was changed"
    remedy = "Restore a backup, or find out who else writes to this database."


# At the start


def check() -> bool:
    """Refuse unless `IDP_SECRET_KEY` opens everything here; whether its first key is on record already.

    Reads only. Raises `MasterKeyMissing`, which names the ids of the keys that are missing, and `MasterKeyDamaged`.
    """
    held = vault.current()
    recorded = {row.id: row for row in database.session().scalars(select(MasterKey))}
    missing = (recorded.keys() | _sealing_keys_besides(held.key_ids())) - set(held.key_ids())
    if missing or not held.key_ids():
        raise MasterKeyMissing(_what_is_missing(missing, held.key_ids(), recorded))
    for row in recorded.values():
        _check_value(row)
    return held.first() in recorded


def record(*, by: Actor) -> None:
    """Put the first key of `IDP_SECRET_KEY` on record, unless it is. Of two nodes that start with different keys, the
    second is refused as by `check`.
    """
    only_writer(MasterKey)
    if check():
        return
    key_id = vault.current().first()
    value = vault.current().seal(_CHECK, row=key_id, by=key_id, **_PLACE)
    database.session().add(MasterKey(id=key_id, check_value=value))
    trail.record("key.master.added", by=by, subject=key_id)


def _sealing_keys_besides(known: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for place in vault.sealed_columns():
        others = select(place.recorded_in).where(place.value.is_not(None), place.recorded_in.not_in(known)).distinct()
        found |= set(database.session().scalars(others))
    return found


def _what_is_missing(missing: set[str], given: tuple[str, ...], recorded: Mapping[str, MasterKey]) -> str:
    if not given:
        return "IDP_SECRET_KEY is not set"
    named = [
        f"{key_id} (in use since {clock.iso(recorded[key_id].first_used_at)})" if key_id in recorded else key_id
        for key_id in sorted(missing)
    ]
    return f"IDP_SECRET_KEY lacks the master key with the id {', '.join(named)}; it holds {', '.join(given)}"


def _check_value(row: MasterKey) -> None:
    try:
        intact = vault.current().open(row.check_value, row=row.id, **_PLACE) == _CHECK
        intact = intact and vault.sealed_by(row.check_value) == row.id
    except vault.Unopenable:
        intact = False
    if not intact:
        raise MasterKeyDamaged(f"the check value of master key {row.id} does not open")


# Resealing


@dataclass(frozen=True)
class Progress:
    """How far resealing has come: `moved` of about `total` values; `unreadable` names the rows that do not open.

    `place` and `after` say where to go on: the number of the sealed column, and the row behind which the next batch
    begins.
    """

    total: int
    moved: int = 0
    unreadable: tuple[str, ...] = ()
    place: int = 0
    after: str = ""

    @property
    def finished(self) -> bool:
        """Whether every sealed column was walked to its end."""
        return self.place >= len(vault.sealed_columns())


@dataclass(frozen=True)
class Outcome:
    """What resealing came to: the master keys that may leave `IDP_SECRET_KEY` now, and how many values others seal."""

    removable: tuple[str, ...]
    still_needed: Mapping[str, int]


def begin() -> Progress:
    """Before the first `step`: how much there is to move."""
    return Progress(total=sum(_sealed_by_older_keys().values()))


def step(progress: Progress, size: int = BATCH) -> Progress:
    """Move the next values to the first master key; each step is a writing transaction of its own.

    A row that another transaction is at is left out; `finish` then tells that an older key is still needed, and
    resealing once more finds it.
    """
    place = vault.sealed_columns()[progress.place]
    batch = database.session().execute(_next(place, progress.after, size)).all()
    unreadable = []
    moved = 0
    for row, value in batch:
        try:
            moved += _move(place, row, value)
        except vault.Unopenable:
            unreadable.append(f"{place.value} of {row}")
    walked = replace(progress, moved=progress.moved + moved, unreadable=(*progress.unreadable, *unreadable))
    if len(batch) < size:
        return replace(walked, place=progress.place + 1, after="")
    return replace(walked, after=batch[-1][0])


def finish(progress: Progress, *, by: Actor) -> Outcome:
    """After the last `step`: strike the records of master keys that nothing needs any more."""
    only_writer(MasterKey)
    first, needed = vault.current().first(), _sealed_by_older_keys()
    if progress.moved:
        trail.record("key.master.resealed", by=by, subject=first, after={"values": progress.moved})
    for row in database.session().scalars(select(MasterKey).where(MasterKey.id.not_in((first, *needed)))):
        database.session().delete(row)
        trail.record("key.master.removed", by=by, subject=row.id)
    removable = tuple(key_id for key_id in vault.current().key_ids() if key_id != first and key_id not in needed)
    return Outcome(removable, needed)


def _sealed_by_older_keys() -> Counter[str]:
    """How many values each master key but the first has sealed."""
    counted: Counter[str] = Counter()
    for place in vault.sealed_columns():
        older = (
            select(place.recorded_in, func.count())
            .where(place.value.is_not(None), place.recorded_in != vault.current().first())
            .group_by(place.recorded_in)
        )
        for key_id, count in database.session().execute(older):
            counted[key_id] += count
    return counted


def _next(place: SealedColumn, after: str, size: int) -> Select[str, bytes]:
    return (
        select(place.row, place.value)
        .where(place.value.is_not(None), place.recorded_in != vault.current().first(), place.row > after)
        .order_by(place.row)
        .limit(size)
        .with_for_update(key_share=True, skip_locked=True)
    )


def _move(place: SealedColumn, row: str, value: bytes) -> int:
    """Seal `value` anew, unless somebody else has changed it since; how many rows that were."""
    where = {"table": place.table.name, "column": place.value.name, "row": row}
    sealed = vault.seal(vault.open(value, **where), **where)
    anew = {place.value: sealed, place.recorded_in: vault.sealed_by(sealed)}
    unchanged = update(place.table).where(place.row == row, place.value == value)
    return len(database.session().execute(unchanged.values(anew).returning(place.row)).all())
