"""The sealer: chains entries by hash, for the instance and each organization, within a second of their writing.

Writing an entry never waits for a chain: it queues the entry, and one sealer at a time takes entries from the queue,
in the order in which they were written. What lies in the queue (the last second) is not sealed yet: who can write the
database can still change it unseen. The head of each chain is sealed by the vault, so that a cut tail is missed.
"""

from collections.abc import Iterable

from sqlalchemy import Select, delete, exists, insert, select, text

from idp.audit.chain import FACTS, INSTANCE, VERSION, ChainHead, Facts, Place, link
from idp.audit.models import Entry, Head, Seal, Unsealed
from idp.platform import clock, database, vault
from idp.platform.rounds import Application, Rounds

EVERY = 0.25
"""Seconds between two looks at the queue."""

BATCH = 200
"""Entries sealed in one transaction: few enough that on SQLite no other writer waits long."""

_LOCK = 7_214_903
"""The PostgreSQL advisory lock that the one node holds that is just sealing."""


class ChainBroken(Exception):
    """The chain is not as its head says: sealing stops, so that nothing is covered up. `verify` says what is wrong."""


class Sealer:
    """Seals in the background of one process. Several processes and nodes may: one of them does, the others pass."""

    def __init__(self, app: Application, *, every: float = EVERY, batch: int = BATCH) -> None:
        self._batch = batch
        self._rounds = Rounds("audit sealer", app, self._round, every=every)

    def start(self) -> None:
        """Begin in this process."""
        self._rounds.start()

    def stop(self) -> None:
        """End after the batch in hand. What is left is sealed by the next sealer."""
        self._rounds.stop()

    def _round(self) -> bool:
        if not database.session().scalar(select(exists(select(Unsealed.entry_id)))):
            return False
        with database.writing():
            return seal_batch(self._batch) == self._batch


def seal_batch(limit: int = BATCH) -> int:
    """Seal up to `limit` entries, the oldest first; how many it were (0 also while another node is sealing).

    Call it inside `database.writing()`. Raises `ChainBroken` when a head is not the one that was last written.
    """
    if not _is_alone():
        return 0
    waiting = _waiting(limit)
    heads = _heads({INSTANCE, *(facts.organization_id for facts in waiting if facts.organization_id)})
    now = clock.now()
    rows = [_sealed(facts, heads, now) for facts in waiting]
    if rows:
        session = database.session()
        session.execute(insert(Seal), rows)
        session.execute(delete(Unsealed).where(Unsealed.entry_id.in_([facts.id for facts in waiting])))
        _keep(heads.values())
    return len(rows)


def head(chain: str = INSTANCE) -> ChainHead | None:
    """The newest link of a chain (`instance` or an organization's id), to be kept elsewhere; `None` before the first.

    Raises `ChainBroken` when the stored head is not the one that was last written.
    """
    stored = database.session().get(Head, chain, populate_existing=True)
    return trusted(stored) if stored else None


def trusted(stored: Head) -> ChainHead:
    """What `stored` says, if we wrote it. Raises `ChainBroken`."""
    said = ChainHead(stored.chain, stored.number, stored.hash)
    try:
        witness = vault.open(stored.witness, table=Head.__tablename__, column="witness", row=stored.chain)
    except vault.Unopenable as unopenable:
        raise ChainBroken(f"the head of chain {stored.chain} cannot be trusted: {unopenable}") from unopenable
    if witness.decode() != str(said):
        raise ChainBroken(f"the head of chain {stored.chain} is not the one that was last written")
    return said


def _is_alone() -> bool:
    """Whether nobody else seals until this transaction ends."""
    if database.is_sqlite():
        return True
    return bool(database.session().scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}))


def _waiting(limit: int) -> list[Facts]:
    queue = select(*FACTS).join(Unsealed, Unsealed.entry_id == Entry.id).order_by(Unsealed.number, Entry.id)
    return [Facts(*row) for row in database.session().execute(queue.limit(limit))]


def _heads(chains: set[str]) -> dict[str, ChainHead]:
    """Where each of `chains` stands; a new one before its first link."""
    stored = database.session().scalars(select(Head).where(Head.chain.in_(chains)))
    heads = {one.chain: trusted(one) for one in stored}
    for chain in chains - heads.keys():
        if database.session().scalar(select(exists(_of(chain)))):
            raise ChainBroken(f"chain {chain} has no head any more")
        heads[chain] = ChainHead(chain, 0, b"")
    return heads


def _of(chain: str) -> Select[int]:
    seals = select(Seal.number)
    return seals if chain == INSTANCE else seals.where(Seal.organization_id == chain)


def _sealed(facts: Facts, heads: dict[str, ChainHead], now: int) -> dict[str, str | int | bytes | None]:
    """The seal of an entry as a row; `heads` move on."""
    everyones = _append(facts, INSTANCE, heads, now)
    own = _append(facts, facts.organization_id, heads, now) if facts.organization_id else None
    return {
        "number": everyones.number,
        "entry_id": facts.id,
        "hash": everyones.hash,
        "version": VERSION,
        "organization_id": facts.organization_id,
        "organization_number": own.number if own else None,
        "organization_hash": own.hash if own else None,
        "sealed_at": now,
    }


def _append(facts: Facts, chain: str, heads: dict[str, ChainHead], now: int) -> ChainHead:
    place = Place(chain, heads[chain].number + 1, heads[chain].hash, now)
    heads[chain] = ChainHead(chain, place.number, link(facts, place))
    return heads[chain]


def _keep(heads: Iterable[ChainHead]) -> None:
    for one in heads:
        witness = vault.seal(str(one).encode(), table=Head.__tablename__, column="witness", row=one.chain)
        stored = Head(
            chain=one.chain,
            number=one.number,
            hash=one.hash,
            witness=witness,
            sealed_by=vault.sealed_by(witness),
        )
        database.session().merge(stored)
