"""E-mail addresses, changed by their own people: proven by a mailed link, and undone by whoever reads the other ones.

Whoever took over a session must not be able to make the account theirs by an address (RST-05). So every address that
the person had is told of a new one, and undoes for a week what came after it; a new one recovers a password only when
that week is over, and an old one stays as long. What is asked for is kept as a link alone, whoever holds the address:
nobody learns from us that somebody does (LOG-03), and nobody keeps an address from its owner by asking for it (LNK-04).

Each of these is called inside `database.writing()`, locks the person, and leaves proving who asks to its caller.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from idp.audit import trail
from idp.audit.trail import Actor
from idp.credentials import allowances, mailed_links
from idp.credentials.mailed_links import Link, LinkVoid, Purpose
from idp.login import everywhere
from idp.login.asking import TooManyLetters
from idp.organizations import proven_addresses
from idp.platform import clock, i18n, outbox
from idp.platform.errors import Conflict, Invalid
from idp.platform.outbox import Letter
from idp.users import addresses, languages, leaving, lifecycle, names, users, zones
from idp.users.addresses import AddressTaken
from idp.users.locks import lock
from idp.users.models import Address, User
from idp.users.users import UserSettings

VERIFY = "/verify-email"
UNDO = "/undo-email"

OWN = "/me/addresses"
"""Where people see their addresses."""

What = Literal["added", "changed", "primary", "removed"]
"""What was done: an address was added; took the place of the one that is told; became the primary one instead of it; or
the one that is told was removed.
"""

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


class NotUsable(Conflict):
    """The address was never proven, or belongs to an organization that the person is not in."""

    code = "address_not_usable"
    title = "This address does not count yet"
    remedy = "Prove it first, by the link that is mailed to it."


class StillPrimary(Conflict):
    """The primary address cannot be removed."""

    code = "address_is_primary"
    title = "This is your primary address"
    remedy = "Make another one your primary address first."


class LastAddress(Conflict):
    """Without this nothing could reach the person any more."""

    code = "last_address"
    title = "This is the only address by which we can reach you"
    remedy = "Add another one first."


class ManagedAddress(Conflict):
    """An organization gave the address to the person, who is a member there."""

    code = "address_managed"
    title = "This address belongs to an organization of yours"
    remedy = "You have it as long as you are a member there."


@dataclass(frozen=True)
class Pending:
    """An address that the person was asked to prove. `replaces`: the id of the one whose place it takes, or empty."""

    address: str
    address_key: str
    replaces: str
    sent_at: int
    expires_at: int


@dataclass(frozen=True)
class Opened:
    """What a link is for: the address that it was mailed to, and whose it is or will be."""

    address: str
    user_id: str
    name: str


def pending(user_id: str) -> list[Pending]:
    """What the person was asked to prove and has not, the oldest first."""
    asked = mailed_links.open_ones("verify", user_id)
    return [Pending(one.address, one.address_key, one.rests_on, one.created_at, one.expires_at) for one in asked]


# Asking for an address


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


# Proving it


def opened(token: str) -> Opened:
    """What the link with that token gives to whom. Raises `LinkVoid`, also where somebody else has the address now."""
    return _looked_at(mailed_links.find(token, "verify"))


def confirm(token: str) -> Opened:
    """Give the address that the link was mailed to, and no other, to whom it was made for: once (RST-06).

    Raises `LinkVoid` as `opened`.
    """
    link = mailed_links.find(token, "verify")
    addresses.hold(link.address, link.user_id or "")
    found = _looked_at(mailed_links.spend(token, "verify"))
    try:
        prove(found.user_id, found.address, replaces=link.rests_on, by=Actor("user", found.user_id))
    except AddressTaken:  # by somebody who proved it in the same moment
        raise LinkVoid from None
    return found


def prove(user_id: str, text: str, *, replaces: str = "", by: Actor) -> Address:
    """Let the person have the address, of which they have just shown that they read it: taken from whoever has it
    without having proven it, or in a domain whose organization they left (LNK-04).

    Their other addresses are told, and can undo it. `replaces`: the id of the primary one whose place it takes. Raises
    `AddressTaken`.
    """
    at, known, user = clock.now(), addresses.hold(text, user_id), users.find(user_id)
    others = [one for one in proven_addresses.counting(user_id) if one is not known]
    if known is not None and known.user_id != user_id:
        _end_links(known.user_id, known)
    given = addresses.give(
        text,
        user,
        released=proven_addresses.may_be_given,
        recovers_from=at + leaving.STAYS if others else 0,
        by=by,
    )
    old = next((one for one in others if one.id == replaces and one.is_primary), None)
    if old is not None or not any(one.is_primary for one in others):
        addresses.make_primary(user, given, by=by)
    if old is not None and old.id not in proven_addresses.managers(user_id):
        _let_go(user, old, given, by=by)
    for one in others:
        what: What = "added" if one is not old else "changed" if one.leaves_at else "primary"
        _warn(user, [one], what, given.address, at=at)
    return given


def _looked_at(link: Link) -> Opened:
    user_id = link.user_id or ""
    holder = proven_addresses.holder(link.address_key)
    is_anothers = holder is not None and holder.user_id != user_id
    if not user_id or is_anothers or lifecycle.is_disabled(user_id):
        raise LinkVoid
    return Opened(link.address, user_id, users.display_name(users.find(user_id)))


# Changing what one has


def make_primary(user_id: str, address_id: str, *, by: Actor) -> None:
    """Let mail go to this one of the person's addresses; the one before is told. Raises `NotUsable` and `NotFound`."""
    at, user = clock.now(), lock(user_id)
    address = addresses.find(user_id, address_id)
    if not proven_addresses.counts(address):
        raise NotUsable
    leaving.keep(address, by=by)
    before = [one for one in proven_addresses.counting(user_id) if one.is_primary and one is not address]
    addresses.make_primary(user, address, by=by)
    _warn(user, before, "primary", address.address, at=at)


