"""Codes by mail: a factor that somebody turns on, and codes that are mailed when they ask for one.

A code has eight digits, is good for ten minutes, once, and only in the sign-in or session that asked for it. Which
address it goes to is the caller's to know; one that was mailed elsewhere is good no more.
"""

import hmac
import json
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, select, update

from idp.audit import trail
from idp.audit.trail import Actor
from idp.credentials import factors
from idp.credentials.models import EmailCode, Factor
from idp.platform import clock, database, outbox, typed_codes, vault
from idp.platform.errors import Refusal
from idp.platform.outbox import Letter
from idp.platform.settings import settings
from idp.users.locks import lock
from idp.users.models import User

DIGITS = 8

LIFETIME = 10 * clock.MINUTE
"""How long a code is good."""

MOST = 3
"""Codes that are mailed to one person within `WINDOW`."""

WINDOW = 15 * clock.MINUTE

_PURPOSE = "email code"


class TooManyCodes(Refusal):
    """Enough codes were mailed to the person for now; another one is after `retry_after` seconds."""

    code = "too_many_codes"
    status = 429
    title = "Enough codes were sent for now"
    remedy = "Look for the last one, also where unwanted mail goes, or wait until the time that is named has passed."

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


@dataclass(frozen=True)
class Sent:
    """A code that was mailed to `address` and can be used until `expires_at`."""

    address: str
    expires_at: int


def pending(user_id: str, bound_to: str, address: str) -> Sent | None:
    """The code that the person was mailed in that sign-in or session, while it can be used."""
    wanted = select(EmailCode).where(*_usable(user_id, bound_to, address))
    row = database.session().scalars(wanted, execution_options={"populate_existing": True}).one_or_none()
    return None if row is None else Sent(row.address, row.expires_at)


# Each of these is called inside `database.writing()`


def send(user_id: str, bound_to: str, address: str, language: str) -> None:
    """Mail the person a new code; an earlier one of this sign-in or session is good no more. Raises `TooManyCodes`."""
    lock(user_id)
    now, code = clock.now(), typed_codes.drawn_digits(DIGITS)
    before = _require_room(user_id, bound_to, now)
    _forget(user_id, bound_to)
    row = EmailCode(
        bound_to=bound_to,
        user_id=user_id,
        code_digest=_digest(vault.derive(_PURPOSE), user_id, bound_to, code),
        address=address,
        sent=before + 1,
        created_at=now,
        expires_at=now + LIFETIME,
    )
    database.session().add(row)
    database.session().flush()
    outbox.post(Letter("email_code", address, language, code=code, expires_at=row.expires_at))
    trail.record("user.code.mailed", by=Actor("user", user_id), subject=user_id, email=address)


def verify(user_id: str, bound_to: str, code: str, address: str) -> str | None:
    """The id of the person's factor, if `code` is the one that was mailed to that address for that sign-in or session.

    One statement takes the code: of two that come with it one is right.
    """
    lock(user_id)
    mailbox = factors.mailbox_of(user_id)
    if mailbox is None or not _take(user_id, bound_to, code, address):
        return None
    factors.used(mailbox.id)
    return mailbox.id


def confirm(user_id: str, bound_to: str, code: str, address: str, *, by: Actor) -> Factor | None:
    """Turn codes by mail on, if `code` is the one that was mailed to that address for that sign-in or session; the
    factor. It is nobody's twice.
    """
    lock(user_id)
    if not _take(user_id, bound_to, code, address):
        return None
    return factors.mailbox_of(user_id) or factors.add(user_id, "email_code", "", by=by)


def void_all() -> int:
    """Let no code be good any more that was mailed until now, whatever the time is elsewhere; how many."""
    open_ones = update(EmailCode).where(EmailCode.used_at.is_(None)).values(used_at=clock.now())
    return int(database.session().execute(open_ones).rowcount)  # type: ignore[attr-defined]


def clean_up(limit: int = 500) -> int:
    """Delete up to `limit` codes that count for nothing any more, nor towards `MOST`; how many."""
    old = select(EmailCode.bound_to).where(EmailCode.expires_at < clock.now() - WINDOW).limit(limit)
    gone = database.session().execute(
        delete(EmailCode).where(EmailCode.bound_to.in_(old), EmailCode.expires_at < clock.now() - WINDOW)
    )
    return int(gone.rowcount)  # type: ignore[attr-defined]


def forget(user: User, by: Actor) -> None:
    """A step of `lifecycle.before_deleting`: a deleted person leaves no codes."""
    database.session().execute(delete(EmailCode).where(EmailCode.user_id == user.id))


def _require_room(user_id: str, bound_to: str, now: int) -> int:
    """How many codes were mailed lately at this place; a row that was mailed again counts all its codes as of the last.

    Raises `TooManyCodes`.
    """
    lately = select(EmailCode).where(EmailCode.user_id == user_id, EmailCode.created_at > now - WINDOW)
    rows = list(database.session().scalars(lately, execution_options={"populate_existing": True}))
    if settings().rate_limits == "on" and sum(row.sent for row in rows) >= MOST:
        free_at = min(row.created_at for row in rows) + WINDOW
        raise TooManyCodes(max(1, -(-(free_at - now) // clock.SECOND)))
    return next((row.sent for row in rows if row.bound_to == bound_to), 0)


def _take(user_id: str, bound_to: str, code: str, address: str) -> bool:
    typed = typed_codes.digits(code)
    digests = [_digest(key, user_id, bound_to, typed) for key in vault.derived_keys(_PURPOSE)]
    mine = update(EmailCode).where(*_usable(user_id, bound_to, address), EmailCode.code_digest.in_(digests))
    taken = database.session().execute(
        mine.values(used_at=clock.now()), execution_options={"synchronize_session": False}
    )
    return bool(taken.rowcount)  # type: ignore[attr-defined]


def _usable(user_id: str, bound_to: str, address: str) -> tuple[ColumnElement[bool], ...]:
    return (
        EmailCode.user_id == user_id,
        EmailCode.bound_to == bound_to,
        EmailCode.address == address,
        EmailCode.used_at.is_(None),
        EmailCode.expires_at > clock.now(),
    )


def _forget(user_id: str, bound_to: str) -> None:
    old = delete(EmailCode).where(EmailCode.user_id == user_id, EmailCode.bound_to == bound_to)
    database.session().execute(old)


def _digest(key: bytes, user_id: str, bound_to: str, code: str) -> bytes:
    """Under which a code is stored: keyed, for there are not many codes."""
    return hmac.digest(key, json.dumps([user_id, bound_to, code]).encode(), "sha256")
