"""Links that were mailed: for one purpose, one person and one address, spent once, shown by nobody but the mail.

Looking at one changes nothing, so whatever opens links in mails on the way may (RST-04).
"""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, delete, select, update

from idp.audit.trail import Actor
from idp.credentials.models import MailedLink
from idp.platform import bearer, clock, database
from idp.platform.errors import Refusal
from idp.users.models import User

Purpose = Literal["recover", "verify", "undo", "sign_up", "enrol", "not_me", "keep_factors"]

PREFIX = "clink_"

KEPT = clock.DAY
"""How long a link is remembered after its end."""


class LinkVoid(Refusal):
    """The link is unknown, used, too old, for something else, or what it rests on has changed: nobody is told which."""

    code = "link_void"
    status = 410
    title = "This link cannot be used any more"
    remedy = "It may have been used already, or be too old. Ask for a new one."


@dataclass(frozen=True)
class Link:
    """What a link was made for. `rests_on`: what had to be as it was, in words of its purpose."""

    purpose: str
    user_id: str | None
    address: str
    address_key: str
    rests_on: str
    created_at: int
    expires_at: int


def id_of(token: str) -> str:
    """What the link with that token is called where it is written down: nobody makes a token of it."""
    return bearer.digest(token).hex()


def is_usable(id: str, purpose: Purpose) -> bool:
    """Whether the link with that `id_of` can be used."""
    row = database.session().get(MailedLink, bytes.fromhex(id), populate_existing=True)
    is_open = row is not None and row.purpose == purpose and row.used_at is None and row.ended_at is None
    return is_open and row is not None and clock.now() < row.expires_at


def find(token: str, purpose: Purpose) -> Link:
    """What the link is for, while it can be used. Raises `LinkVoid`. Whether what it rests on still holds is the
    caller's to see.
    """
    wanted = select(MailedLink).where(MailedLink.digest == bearer.digest(token), MailedLink.purpose == purpose)
    row = database.session().scalars(wanted, execution_options={"populate_existing": True}).one_or_none()
    if row is None or row.used_at is not None or row.ended_at is not None or clock.now() >= row.expires_at:
        raise LinkVoid
    return _value(row)


def open_ones(purpose: Purpose, user_id: str) -> list[Link]:
    """The links for this that were mailed for the person and can be used, the oldest first."""
    wanted = select(MailedLink).where(
        MailedLink.user_id == user_id,
        MailedLink.purpose == purpose,
        MailedLink.used_at.is_(None),
        MailedLink.ended_at.is_(None),
        MailedLink.expires_at > clock.now(),
    )
    in_order = wanted.order_by(MailedLink.created_at, MailedLink.digest)
    return [_value(row) for row in database.session().scalars(in_order)]


# Each of these is called inside `database.writing()`


def make(
    purpose: Purpose, user_id: str | None, address: str, address_key: str, *, lifetime: int, rests_on: str = ""
) -> str:
    """The token of a new link, good for `lifetime` microseconds; nothing but its digest is stored."""
    token = bearer.mint(PREFIX)
    row = MailedLink(
        digest=bearer.digest(token),
        purpose=purpose,
        user_id=user_id,
        address=address,
        address_key=address_key,
        rests_on=rests_on,
        expires_at=clock.now() + lifetime,
    )
    database.session().add(row)
    database.session().flush()
    return token


def spend(token: str, purpose: Purpose) -> Link:
    """Use the link up: of two that try at once, one gets `LinkVoid`."""
    return spend_by_id(id_of(token), purpose)


def spend_by_id(id: str, purpose: Purpose) -> Link:
    """`spend`, of the link with that `id_of`."""
    now = clock.now()
    mine = update(MailedLink).where(
        MailedLink.digest == bytes.fromhex(id),
        MailedLink.purpose == purpose,
        MailedLink.used_at.is_(None),
        MailedLink.ended_at.is_(None),
        MailedLink.expires_at > now,
    )
    spent = database.session().scalars(mine.values(used_at=now).returning(MailedLink)).one_or_none()
    if spent is None:
        raise LinkVoid
    return _value(spent)


def end_all(purpose: Purpose, user_id: str, *, address_key: str = "") -> None:
    """Let none of the person's links for this be used any more: a younger one was, or what they rest on changed.

    `address_key`: only those that went to this address.
    """
    if address_key:
        _end(purpose, MailedLink.user_id == user_id, MailedLink.address_key == address_key)
    else:
        _end(purpose, MailedLink.user_id == user_id)


def hold_all_to(purpose: Purpose, address_key: str) -> None:
    """Lock the links for this that went to the address: of several people who use one each, one goes first."""
    held = select(MailedLink.digest).where(MailedLink.address_key == address_key, MailedLink.purpose == purpose)
    database.session().execute(held.order_by(MailedLink.digest).with_for_update())


def end_all_to(purpose: Purpose, address_key: str) -> None:
    """Let none of the links for this that went to the address be used any more, whosever they are."""
    _end(purpose, MailedLink.address_key == address_key)


def _end(purpose: Purpose, *which: ColumnElement[bool]) -> None:
    mine = update(MailedLink).where(
        *which, MailedLink.purpose == purpose, MailedLink.used_at.is_(None), MailedLink.ended_at.is_(None)
    )
    database.session().execute(mine.values(ended_at=clock.now()))


def forget(user: User, by: Actor) -> None:
    """Forget the links that were mailed for a person who is being deleted, and the addresses in them."""
    database.session().execute(delete(MailedLink).where(MailedLink.user_id == user.id))


def void_all() -> int:
    """Let no link be used any more that was mailed until now, whatever the time is elsewhere, but for those that only
    take back what others did; how many.
    """
    open_ones = update(MailedLink).where(
        MailedLink.used_at.is_(None), MailedLink.ended_at.is_(None), MailedLink.purpose.not_in(["undo", "not_me"])
    )
    voided = database.session().execute(open_ones.values(ended_at=clock.now()))
    return int(voided.rowcount)  # type: ignore[attr-defined]


def clean_up(limit: int = 500) -> int:
    """Delete up to `limit` links that are long over; how many."""
    old = select(MailedLink.digest).where(MailedLink.expires_at < clock.now() - KEPT).limit(limit)
    gone = database.session().execute(delete(MailedLink).where(MailedLink.digest.in_(old)))
    return int(gone.rowcount)  # type: ignore[attr-defined]


def _value(row: MailedLink) -> Link:
    return Link(row.purpose, row.user_id, row.address, row.address_key, row.rests_on, row.created_at, row.expires_at)