def remove(user_id: str, address_id: str, *, by: Actor) -> None:
    """Let an address leave the person, in a week, and tell it so; one that does not count goes at once.

    Raises `ManagedAddress`, `StillPrimary`, `LastAddress` and `NotFound`.
    """
    at, user = clock.now(), lock(user_id)
    address = addresses.find(user_id, address_id)
    if hindrance := hindrance_of(address):
        raise hindrance
    if address.leaves_at is not None:
        return
    primary = next((one for one in addresses.of(user_id) if one.is_primary), address)
    if not proven_addresses.counts(address):
        _take_away(user, address, primary, by=by)
        return
    _let_go(user, address, primary, by=by)
    _warn(user, [address], "removed", "", at=at)


def hindrance_of(address: Address) -> Conflict | None:
    """Why `remove` would refuse, if it would."""
    user_id = address.user_id
    if address.id in proven_addresses.managers(user_id):
        return ManagedAddress()
    stay = [one for one in proven_addresses.counting(user_id) if one.leaves_at is None and one is not address]
    if stay:
        return StillPrimary() if address.is_primary else None
    return LastAddress() if address.is_primary or proven_addresses.counts(address) else None


def keep(user_id: str, address_id: str, *, by: Actor) -> None:
    """Let an address stay that was about to leave. Raises `NotFound`, also once it has left."""
    lock(user_id)
    leaving.keep(addresses.find(user_id, address_id), by=by)


def _let_go(user: User, address: Address, successor: Address, *, by: Actor) -> None:
    leaving.let_go(address, by=by)
    _call_after(user, address, successor, by=by)


def _take_away(user: User, address: Address, successor: Address, *, by: Actor) -> None:
    _call_after(user, address, successor, by=by)
    _end_links(user.id, address)
    addresses.end(user, address, by=by)


