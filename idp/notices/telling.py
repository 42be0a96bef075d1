"""Telling: entries of the trail become letters, each once, in the order in which they were sealed.

The letters of an entry and the step past it are one transaction, so that a notice is neither lost nor repeated. One
node at a time moves on; the others pass.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from sqlalchemy import exists, func, select

from idp.audit import following
from idp.audit.models import Seal
from idp.audit.search import Found
from idp.credentials import not_me
from idp.notices import notices
from idp.notices.models import Position, Told
from idp.notices.notices import NOTICES, Notice
from idp.notices.readers import Reader
from idp.platform import clock, database, outbox
from idp.platform.outbox import Letter
from idp.sessions import devices
from idp.users import languages, zones

BATCH: Final = 100
"""Entries that are read in one transaction."""

log = structlog.get_logger()


def is_behind() -> bool:
    """Whether there are entries that nobody has looked at."""
    newest = select(func.max(Seal.number)).scalar_subquery()
    return bool(database.session().scalar(select(exists().where(Position.number < newest))))


def tell(limit: int = BATCH) -> int:
    """Post the letters that the next entries ask for, at most `limit` of them; how many entries it were.

    Call it inside `database.writing()`. What goes wrong with one entry is logged, and the others are told.
    """
    mine = select(Position).with_for_update(skip_locked=True)
    position = database.session().scalars(mine, execution_options={"populate_existing": True}).one_or_none()
    if position is None:
        return 0
    found = following.after(position.number, limit)
    for sealed in found:
        _tell(sealed.entry)
        position.number = sealed.number
    return len(found)


def _tell(entry: Found) -> None:
    for notice in _BY_EVENT.get(entry.event, ()):
        try:
            with database.session().begin_nested():
                _post(notice, entry)
        except Exception as error:
            if database.refusal_for(error) is not None:
                raise
            log.error("notice not posted", entry=entry.id, event_name=entry.event, exc_info=error)


def _post(notice: Notice, entry: Found) -> None:
    if not notice.applies(entry) or notices.is_told_otherwise(notice, entry):
        return
    facts = {**notice.facts(entry), **_circumstances(entry)}
    for reader in notice.readers(entry):
        if _was_told(notice, reader):
            continue
        outbox.post(
            Letter(
                notice.template,
                reader.address,
                languages.of(reader.user),
                facts,
                notice.path,
                not_me=_link(notice, entry, reader),
                zone=zones.of(reader.user),
            )
        )


def _circumstances(entry: Found) -> dict[str, str | int]:
    """When it was done, by whom, and in which browser, if its reader did it: nobody is told where others are."""
    if notices.is_by_the_person(entry):
        device = ", ".join(filter(None, devices.described(entry.user_agent)))
        return {"at": entry.at, "who": "self", "device": device}
    kinds = {"user": "somebody", "operator": "operator"}
    return {"at": entry.at, "who": kinds.get(entry.actor.kind, "system")}


def _link(notice: Notice, entry: Found, reader: Reader) -> str:
    """A link for whoever did not do what is said to be theirs; what others did is not undone by it."""
    if not (notice.with_link and reader.is_theirs and notices.is_by_the_person(entry)):
        return ""
    return not_me.path(reader.user.id, reader.address, reader.address_key)


def _was_told(notice: Notice, reader: Reader) -> bool:
    """Whether the reader was told of the same lately; if not, that they are told now is written down."""
    if not notice.seldom:
        return False
    before = database.session().get(Told, (reader.user.id, notice.template))
    now = clock.now()
    if before is None:
        database.session().add(Told(user_id=reader.user.id, template=notice.template, told_at=now))
        return False
    if now - before.told_at < notice.seldom:
        return True
    before.told_at = now
    return False


def _by_event(listed: Sequence[Notice]) -> Mapping[str, list[Notice]]:
    found: dict[str, list[Notice]] = defaultdict(list)
    for notice in listed:
        found[notice.event].append(notice)
    return dict(found)


_BY_EVENT: Final = _by_event(NOTICES)
