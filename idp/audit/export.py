"""Exporting the trail as JSON Lines or CSV, in bounded memory. That somebody did is an entry of its own.

A line of JSON holds all that the hash of its entry covers (see `chain`), so that whoever holds an export of a whole
chain can compute every hash again. An organization's export shows its own chain alone: numbers of the instance's would
tell how much happens elsewhere.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import select, true, tuple_

from idp.audit import search, trail
from idp.audit.chain import FACTS, INSTANCE
from idp.audit.content import Json
from idp.audit.models import Entry, EntryDetail, Seal
from idp.audit.search import COLUMNS, EVERYTHING, Found, Question
from idp.audit.trail import Actor
from idp.platform import clock, database
from idp.platform.errors import Invalid

PAGE = 500
"""Entries in memory at a time."""

_FORMULA = (*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four: full-width ones


@dataclass(frozen=True)
class Sealed:
    """The place of an exported entry in its chain: hexadecimal `hash`, times in microseconds UTC."""

    chain: str
    number: int
    hash: str
    version: int
    sealed_at: int


@dataclass(frozen=True)
class Exported:
    """An entry, its seal (`None`: not sealed yet), and digest and salt of its side row (hexadecimal)."""

    entry: Found
    seal: Sealed | None
    detail_digest: str | None
    detail_salt: str | None


@dataclass(frozen=True)
class Export:
    """An export that was recorded. `organization`: its id, or `None` for all of the installation."""

    organization: str | None
    question: Question
    form: str

    def lines(self) -> Iterator[str]:
        """The text, line by line, the oldest entry first. Ends the reading transaction between pages."""
        return FORMS[self.form](self._entries())

    def _entries(self) -> Iterator[Exported]:
        database.not_while_writing("exporting the audit trail")
        own = self.organization is not None
        seal = (Seal.organization_number, Seal.organization_hash) if own else (Seal.number, Seal.hash)
        asked = (
            select(*COLUMNS, *seal, Seal.version, Seal.sealed_at)
            .outerjoin(EntryDetail, EntryDetail.entry_id == Entry.id)
            .outerjoin(Seal, Seal.entry_id == Entry.id)
            .where(Entry.organization_id == self.organization if own else true(), *search.matching(self.question))
            .order_by(Entry.at, Entry.id)
            .limit(PAGE)
        )
        last = (0, "")
        while True:
            database.session().rollback()
            rows = database.session().execute(asked.where(tuple_(Entry.at, Entry.id) > last)).all()
            yield from (_exported(tuple(row), self.organization or INSTANCE) for row in rows)
            if len(rows) < PAGE:
                return
            last = (rows[-1].at, rows[-1].id)


def begin(organization: str, form: str, question: Question = EVERYTHING, *, by: Actor) -> Export:
    """Record that `by` exports what `question` finds in `organization` (its id); call `lines()` after the commit.

    `form` is one of `FORMS`. What happens from now on is not in it. Raises `Invalid` for another form.
    """
    return _begin(organization, form, question, by)


def begin_everywhere(form: str, question: Question = EVERYTHING, *, by: Actor) -> Export:
    """As `begin`, for all organizations and what is outside of any: for operators of the installation alone."""
    return _begin(None, form, question, by)


def _begin(organization: str | None, form: str, question: Question, by: Actor) -> Export:
    if form not in FORMS:
        raise Invalid(f"An export is one of: {', '.join(FORMS)}.", field="form")
    until = min(question.until, clock.now())  # before its own entry
    trail.record(
        "audit.exported",
        by=by,
        subject=organization or "audit",
        organization=organization,
        after={"form": form, **_asked(question)},
    )
    return Export(organization, replace(question, until=until), form)


def _asked(question: Question) -> dict[str, str]:
    """What was asked for, in words; times as RFC 3339."""
    given = {name: value for name, value in asdict(question).items() if value != getattr(EVERYTHING, name)}
    return {name: clock.iso(value) if isinstance(value, int) else value for name, value in given.items()}


def _exported(row: tuple[Any, ...], chain: str) -> Exported:
    digest, salt = row[len(FACTS) - 1], row[len(FACTS)]
    number, own_hash, version, sealed_at = row[len(COLUMNS) :]
    seal = Sealed(chain, number, own_hash.hex(), version, sealed_at) if number is not None else None
    return Exported(search.found(row), seal, digest.hex() if digest else None, salt.hex() if salt else None)


# The forms


def _as_json_lines(entries: Iterator[Exported]) -> Iterator[str]:
    for one in entries:
        yield json.dumps(_object(one), ensure_ascii=False) + "\n"


def _object(one: Exported) -> dict[str, Json]:
    entry = one.entry
    return {
        "id": entry.id,
        "at": clock.iso(entry.at),
        "event": entry.event,
        "actor": {"kind": entry.actor.kind, "id": entry.actor.id, "on_behalf_of": entry.actor.on_behalf_of},
        "subject": entry.subject,
        "organization": entry.organization_id,
        "account": entry.account_id,
        "source": entry.source,
        "request_id": entry.request_id,
        "before": entry.before,
        "after": entry.after,
        "address": entry.address,
        "user_agent": entry.user_agent,
        "email": entry.email,
        "erased": entry.is_erased,
        "detail_digest": one.detail_digest,
        "detail_salt": one.detail_salt,
        "seal": asdict(one.seal) if one.seal else None,
    }


def _as_csv(entries: Iterator[Exported]) -> Iterator[str]:
    yield _row(list(_CELLS))
    for one in entries:
        yield _row([harmless(cell(one) or "") for cell in _CELLS.values()])


def harmless(cell: str) -> str:
    """`cell` as no spreadsheet takes it for a formula (API-04)."""
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell


def _row(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow(cells)
    return line.getvalue()


def _json(value: Json) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


_CELLS: dict[str, Callable[[Exported], str | None]] = {
    "id": lambda one: one.entry.id,
    "at": lambda one: clock.iso(one.entry.at),
    "event": lambda one: one.entry.event,
    "actor_kind": lambda one: one.entry.actor.kind,
    "actor": lambda one: one.entry.actor.id,
    "on_behalf_of": lambda one: one.entry.actor.on_behalf_of,
    "subject": lambda one: one.entry.subject,
    "organization": lambda one: one.entry.organization_id,
    "account": lambda one: one.entry.account_id,
    "source": lambda one: one.entry.source,
    "request_id": lambda one: one.entry.request_id,
    "before": lambda one: _json(one.entry.before),
    "after": lambda one: _json(one.entry.after),
    "address": lambda one: one.entry.address,
    "user_agent": lambda one: one.entry.user_agent,
    "email": lambda one: one.entry.email,
    "erased": lambda one: "yes" if one.entry.is_erased else "",
    "seal_number": lambda one: str(one.seal.number) if one.seal else None,
    "seal_hash": lambda one: one.seal.hash if one.seal else None,
}

FORMS: dict[str, Callable[[Iterator[Exported]], Iterator[str]]] = {"jsonl": _as_json_lines, "csv": _as_csv}
"""The forms of an export, each a function from entries to lines."""
