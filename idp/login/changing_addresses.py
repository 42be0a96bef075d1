"""E-mail addresses, changed by their own people: proven by a mailed link, and undone by whoever reads the other ones.

Whoever took over a session must not be able to make the account theirs by an address (RST-05). So every address that
the person had is told of a new one, and undoes for a week what came after it; a new one recovers a password only when
that week is over, and an old one stays as long. See `asking_addresses`, `parting_addresses` and `undoing_addresses`.

Each of these is called inside `database.writing()`, locks the person, and leaves proving who asks to its caller.
"""

from dataclasses import dataclass

from idp.audit.trail import Actor
from idp.credentials import mailed_links
from idp.credentials.mailed_links import Link, LinkVoid
from idp.login import parting_addresses
from idp.login.parting_addresses import What
from idp.organizations import proven_addresses
from idp.platform import clock
from idp.platform.errors import Conflict
from idp.users import addresses, leaving, lifecycle, users
from idp.users.addresses import AddressTaken
from idp.users.locks import lock
from idp.users.models import Address

OWN = "/me/addresses"
"""Where people see their addresses."""


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
class Opened:
    """What a link is for: the address that it was mailed to, and whose it is or will be."""

    address: str
    user_id: str
    name: str


# Proving one


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
        parting_addresses.end_links(known.user_id, known)
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
        parting_addresses.let_go(user, old, given, by=by)
    for one in others:
        what: What = "added" if one is not old else "changed" if one.leaves_at else "primary"
        parting_addresses.warn(user, [one], what, given.address, at=at)
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
    parting_addresses.warn(user, before, "primary", address.address, at=at)


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
        parting_addresses.take_away(user, address, primary, by=by)
        return
    parting_addresses.let_go(user, address, primary, by=by)
    parting_addresses.warn(user, [address], "removed", "", at=at)


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
