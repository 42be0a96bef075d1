"""How often somebody may be wrong: limits that every way to prove something shares (LOG-04).

An attempt is counted as failed before it is looked at, and taken back when it was right; so a thousand at once are
never more than the limit (LOG-06). Counts live in the database, for all nodes and across restarts. They are, for

* a device on which the person has signed in before: its own failures and nobody else's (LOG-05); and else for
* a source (an IPv4 address or an IPv6 /64): failures for whomever, out of an allowance that refills with time;
* a name: failures in a row from wherever;
* a name and a source: failures in a row;
* a person, by whichever of their names: failures in a row from wherever.

Failures in a row are free up to a number, then each is followed by a wait, twice as long as the last up to an hour.
Every wait ends by itself, and whoever asks during one does not make it longer. Nothing here tells whether a person
exists, or that two names are one person's: counts are kept for whatever was typed, and only what these hold back is
said. What the count of the person holds back is not looked at and answered as if it were wrong (LOG-01).
"""

import hashlib
import ipaddress
import json
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from idp.credentials.models import GuessCount
from idp.platform import clock, database
from idp.platform.errors import Refusal
from idp.platform.settings import settings

FREE_IN_A_ROW = 10
"""Failures for a name from a source, or for a person on a known device, before the first wait."""

FREE_FOR_A_PERSON = 100
"""Failures for a name, and for a person by all names, from all unknown devices together before the first wait."""

ALLOWANCE = 100
"""Failures that a source may make at once, for whomever."""

REFILL = 10 * clock.SECOND
"""The time in which a source gets one of its failures back."""

WAITS = tuple(min(15 * clock.SECOND * 2**step, clock.HOUR) for step in range(9))
"""What follows the failures that are no longer free; the last one is repeated."""

FORGOTTEN = clock.DAY
"""Failures in a row are forgotten when none was added for so long."""

_IPV6_NETWORK = 64


class TooMany(Refusal):
    """Too many attempts have failed; the next one is looked at after `retry_after` seconds (RFC 6585 §4)."""

    code = "too_many_attempts"
    status = 429
    title = "Too many attempts have failed"
    remedy = "Wait until the time that is named has passed, then try again."

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


@dataclass(frozen=True)
class Limit:
    """One count: the `key` of its row, and how many failures in a row are `free` (0: an allowance that refills).

    `is_told`: whoever is held back by it is told so. `GuessCount.waits_until` is the end of the wait, or the time at
    which an allowance will have refilled.
    """

    key: bytes
    free: int
    is_told: bool = True

    @property
    def slack(self) -> int:
        """How far (in microseconds) `waits_until` may lie ahead of an attempt that is still looked at."""
        return 0 if self.free else (ALLOWANCE - 1) * REFILL


@dataclass(frozen=True)
class Reservation:
    """An attempt that was counted as failed: under which limits, each with its `waits_until` since then.

    `begins_wait`: if it fails indeed, the next one is held back for a time. `is_barred`: it is held back without
    being told: it must be answered as if it were wrong, and not be looked at.
    """

    counted: tuple[tuple[Limit, int], ...] = ()
    begins_wait: bool = False
    is_barred: bool = False


@dataclass(frozen=True)
class Guesser:
    """Who is to be signed in, as far as limits go, and from where.

    `name`: what was typed, in its normal form. `person`: the id of whom it names, if anybody. `source`: the network
    address. `device`: the id of the browser if the person has signed in there before.
    """

    name: str
    source: str
    person: str = ""
    device: str = ""


def reserve(who: Guesser) -> Reservation:
    """Count an attempt as failed, before it is looked at. Inside `database.writing()`.

    Raises `TooMany` when attempts are held back, and then counts nothing.
    """
    if settings().rate_limits == "off":
        return Reservation()
    now = clock.now()
    with database.session().begin_nested():
        asked = [(limit, _count(limit, now)) for limit in _limits(who)]
    counted = tuple((limit, waits_until) for limit, waits_until in asked if waits_until is not None)
    begins_wait = any(waits_until > now for limit, waits_until in counted if limit.free)
    return Reservation(counted, begins_wait, is_barred=len(counted) < len(asked))


def count_unguessable(source: str) -> None:
    """Count the failure of a proof that nobody can guess, under its source alone. Inside `database.writing()`.

    Such a proof is looked at before it is counted, so that nobody's failures hold anybody's back (LOG-05). Raises
    `TooMany` once the source has used its allowance up, and then counts nothing.
    """
    if settings().rate_limits == "on":
        _count(_of_source(network_of(source)), clock.now())


