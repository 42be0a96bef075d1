"""Acknowledgements: how far each instance of a service has followed the feed, as it says itself when it asks for more.

Polls are noted in memory and written down in rounds, so that an answer waits for no write: an instance's row is written
when its position grew, else now and then to show that it still follows, and never more than once a second.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import BigInteger, Text, bindparam, case, select, text, update

from idp.feed.models import Acknowledgement
from idp.platform import clock, database, memory
from idp.platform.prepared import Prepared

MOST = 100
"""Instances of one client that are kept; what others say is not."""

EVERY = 1.0
"""Seconds between two rounds."""

_APART = clock.SECOND
_SHOWN = 10 * clock.SECOND
"""How long an instance that has nothing new to say goes without being written."""

_FORGOTTEN = clock.HOUR


@dataclass(frozen=True)
class Following:
    """An instance that follows: it has taken in everything up to `position`.

    `reached_at`: when it first said so; `seen_at`: when it last said anything. Microseconds since 1970 UTC.
    """

    client_id: str
    instance: str
    position: int
    reached_at: int
    seen_at: int


def note(client_id: str, instance: str, position: int) -> None:
    """Remember, until `write`, that `instance` (a name of the client's choosing) has taken in all up to `position`."""
    memory.of(_Notes).add(client_id, instance, position)


def due() -> list[Following]:
    """What this process noted and the table does not say yet, of instances whose time to be written has come.

    Always in the same order: nodes that write at once then wait for one another, and do not deadlock.
    """
    notes = memory.of(_Notes)
    return [said for said in notes.due() if notes.compare(said, _stored(said.client_id, said.instance))]


def write(noted: Sequence[Following]) -> None:
    """Write down what was `due`. Call it inside `database.writing()`.

    What another node wrote within the last second stays as it is, and so does a position that is further on. A client
    has at most `MOST` instances, and as many more as several nodes write of it in one moment.
    """
    for said in noted:
        if not _UPDATE.run(**vars(said), before=said.seen_at - _APART):
            _INSERT.run(**vars(said), most=MOST)


def of_client(client_id: str) -> list[Following]:
    """The instances of the client that were seen within the last hour or so, by name."""
    return _OF_CLIENT.all(client_id=client_id)


def clean_up(limit: int = 1_000) -> int:
    """Delete up to `limit` instances that were not seen for an hour; how many it were. Inside `database.writing()`."""
    changed = database.session().execute(
        text(
            "DELETE FROM feed_acknowledgements WHERE (client_id, instance) IN (SELECT client_id, instance"
            " FROM feed_acknowledgements WHERE seen_at < :before ORDER BY seen_at LIMIT :limit)"
        ),
        {"before": clock.now() - _FORGOTTEN, "limit": limit},
    )
    return int(changed.rowcount)  # type: ignore[attr-defined]


class _Notes:
    """Of one application in this process: the last word of each instance, and what the table said of it last."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], Following] = {}
        self._known: dict[tuple[str, str], Following] = {}
        self._instances: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, client_id: str, instance: str, position: int) -> None:
        """Take the word of an instance; that of one too many is not taken. Positions only grow."""
        key, now = (client_id, instance), clock.now()
        with self._lock:
            known = self._said.get(key)
            if known is None and self._instances[client_id] >= MOST:
                return
            self._instances[client_id] += known is None
            if known is None or position > known.position:
                known = Following(client_id, instance, position, now, now)
            self._said[key] = replace(known, seen_at=now)

    def due(self) -> list[Following]:
        """What was noted since it was last found in the table."""
        with self._lock:
            self._forget(clock.now() - _FORGOTTEN)
            new = [said for key, said in self._said.items() if not _covers(self._known.get(key), said)]
        return sorted(new, key=_key)

    def compare(self, said: Following, stored: Following | None) -> bool:
        """Whether what was said is to be written now, where the table says what is `stored`, which is remembered."""
        if stored is None:
            return True
        with self._lock:
            self._known[_key(said)] = stored
        return not _covers(stored, said) and stored.seen_at <= said.seen_at - _APART

    def _forget(self, before: int) -> None:
        for key in [key for key, said in self._said.items() if said.seen_at < before]:
            del self._said[key]
            self._known.pop(key, None)
            self._instances[key[0]] -= 1


def _key(said: Following) -> tuple[str, str]:
    return said.client_id, said.instance


def _covers(stored: Following | None, said: Following) -> bool:
    """Whether the table says enough."""
    return stored is not None and stored.position >= said.position and stored.seen_at > said.seen_at - _SHOWN


def _stored(client_id: str, instance: str) -> Following | None:
    return _STORED.one(client_id=client_id, instance=instance)


_CLIENT, _INSTANCE = bindparam("client_id", type_=Text), bindparam("instance", type_=Text)
_POSITION, _REACHED = bindparam("position", type_=BigInteger), bindparam("reached_at", type_=BigInteger)
_SAME = (Acknowledgement.client_id == _CLIENT, Acknowledgement.instance == _INSTANCE)

_ALL = select(
    Acknowledgement.client_id,
    Acknowledgement.instance,
    Acknowledgement.position,
    Acknowledgement.reached_at,
    Acknowledgement.seen_at,
)
_OF_CLIENT = Prepared(_ALL.where(Acknowledgement.client_id == _CLIENT).order_by(Acknowledgement.instance), Following)
_STORED = Prepared(_ALL.where(*_SAME), Following)

_UPDATE: Prepared[object] = Prepared(
    update(Acknowledgement)
    .where(
        *_SAME,
        Acknowledgement.position <= _POSITION,
        Acknowledgement.seen_at <= bindparam("before", type_=BigInteger),
    )
    .values(
        reached_at=case((Acknowledgement.position < _POSITION, _REACHED), else_=Acknowledgement.reached_at),
        position=_POSITION,
        seen_at=bindparam("seen_at", type_=BigInteger),
    ),
    object,
)

_INSERT: Prepared[object] = Prepared(
    text(
        "INSERT INTO feed_acknowledgements (client_id, instance, position, reached_at, seen_at)"
        " SELECT :client_id, :instance, :position, :reached_at, :seen_at"
        " WHERE (SELECT count(*) FROM feed_acknowledgements WHERE client_id = :client_id) < :most"
        " ON CONFLICT DO NOTHING"
    ),
    object,
)
