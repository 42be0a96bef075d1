"""Addresses that their person gives up: each stays theirs for a while, so that whoever reads it can undo that.

Until then it counts as before. Its end is in `Address.leaves_at`, which every question about addresses looks at; the
row is cleared away later.
"""

from sqlalchemy import select, update

from idp.audit import trail
from idp.audit.trail import SYSTEM, Actor
from idp.platform import clock, database
from idp.users.models import Address

STAYS = 7 * clock.DAY
"""How long an address that was replaced or removed stays, and how long one that was just proven has to wait until a
password is recovered by it (RST-05).
"""


def let_go(address: Address, *, by: Actor) -> None:
    """Let the address leave its person, who is locked, in `STAYS`; one that is leaving already leaves no later."""
    if address.leaves_at is None:
        address.leaves_at = clock.now() + STAYS
        _record("user.address.leaving", address, by=by)


def keep(address: Address, *, by: Actor) -> None:
    """Let an address that was about to leave stay. One that recovered no password yet when it was let go waits anew."""
    if address.leaves_at is not None:
        if waited(address):
            address.recovers_from = clock.now() + STAYS
        address.leaves_at = None
        _record("user.address.kept", address, by=by)


def waited(address: Address) -> bool:
    """Whether the address, which is leaving, recovered no password yet when it was let go."""
    return address.leaves_at is not None and address.recovers_from > address.leaves_at - STAYS


def clear_away(limit: int = 500) -> int:
    """End up to `limit` addresses that have left; how many. Inside `database.writing()`."""
    left = select(Address.id).where(Address.ended_at.is_(None), Address.leaves_at <= clock.now())
    gone = list(database.session().scalars(left.order_by(Address.leaves_at).limit(limit)))
    for address_id in gone:
        end(address_id)
    return len(gone)


def end(address_id: str) -> None:
    """End an address that has left; once, however many do it at the same time."""
    left = Address.id == address_id, Address.ended_at.is_(None), Address.leaves_at <= clock.now()
    ending = update(Address).where(*left).values(ended_at=clock.now(), is_primary=0).returning(Address)
    for address in database.session().scalars(ending):
        state = {"address": address.id, "verified": address.verified_at is not None, "primary": False}
        trail.record("user.address.removed", by=SYSTEM, subject=address.user_id, after=state, email=address.address)


def _record(event: str, address: Address, *, by: Actor) -> None:
    trail.record(event, by=by, subject=address.user_id, after={"address": address.id}, email=address.address)