def succeeded(reservation: Reservation) -> None:
    """Take back the count of an attempt that was right; earlier failures stay. Inside `database.writing()`."""
    for limit, waits_until in reservation.counted:
        _take_back(limit, waits_until)


def forgive(who: Guesser) -> None:
    """Forget the failures in a row of somebody who is signed in now, all proofs given. Inside `database.writing()`.

    Not after a first proof only: whoever knows a password could otherwise guess codes without end.
    """
    in_a_row = [limit.key for limit in _limits(who) if limit.free]
    database.session().execute(delete(GuessCount).where(GuessCount.key_digest.in_(in_a_row)))


def clean_up(limit: int = 500) -> int:
    """Delete up to `limit` counts that are forgotten anyway; how many. Inside `database.writing()`."""
    now = clock.now()
    old = select(GuessCount.key_digest).where(GuessCount.last_at < now - FORGOTTEN, GuessCount.waits_until <= now)
    keys = list(database.session().scalars(old.limit(limit).with_for_update(skip_locked=True)))
    if keys:
        database.session().execute(delete(GuessCount).where(GuessCount.key_digest.in_(keys)))
    return len(keys)


def _limits(who: Guesser) -> tuple[Limit, ...]:
    """What an attempt counts under, always in this order: nodes lock the same rows in the same order.

    A name that is nobody's has a person's count all the same, so that as much is asked of the database.
    """
    if who.device:
        return (Limit(_key("device", who.person, who.device), FREE_IN_A_ROW),)
    network = network_of(who.source)
    return (
        _of_source(network),
        Limit(_key("name", who.name), FREE_FOR_A_PERSON),
        Limit(_key("name and source", who.name, network), FREE_IN_A_ROW),
        Limit(_key("person", who.person or who.name), FREE_FOR_A_PERSON, is_told=False),
    )


def _of_source(network: str) -> Limit:
    return Limit(_key("source", network), 0)


def _key(*parts: str) -> bytes:
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def network_of(address: str) -> str:
    """What counts as one source: the address, or the /64 of one of IPv6: who has one address there has all of them."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), _IPV6_NETWORK), strict=False))


# Rows


def _count(limit: Limit, now: int) -> int | None:
    """Count one failure; the `waits_until` of its row from now on, `None` where it is held back and not told.

    One statement decides and counts. Raises `TooMany`.
    """
    first, then = (0, _waits_until(limit.free, now)) if limit.free else (now + REFILL, _full_again_at(now))
    insert = sqlite.insert if database.is_sqlite() else postgresql.insert
    begun = insert(GuessCount).values(key_digest=limit.key, failures=1, last_at=now, waits_until=first)
    counting = begun.on_conflict_do_update(
        index_elements=[GuessCount.key_digest],
        set_={"failures": _failures(now), "last_at": now, "waits_until": then},
        where=GuessCount.waits_until <= now + limit.slack,
    ).returning(GuessCount.waits_until)
    waits_until = database.session().execute(counting).scalar_one_or_none()
    if waits_until is None and limit.is_told:
        raise TooMany(_seconds(_held_until(limit) - now))
    return None if waits_until is None else int(waits_until)


def _failures(now: int) -> ColumnElement[int]:
    """The failures in a row, this one among them."""
    return case((GuessCount.last_at < now - FORGOTTEN, 1), else_=GuessCount.failures + 1)


def _waits_until(free: int, now: int) -> ColumnElement[int]:
    """A step of `WAITS` for every failure that is no longer free."""
    failures = _failures(now)
    steps = [(failures == free + step, now + wait) for step, wait in enumerate(WAITS)]
    return case((failures < free, 0), *steps, else_=now + WAITS[-1])


def _full_again_at(now: int) -> ColumnElement[int]:
    """When an allowance has refilled after one more failure: `REFILL` later than before, or than now."""
    return case((GuessCount.waits_until > now, GuessCount.waits_until), else_=now) + REFILL


def _held_until(limit: Limit) -> int:
    statement = select(GuessCount.waits_until).where(GuessCount.key_digest == limit.key)
    return (database.session().scalar(statement) or 0) - limit.slack


def _seconds(duration: int) -> int:
    return max(1, -(-duration // clock.SECOND))


def _take_back(limit: Limit, waits_until: int) -> None:
    """Count one failure less; a wait ends if it began with this failure and not with one that came later."""
    rest = GuessCount.waits_until - REFILL
    if limit.free:
        rest = case((GuessCount.waits_until == waits_until, 0), else_=GuessCount.waits_until)
    row = update(GuessCount).where(GuessCount.key_digest == limit.key, GuessCount.failures > 0)
    database.session().execute(row.values(failures=GuessCount.failures - 1, waits_until=rest))