def _call_after(user: User, gone: Address, successor: Address, *, by: Actor) -> None:
    """Whoever was called by the address that goes is called by the other one, or by their id where there is none."""
    if user.username_key != gone.address_key:
        return
    before = users.settings_of(user)
    called = successor.address if successor is not gone else user.id
    users.reconfigure(user, UserSettings(called, before.claims), by=by)


# Undoing it


def opened_undo(token: str) -> Opened:
    """Whose addresses the link with that token sets right. Raises `LinkVoid`, also when the address has left."""
    return _kept(mailed_links.find(token, "undo"))[0]


def undo(token: str) -> Opened:
    """Let the address that the link was mailed to be the primary one again, as if nothing had come after it.

    Addresses that were proven after it go and are told so, those that were about to leave stay, links that were mailed
    are void, and whoever is signed in is signed out everywhere. Raises `LinkVoid`.
    """
    user_id = mailed_links.find(token, "undo").user_id or ""
    user = lock(user_id)
    found, kept = _kept(mailed_links.spend(token, "undo"))
    by, at = Actor("user", user_id), clock.now()
    younger = max(at, kept.recovers_from)
    came_later = [one for one in addresses.of(user_id) if one.recovers_from > younger and one is not kept]
    leaving.keep(kept, by=by)
    addresses.make_primary(user, kept, by=by)
    for one in came_later:
        _take_back(user, one, kept, by=by)
    for one in addresses.of(user_id):
        leaving.keep(one, by=by)
    mailed_links.end_all("undo", user_id, address_key=kept.address_key)
    ended = everywhere.sign_out(user_id, because="revoked", by=by)
    trail.record("user.address.undone", by=by, subject=user_id, after={"sessions": ended}, email=kept.address)
    if kept.recovers_from > at:
        rest = [one for one in proven_addresses.counting(user_id) if one is not kept]
        _warn(user, rest, "primary", kept.address, at=at)
    outbox.post(Letter("undone", kept.address, languages.of(user), path="/recover", zone=zones.of(user)))
    return found


def _take_back(user: User, address: Address, kept: Address, *, by: Actor) -> None:
    """Take the address from the person at once, and tell it: whoever undoes may be why it was proven."""
    _take_away(user, address, kept, by=by)
    facts: dict[str, str | int] = {"address": address.address, "at": clock.now()}
    outbox.post(Letter("address_removed", address.address, languages.of(user), facts, OWN, zone=zones.of(user)))


def _kept(link: Link) -> tuple[Opened, Address]:
    """What the link is for, and the address itself, if that still counts."""
    user_id = link.user_id or ""
    kept = next((one for one in proven_addresses.counting(user_id) if one.id == link.rests_on), None)
    if kept is None or lifecycle.is_disabled(user_id):
        raise LinkVoid
    return Opened(kept.address, user_id, users.display_name(users.find(user_id))), kept


def _warn(user: User, told: Iterable[Address], what: What, new: str, *, at: int) -> None:
    """Tell these addresses what was done at that instant, each with a link that undoes it and what comes after."""
    ends = at + leaving.STAYS
    for one in told:
        lifetime = ends - clock.now()
        token = mailed_links.make("undo", user.id, one.address, one.address_key, lifetime=lifetime, rests_on=one.id)
        path, facts = f"{UNDO}/{token}", {"what": what, "new_address": new}
        letter = Letter("undo", one.address, languages.of(user), facts, path, expires_at=ends, zone=zones.of(user))
        outbox.post(letter)


def _end_links(user_id: str, address: Address) -> None:
    """What was mailed to somebody's address is void with it."""
    for purpose in _TO_AN_ADDRESS:
        mailed_links.end_all(purpose, user_id, address_key=address.address_key)


_TO_AN_ADDRESS: Final[tuple[Purpose, ...]] = ("verify", "recover", "undo", "not_me", "enrol", "keep_factors")
