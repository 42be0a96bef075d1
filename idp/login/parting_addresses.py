"""Addresses that go, or are not told any more: what they are told of it, and who was called by them.

Every address that the person had is told of a new one, with a link that undoes for a week what came after it (RST-05).

Each of these is called inside `database.writing()` by who has locked the person.
"""

from collections.abc import Iterable
from typing import Final, Literal

from idp.audit.trail import Actor
from idp.credentials import mailed_links
from idp.credentials.mailed_links import Purpose
from idp.platform import clock, outbox
from idp.platform.outbox import Letter
from idp.users import addresses, languages, leaving, users, zones
from idp.users.models import Address, User
from idp.users.users import UserSettings

UNDO = "/undo-email"
"""Where the link leads that undoes it."""

What = Literal["added", "changed", "primary", "removed"]
"""What was done: an address was added; took the place of the one that is told; became the primary one instead of it; or
the one that is told was removed.
"""


def warn(user: User, told: Iterable[Address], what: What, new: str, *, at: int) -> None:
    """Tell these addresses what was done at that instant, each with a link that undoes it and what comes after."""
    ends = at + leaving.STAYS
    for one in told:
        lifetime = ends - clock.now()
        token = mailed_links.make("undo", user.id, one.address, one.address_key, lifetime=lifetime, rests_on=one.id)
        path, facts = f"{UNDO}/{token}", {"what": what, "new_address": new}
        letter = Letter("undo", one.address, languages.of(user), facts, path, expires_at=ends, zone=zones.of(user))
        outbox.post(letter)


def let_go(user: User, address: Address, successor: Address, *, by: Actor) -> None:
    """Let an address leave the person, in a week."""
    leaving.let_go(address, by=by)
    _call_after(user, address, successor, by=by)


def take_away(user: User, address: Address, successor: Address, *, by: Actor) -> None:
    """Let an address leave the person at once, and every link with it that was mailed to it."""
    _call_after(user, address, successor, by=by)
    end_links(user.id, address)
    addresses.end(user, address, by=by)


def _call_after(user: User, gone: Address, successor: Address, *, by: Actor) -> None:
    """Whoever was called by the address that goes is called by the other one, or by their id where there is none."""
    if user.username_key != gone.address_key:
        return
    before = users.settings_of(user)
    called = successor.address if successor is not gone else user.id
    users.reconfigure(user, UserSettings(called, before.claims), by=by)


def end_links(user_id: str, address: Address) -> None:
    """What was mailed to somebody's address is void with it."""
    for purpose in _TO_AN_ADDRESS:
        mailed_links.end_all(purpose, user_id, address_key=address.address_key)


_TO_AN_ADDRESS: Final[tuple[Purpose, ...]] = ("verify", "recover", "undo", "not_me", "enrol", "keep_factors")
