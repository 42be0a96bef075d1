"""E-mail addresses that people ask for: a link is mailed to each, and whoever opens it has shown that they read it.

What is asked for is kept as a link alone, whoever holds the address: nobody learns from us that somebody does (LOG-03),
and nobody keeps an address from its owner by asking for it (LNK-04).

Each of these is called inside `database.writing()`, locks the person, and leaves proving who asks to its caller.
"""

from dataclasses import dataclass

from idp.audit import trail
from idp.audit.trail import Actor
from idp.credentials import allowances, mailed_links
from idp.credentials.mailed_links import LinkVoid
from idp.login.asking import TooManyLetters
from idp.organizations import proven_addresses
from idp.platform import clock, i18n, outbox
from idp.platform.errors import Conflict, Invalid
from idp.platform.outbox import Letter
from idp.users import addresses, leaving, names, zones
from idp.users.locks import lock
from idp.users.models import User

VERIFY = "/verify-email"
"""Where the link leads."""

LIFETIME = clock.DAY
"""How long a link can be used that proves an address."""

MOST = 20
"""Addresses that a person may have or be asked to prove at a time."""

LETTERS_OF_A_PERSON = 10
"""Links that somebody may have mailed at once; one more every six minutes."""

LETTERS_TO_A_MAILBOX = 5
"""Links that one mailbox gets at once, whoever asks for them; one more every half hour. Beyond that, one a day for
each person who asks.
"""


class AddressIsYours(Invalid):
    """The person has the address, and has proven it."""

    code = "address_is_yours"
    title = "You have this address already"
    remedy = "Enter another one."


class TooManyAddresses(Conflict):
    """The person has as many addresses as anybody may have."""

    code = "too_many_addresses"
    title = "You have as many addresses as anybody can have"
    remedy = "Remove one that you do not need any more first."


@dataclass(frozen=True)
class Pending:
    """An address that the person was asked to prove. `replaces`: the id of the one whose place it takes, or empty."""

    address: str
    address_key: str
    replaces: str
    sent_at: int
    expires_at: int


def pending(user_id: str) -> list[Pending]:
    """What the person was asked to prove and has not, the oldest first."""
    asked = mailed_links.open_ones("verify", user_id)
    return [Pending(one.address, one.address_key, one.rests_on, one.created_at, one.expires_at) for one in asked]


def ask(user_id: str, text: str, *, is_change: bool = False, by: Actor) -> None:
    """Mail a link that gives the person the address; older links for it die.

    `is_change`: it is to take the place of their primary one. An address that somebody else has gets another letter,
    and nobody is told. Raises `Invalid` for what is no address, `AddressIsYours`, `TooManyAddresses`, `TooManyLetters`.
    """
    parsed = names.parse_address(text)
    user = lock(user_id)
    mine = addresses.of(user_id)
    known = next((one for one in mine if one.address_key == parsed.key), None)
    if known is not None and known.leaves_at is not None:
        leaving.keep(known, by=by)
        return
    if known is not None and known.verified_at is not None:
        raise AddressIsYours(field="email")
    if known is None and not _has_room(user_id, parsed.key, len(mine)):
        raise TooManyAddresses
    primary = next((one for one in proven_addresses.counting(user_id) if one.is_primary), None)
    replaces = primary.id if is_change and primary else ""
    to = names.parse_address(known.address) if known else parsed
    _mail(user, to.mailbox, parsed.key, replaces, by=by)


def ask_again(user_id: str, text: str, *, by: Actor) -> None:
    """Mail the link for an address anew that the person was asked to prove, for what it was for; the older one dies.

    Raises `LinkVoid` where nothing was asked for lately, and `TooManyLetters`.
    """
    user, key = lock(user_id), names.address_key(text)
    before = next((one for one in pending(user_id) if one.address_key == key), None)
    if before is None:
        raise LinkVoid
    _mail(user, before.address, before.address_key, before.replaces, by=by)


def give_up(user_id: str, text: str) -> None:
    """Let no link prove the address for this person that was mailed so far."""
    lock(user_id)
    if key := names.address_key(text):
        mailed_links.end_all("verify", user_id, address_key=key)


def _has_room(user_id: str, key: str, held: int) -> bool:
    asked = [one.address_key for one in pending(user_id)]
    return key in asked or held + len(asked) < MOST


def _mail(user: User, to: str, key: str, replaces: str, *, by: Actor) -> None:
    """The same for every address, whoever has it: but for what the letter says."""
    if not allowances.take("address link", user.id, at_once=LETTERS_OF_A_PERSON, refill=6 * clock.MINUTE):
        raise TooManyLetters
    if _may_write(user.id, key):
        _write(user, to, key, _link(user, to, key, replaces))
    elif all(one.address_key != key for one in pending(user.id)):
        _link(user, to, key, replaces)  # what was mailed before stays good, and the page says the same
    trail.record("user.address.asked", by=by, subject=user.id, email=to)


def _link(user: User, to: str, key: str, replaces: str) -> str:
    mailed_links.end_all("verify", user.id, address_key=key)
    return mailed_links.make("verify", user.id, to, key, lifetime=LIFETIME, rests_on=replaces)


def _write(user: User, to: str, key: str, token: str) -> None:
    holder = proven_addresses.holder(key)
    language, zone = i18n.spoken(i18n.locale()) or "en", zones.of(user)
    if holder is not None and holder.user_id != user.id:
        outbox.post(Letter("address_known", holder.address, language, path="/login"))
    else:
        ends = clock.now() + LIFETIME
        outbox.post(Letter("verify", to, language, path=f"{VERIFY}/{token}", expires_at=ends, zone=zone))


def _may_write(user_id: str, key: str) -> bool:
    """Whether a letter goes: the first one of a day for this person always, so that others cannot keep them from it."""
    asks = (
        allowances.take("address letter", key, at_once=LETTERS_TO_A_MAILBOX, refill=30 * clock.MINUTE),
        allowances.take("first address letter", f"{user_id} {key}", at_once=1, refill=clock.DAY),
    )
    return any(asks)
