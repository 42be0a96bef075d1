"""Changes of addresses, undone by whoever reads an address that the person had before (RST-05)."""

from idp.audit import trail
from idp.audit.trail import Actor
from idp.credentials import mailed_links
from idp.credentials.mailed_links import Link, LinkVoid
from idp.login import everywhere, parting_addresses
from idp.login.changing_addresses import OWN, Opened
from idp.organizations import proven_addresses
from idp.platform import clock, outbox
from idp.platform.outbox import Letter
from idp.users import addresses, languages, leaving, lifecycle, users, zones
from idp.users.locks import lock
from idp.users.models import Address, User


def opened(token: str) -> Opened:
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
        parting_addresses.warn(user, rest, "primary", kept.address, at=at)
    outbox.post(Letter("undone", kept.address, languages.of(user), path="/recover", zone=zones.of(user)))
    return found


def _take_back(user: User, address: Address, kept: Address, *, by: Actor) -> None:
    """Take the address from the person at once, and tell it: whoever undoes may be why it was proven."""
    parting_addresses.take_away(user, address, kept, by=by)
    facts: dict[str, str | int] = {"address": address.address, "at": clock.now()}
    outbox.post(Letter("address_removed", address.address, languages.of(user), facts, OWN, zone=zones.of(user)))


def _kept(link: Link) -> tuple[Opened, Address]:
    """What the link is for, and the address itself, if that still counts."""
    user_id = link.user_id or ""
    kept = next((one for one in proven_addresses.counting(user_id) if one.id == link.rests_on), None)
    if kept is None or lifecycle.is_disabled(user_id):
        raise LinkVoid
    return Opened(kept.address, user_id, users.display_name(users.find(user_id))), kept
