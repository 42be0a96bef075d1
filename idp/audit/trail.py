"""The trail: writing an entry in the transaction of what it records, and erasing what identifies a stranger.

An entry that cannot be written takes its change with it: the exception leaves `writing()`, which rolls back (AUD-04).
"""

import contextlib
import hashlib
import hmac
import json
import secrets
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import delete, func, insert, or_, select, text

from idp.audit import content, events
from idp.audit.models import Entry, EntryDetail, Unsealed
from idp.platform import bulk, clock, correlation, database, identifiers, vault
from idp.platform.errors import Refusal
from idp.platform.prepared import Prepared

_LONGEST_AGENT = 500
_LONGEST_ADDRESS = 64
_LONGEST_E_MAIL = 320
_SALT_BYTES = 32


@dataclass(frozen=True)
class Actor:
    """Who acts. `kind`: `user`, `client`, `operator` (the command line), `system`, `connection` or `directory`.

    `id` is that of the object (`usr_…`); of the command line the name of the operating system's user.
    `on_behalf_of`: whom the actor impersonates, or whose wish an invitation carries out.
    """

    kind: str
    id: str
    on_behalf_of: str | None = None


SYSTEM = Actor("system", "canopy")
"""What happens by itself: expiry, succession, start."""


def record(
    event: str,
    *,
    by: Actor,
    subject: str,
    organization: str | None = None,
    account: str | None = None,
    before: object = None,
    after: object = None,
    source: str = "",
    email: str = "",
) -> None:
    """Write one entry; it is there if and only if the change that it records is (AUD-01).

    `event` stands in `events.EVENTS`. `before` and `after` are what `content.of` takes: of two frozen dataclasses only
    what differs is kept; secrets are masked. Network address and user agent come from the request in hand; they,
    `email` and every e-mail address in `before` and `after` stand in the erasable side row. Call it inside
    `database.writing()`. What a stranger typed as a name goes through `disguised` first.
    """
    if not database.is_writing():
        raise RuntimeError(f"{event} recorded outside of database.writing()")
    said = content.of(before, after)
    entry_id = identifiers.entry()
    detail = _detail(entry_id, (email, *said.emails))
    entry: _Columns = {
        "id": entry_id,
        "at": clock.now(),
        "event": events.known(event),
        "actor_kind": by.kind,
        "actor_id": content.text(by.id, content.LONGEST_NAME),
        "on_behalf_of": by.on_behalf_of,
        "subject": content.text(subject, content.LONGEST_NAME),
        "organization_id": organization,
        "account_id": account,
        "source": content.text(source, content.LONGEST_NAME),
        "request_id": correlation.current().request_id,
        "before_json": said.before,
        "after_json": said.after,
        "detail_digest": detail.digest() if detail else None,
    }
    waiting: list[_Written] | None = database.session().info.get(_WAITING)
    if waiting is None:
        _write(entry, detail)
        return
    waiting.append((entry, detail))
    if len(waiting) == bulk.CHUNK:
        _write_all(waiting)
        waiting.clear()


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Write the entries of the block in batches, as they come and when it ends: for acts of thousands of changes.

    They are written, too, when the block ends with a refusal: a door may keep what was done before it.
    """
    info = database.session().info
    if _WAITING in info:
        yield
        return
    waiting: list[_Written] = info.setdefault(_WAITING, [])
    try:
        yield
    except Refusal:
        _write_all(waiting)
        raise
    else:
        _write_all(waiting)
    finally:
        del info[_WAITING]


def disguised(typed: str) -> str:
    """What stands in the trail for a name that somebody typed and nobody has: it may be a password (AUD-03).

    Equal names get equal disguises, so that a series of attempts is seen; without the master key no guess at the name
    can be tried.
    """
    normal = unicodedata.normalize("NFKC", typed).strip().casefold().encode("utf-8", "surrogatepass")
    return "typed:" + hmac.digest(vault.derive("audit disguise"), normal, "sha256").hex()[:16]


def erase(*, by: Actor, person: str = "", until: int = clock.FOREVER, limit: int = 1_000) -> int:
    """Erase address, user agent and e-mail of entries older than `until` (microseconds UTC), and say so in the trail.

    With `person` (an id): only where that person acted or was acted upon, and not of the entries that this leaves.
    Without, `until` is an instant that has passed. At most `limit` entries, the oldest first; how many it were. Ask
    again until it says 0. The entries stay, and so does the chain.
    """
    now = clock.now()
    if not person and until > now:
        raise ValueError("say whose entries, or until when")
    found = select(EntryDetail.entry_id).join(Entry, Entry.id == EntryDetail.entry_id).where(Entry.at < until)
    if person:
        of_person = or_(Entry.subject == person, Entry.actor_id == person)
        found = found.where(of_person, Entry.event != "audit.erased")
    ids = database.session().scalars(found.order_by(Entry.at, Entry.id).limit(limit)).all()
    if ids:
        database.session().execute(delete(EntryDetail).where(EntryDetail.entry_id.in_(ids)))
        erased: dict[str, content.Json] = {"entries": len(ids), "until": clock.iso(min(until, now))}
        record("audit.erased", by=by, subject=person or "audit", after=erased)
    return len(ids)


@dataclass(frozen=True)
class Detail:
    """The side row of an entry; `digest` stands in the entry and so in the chain."""

    entry_id: str
    salt: bytes
    address: str
    user_agent: str
    email: str

    def digest(self) -> bytes:
        """SHA-256 over the salt and the JSON array of the three texts. With the salt gone nothing can be guessed."""
        return hashlib.sha256(self.salt + json.dumps([self.address, self.user_agent, self.email]).encode()).digest()


def _detail(entry_id: str, emails: tuple[str, ...]) -> Detail | None:
    origin = correlation.current()
    shown = (
        content.text(origin.address, _LONGEST_ADDRESS),
        content.text(origin.user_agent, _LONGEST_AGENT),
        ", ".join(dict.fromkeys(content.text(one, _LONGEST_E_MAIL) for one in emails if one)),
    )
    return Detail(entry_id, secrets.token_bytes(_SALT_BYTES), *shown) if any(shown) else None


_WAITING = "canopy_entries"
_Columns: TypeAlias = "dict[str, str | bytes | int | None]"
_Written: TypeAlias = "tuple[_Columns, Detail | None]"
"""An entry by its columns, and its side row."""


def _write(entry: _Columns, detail: Detail | None) -> None:
    _ENTRY.run(**entry)
    if detail:
        _DETAIL.run(**vars(detail))
    _QUEUE[database.is_sqlite()].run(entry_id=entry["id"])


def _write_all(entries: Sequence[_Written]) -> None:
    """Write `entries` in their order, which is that of the chain."""
    bulk.insert_many(Entry, [entry for entry, _ in entries])
    bulk.insert_many(EntryDetail, [vars(detail) for _, detail in entries if detail])
    queued: list[_Columns] = [{"entry_id": entry["id"]} for entry, _ in entries]
    if database.is_sqlite():
        last = database.session().execute(select(func.max(Unsealed.number))).scalar() or 0
        queued = [{**one, "number": number} for number, one in enumerate(queued, last + 1)]
    bulk.insert_many(Unsealed, queued)


_ENTRY = Prepared(insert(Entry), tuple)
_DETAIL = Prepared(insert(EntryDetail), tuple)
_QUEUE = {
    # PostgreSQL numbers by itself; on SQLite, which has one writer, the next number is the next number
    False: Prepared(text("INSERT INTO audit_unsealed (entry_id) VALUES (:entry_id)"), tuple),
    True: Prepared(
        text(
            "INSERT INTO audit_unsealed (entry_id, number)"
            " SELECT :entry_id, coalesce(max(number), 0) + 1 FROM audit_unsealed"
        ),
        tuple,
    ),
}
