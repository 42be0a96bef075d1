"""The links of a chain as they are stored: seals in order, and what they seal; page by page, while others write."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, true
from sqlalchemy.orm import InstrumentedAttribute

from idp.audit.chain import FACTS, INSTANCE, Facts
from idp.audit.models import Entry, EntryDetail, Head, Seal, Unsealed
from idp.audit.trail import Detail
from idp.platform import database

PAGE = 500
"""Links in memory at a time."""


@dataclass(frozen=True)
class Link:
    """A seal in one chain."""

    number: int
    hash: bytes
    version: int
    sealed_at: int
    entry_id: str


@dataclass(frozen=True)
class Step:
    """A link and what it seals; `facts` are `None` when the entry is gone, `detail` when the side row was erased.

    `organization_id` is what the seal says, `is_numbered` whether the seal has a place in an organization's chain.
    """

    link: Link
    organization_id: str | None
    is_numbered: bool
    facts: Facts | None
    detail: Detail | None


def steps_after(chain: str, number: int) -> list[Step]:
    """The next page. Ends the reading transaction first, so that the walk holds nobody up."""
    database.session().rollback()
    own = _number(chain)
    found = (
        select(*_link(chain), Seal.organization_id, Seal.organization_number.is_not(None), *FACTS, *_DETAIL)
        .outerjoin(Entry, Entry.id == Seal.entry_id)
        .outerjoin(EntryDetail, EntryDetail.entry_id == Seal.entry_id)
        .where(_within(chain), own > number)
        .order_by(own)
        .limit(PAGE)
    )
    return [_step(tuple(row)) for row in database.session().execute(found)]


def links(chain: str) -> Iterator[Link]:
    """Every link from the first on, without what it seals."""
    own, last = _number(chain), 0
    while True:
        found = select(*_link(chain)).where(_within(chain), own > last).order_by(own).limit(PAGE)
        page = [Link(*row) for row in database.session().execute(found)]
        yield from page
        if not page:
            return
        last = page[-1].number


def newest(chain: str) -> int:
    """The number of the last link, 0 if there is none."""
    return database.session().scalar(select(func.max(_number(chain))).where(_within(chain))) or 0


def entry_at(chain: str, number: int) -> str:
    """The id of the entry under that number, empty if there is none."""
    return database.session().scalar(select(Seal.entry_id).where(_within(chain), _number(chain) == number)) or ""


def next_chain(chain: str) -> str | None:
    """The organization's chain after `chain`, by heads and by seals: either may have been tampered with."""
    last = "" if chain == INSTANCE else chain
    by_head = select(func.min(Head.chain)).where(Head.chain > last, Head.chain != INSTANCE)
    by_seal = select(func.min(Seal.organization_id)).where(Seal.organization_id > last)
    found = (database.session().scalar(by_head), database.session().scalar(by_seal))
    return min((one for one in found if one), default=None)


def stray(organization: str = "") -> str:
    """The first entry that is neither sealed nor queued, empty if there is none."""
    strays = select(func.min(Entry.id)).where(
        ~exists(select(Seal.number).where(Seal.entry_id == Entry.id)),
        ~exists(select(Unsealed.number).where(Unsealed.entry_id == Entry.id)),
    )
    strays = strays.where(Entry.organization_id == organization) if organization else strays
    return database.session().scalar(strays) or ""


def unsealed(organization: str = "") -> int:
    """How many entries await the sealer."""
    waiting = select(func.count()).select_from(Unsealed)
    if organization:
        waiting = waiting.join(Entry, Entry.id == Unsealed.entry_id).where(Entry.organization_id == organization)
    return database.session().scalar(waiting) or 0


_DETAIL = tuple(getattr(EntryDetail, name) for name in Detail.__dataclass_fields__)
_OF_LINK = len(Link.__dataclass_fields__)


def _number(chain: str) -> InstrumentedAttribute[int] | InstrumentedAttribute[int | None]:
    return Seal.number if chain == INSTANCE else Seal.organization_number


def _link(chain: str) -> tuple[InstrumentedAttribute[Any], ...]:
    own = (Seal.number, Seal.hash) if chain == INSTANCE else (Seal.organization_number, Seal.organization_hash)
    return (*own, Seal.version, Seal.sealed_at, Seal.entry_id)


def _within(chain: str) -> ColumnElement[bool]:
    return true() if chain == INSTANCE else Seal.organization_id == chain


def _step(row: tuple[Any, ...]) -> Step:
    link, (organization_id, is_numbered), entry = row[:_OF_LINK], row[_OF_LINK : _OF_LINK + 2], row[_OF_LINK + 2 :]
    facts, detail = entry[: len(FACTS)], entry[len(FACTS) :]
    return Step(
        Link(*link),
        organization_id,
        bool(is_numbered),
        Facts(*facts) if facts[0] is not None else None,
        Detail(*detail) if detail[0] is not None else None,
    )
