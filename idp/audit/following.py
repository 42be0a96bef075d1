"""Following the trail: entries in the order in which they were sealed, for whatever reacts to them (ADR 6)."""

from dataclasses import dataclass

from sqlalchemy import exists, select

from idp.audit.models import Entry, EntryDetail, Seal
from idp.audit.search import COLUMNS, Found, found
from idp.platform import database


@dataclass(frozen=True)
class Sealed:
    """An entry, and its number in the chain of the instance, which counts from 1 without gaps."""

    number: int
    entry: Found


def after(number: int, limit: int) -> list[Sealed]:
    """Up to `limit` entries that were sealed after the one with that number, in their order."""
    wanted = (
        select(Seal.number, *COLUMNS)
        .join(Entry, Entry.id == Seal.entry_id)
        .outerjoin(EntryDetail, EntryDetail.entry_id == Entry.id)
        .where(Seal.number > number)
    )
    rows = database.session().execute(wanted.order_by(Seal.number).limit(limit))
    return [Sealed(row[0], found(tuple(row)[1:])) for row in rows]


def happened_with(entry: Found, events: tuple[str, ...], subjects: tuple[str, ...]) -> bool:
    """Whether one of `events` was done to one of `subjects` in the same request or command, sealed or not."""
    same = select(Entry.id).where(
        Entry.subject.in_(subjects), Entry.event.in_(events), Entry.request_id == entry.request_id
    )
    return bool(database.session().scalar(select(exists(same))))
