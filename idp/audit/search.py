"""Searching the trail: what happened in one organization, or (for operators) anywhere, newest first, page by page."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select, true, tuple_, union

from idp.audit.chain import FACTS, Facts
from idp.audit.content import Json
from idp.audit.models import Entry, EntryDetail
from idp.audit.trail import Actor
from idp.platform import clock, database
from idp.platform.errors import Invalid

LONGEST_PAGE = 500


@dataclass(frozen=True)
class Question:
    """What is looked for; what is empty does not matter. `since` (inclusive) and `until` (not): microseconds UTC.

    `event` is a whole name, or the beginning of names, ending with a dot.
    """

    event: str = ""
    actor: str = ""
    subject: str = ""
    account: str = ""
    request_id: str = ""
    since: int = 0
    until: int = clock.FOREVER


EVERYTHING = Question()


@dataclass(frozen=True)
class Cursor:
    """The last entry of a page: the next page begins after it."""

    at: int
    id: str


@dataclass(frozen=True)
class Found:
    """An entry as it is shown. `is_erased`: address, user agent and e-mail were there once."""

    id: str
    at: int
    event: str
    actor: Actor
    subject: str
    organization_id: str | None
    account_id: str | None
    source: str
    request_id: str
    before: Json
    after: Json
    address: str
    user_agent: str
    email: str
    is_erased: bool


@dataclass(frozen=True)
class Page:
    """Entries, and where to go on (`None`: there are no more)."""

    entries: tuple[Found, ...]
    next: Cursor | None


def search(organization: str, question: Question = EVERYTHING, *, after: Cursor | None = None, limit: int = 50) -> Page:
    """A page of what happened in `organization` (its id) and nowhere else (ORG-11).

    Raises `Invalid` when `limit` is not between 1 and `LONGEST_PAGE`.
    """
    return _page(Entry.organization_id == organization, question, after, limit)


def search_everywhere(question: Question = EVERYTHING, *, after: Cursor | None = None, limit: int = 50) -> Page:
    """As `search`, in all organizations and outside of any: for operators of the installation alone."""
    return _page(true(), question, after, limit)


@dataclass(frozen=True)
class Own:
    """Which entries are about a person: those of which they are the subject; of what they did themselves the events
    `done`, each of which is about themselves alone; and those about what belongs to them (`belongings`: selects of
    ids). Only `events`, whatever else there is; all of them younger than `since`.
    """

    person: str
    done: frozenset[str]
    belongings: tuple[Select[str], ...]
    events: frozenset[str]
    since: int


def search_own(own: Own, *, after: Cursor | None = None, limit: int = 50) -> Page:
    """A page of what happened to a person, for themselves. Each way to it is read off an index, `limit` entries far."""
    young = [Entry.at >= own.since, Entry.event.in_(sorted(own.events))]
    if after:
        young.append(tuple_(Entry.at, Entry.id) < (after.at, after.id))
    did = and_(Entry.actor_kind == "user", Entry.actor_id == own.person, Entry.event.in_(sorted(own.done)))
    ways = (Entry.subject == own.person, did, *(Entry.subject.in_(ids) for ids in own.belongings))
    newest = (Entry.at.desc(), Entry.id.desc())
    legs = [select(Entry.id).where(way, *young).order_by(*newest).limit(limit + 1).subquery() for way in ways]
    ids = union(*(select(leg.c.id) for leg in legs))
    asked = select(*COLUMNS).outerjoin(EntryDetail, EntryDetail.entry_id == Entry.id).where(Entry.id.in_(ids))
    return _cut(database.session().execute(asked.order_by(*newest).limit(limit + 1)).all(), limit)


COLUMNS = (*FACTS, EntryDetail.salt, EntryDetail.address, EntryDetail.user_agent, EntryDetail.email)
"""What `found` reads, in its order."""


def matching(question: Question) -> list[ColumnElement[bool]]:
    """The conditions on entries that `question` amounts to, its scope apart."""
    wanted = {
        Entry.actor_id: question.actor,
        Entry.subject: question.subject,
        Entry.account_id: question.account,
        Entry.request_id: question.request_id,
    }
    conditions: list[ColumnElement[bool]] = [column == value for column, value in wanted.items() if value]
    if question.event.endswith("."):
        conditions += [Entry.event >= question.event, Entry.event < question.event[:-1] + "/"]  # the sign after the dot
    elif question.event:
        conditions.append(Entry.event == question.event)
    return [*conditions, Entry.at >= question.since, Entry.at < question.until]


def found(row: tuple[Any, ...]) -> Found:
    """An entry, from a row of `COLUMNS`."""
    facts = Facts(*row[: len(FACTS)])
    salt, address, user_agent, email = row[len(FACTS) : len(COLUMNS)]
    return Found(
        id=facts.id,
        at=facts.at,
        event=facts.event,
        actor=Actor(facts.actor_kind, facts.actor_id, facts.on_behalf_of),
        subject=facts.subject,
        organization_id=facts.organization_id,
        account_id=facts.account_id,
        source=facts.source,
        request_id=facts.request_id,
        before=json.loads(facts.before_json or "null"),
        after=json.loads(facts.after_json or "null"),
        address=address or "",
        user_agent=user_agent or "",
        email=email or "",
        is_erased=facts.detail_digest is not None and salt is None,
    )


def _page(scope: ColumnElement[bool], question: Question, after: Cursor | None, limit: int) -> Page:
    if not 0 < limit <= LONGEST_PAGE:
        raise Invalid(f"A page has 1 to {LONGEST_PAGE} entries.", field="limit")
    asked = select(*COLUMNS).outerjoin(EntryDetail, EntryDetail.entry_id == Entry.id).where(scope, *matching(question))
    if after:
        asked = asked.where(tuple_(Entry.at, Entry.id) < (after.at, after.id))
    return _cut(
        database.session().execute(asked.order_by(Entry.at.desc(), Entry.id.desc()).limit(limit + 1)).all(), limit
    )


def _cut(rows: Sequence[Any], limit: int) -> Page:
    entries = tuple(found(tuple(row)) for row in rows[:limit])
    return Page(entries, Cursor(entries[-1].at, entries[-1].id) if len(rows) > limit else None)
