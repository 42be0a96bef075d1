"""E-mail addresses of people: each is held by one person at a time, and proven or not.

Whether an address that somebody holds may go to another person is asked of whoever calls `give`: domains, and whose
they are, belong to a room above this one. How long one stays that its person gives up stands in `leaving`.
"""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import ColumnElement, and_, or_, select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.platform import bulk, clock, database, identifiers
from idp.platform.errors import Conflict, NotFound
from idp.users import leaving, names
from idp.users.locks import lock
from idp.users.models import Address, User


class AddressTaken(Conflict):
    """Another person holds the address. Doors open to strangers do not tell them so (LOG-03)."""

    code = "address_taken"
    title = "This e-mail address belongs to somebody else"
    remedy = "Use another address, or let its holder give it up first."


Released = Callable[[Address], bool]
"""Whether a held address may be given to another person (`docs/domain.md`: managed, and its holder no member there)."""


def lasting(now: ColumnElement[int] | int) -> ColumnElement[bool]:
    """An address is still somebody's: what has left counts for nothing, also before it is cleared away."""
    return and_(Address.ended_at.is_(None), or_(Address.leaves_at.is_(None), Address.leaves_at > now))


def of(user_id: str) -> list[Address]:
    """The addresses that the person holds now, the primary one first."""
    return of_all([user_id])[user_id]


def of_all(user_ids: Sequence[str]) -> dict[str, list[Address]]:
    """The addresses of each of these people, as `of` has them, in one statement."""
    held = select(Address).where(Address.user_id.in_(user_ids), lasting(clock.now()))
    found: dict[str, list[Address]] = {user_id: [] for user_id in user_ids}
    in_order = held.order_by(Address.is_primary.desc(), Address.id)
    for address in database.session().scalars(in_order, execution_options={"populate_existing": True}):
        found[address.user_id].append(address)
    return found


def find(user_id: str, text: str) -> Address:
    """The address of the person that `text` is, or whose id it is. Raises `NotFound`."""
    key = names.address_key(text)
    for address in of(user_id):
        if text == address.id or key == address.address_key:
            return address
    raise NotFound("the person has no such address")


def held(text: str) -> Address | None:
    """The address that `text` is in its normal form, whoever holds it."""
    key = names.address_key(text)
    found = None if key is None else _live(key)
    return None if found is None or has_left(found) else found


def has_left(address: Address) -> bool:
    """Whether the address is its person's no longer, although that was not cleared away yet."""
    return address.leaves_at is not None and address.leaves_at <= clock.now()


def add(user: User, text: str, *, verified: bool = False, by: Actor) -> Address:
    """Give the person another address; the first one is primary. One that the person holds already is not made twice,
    and stays if it was about to leave.

    `verified`: it has been proven. Raises `Invalid` for what is no address and `AddressTaken`.
    """
    parsed = names.parse_address(text)
    lock(user.id)
    known = _cleared(parsed.key)
    if known is not None and known.user_id != user.id:
        raise AddressTaken
    if known is not None:
        known.leaves_at = None
        return verify(user, known, by=by) if verified else known
    address = Address(
        user_id=user.id,
        address=parsed.address,
        address_key=parsed.key,
        domain=parsed.domain,
        is_primary=int(not of(user.id)),
        verified_at=clock.now() if verified else None,
    )
    with database.or_refuse(AddressTaken()):
        database.session().add(address)
    _record("user.address.added", user, address, by=by)
    return address


def give_first(given: Sequence[tuple[str, str, bool]], *, by: Actor) -> None:
    """Give people who have none their first address, the primary one: (id of the person, address, whether proven).

    Raises `Invalid` for what is no address and `AddressTaken`.
    """
    instant = clock.now()
    rows = [_first(user_id, names.parse_address(text), verified, instant) for user_id, text, verified in given]
    with database.or_refuse(AddressTaken()):
        bulk.insert_many(Address, rows)
    for row in rows:
        state = {"address": row["id"], "verified": row["verified_at"] is not None, "primary": True}
        trail.record("user.address.added", by=by, subject=str(row["user_id"]), after=state, email=str(row["address"]))


def _first(user_id: str, parsed: names.EmailAddress, verified: bool, instant: int) -> dict[str, str | int | None]:
    return {
        "id": identifiers.address(),
        "user_id": user_id,
        "address": parsed.address,
        "address_key": parsed.key,
        "domain": parsed.domain,
        "is_primary": 1,
        "verified_at": instant if verified else None,
        "started_at": instant,
    }


def verify(user: User, address: Address, *, by: Actor) -> Address:
    """Say that the person has proven to hold the address."""
    if address.verified_at is None:
        address.verified_at = clock.now()
        _record("user.address.verified", user, address, by=by)
    return address


def make_primary(user: User, address: Address, *, by: Actor) -> None:
    """Let the address be the one that mail goes to; it stays if it was about to leave. Raises `Conflict` unless it is
    verified.
    """
    lock(user.id)
    address.leaves_at = None
    if address.is_primary:
        return
    if address.verified_at is None:
        raise Conflict("only a verified address can be the primary one")
    before: dict[str, str] = {}
    for other in of(user.id):
        before |= {"address": other.id} if other.is_primary else {}
        other.is_primary = int(other is address)
    _record("user.address.primary", user, address, before=before, by=by)


def remove(user: User, address: Address, *, by: Actor) -> None:
    """Take the address from the person.

    Raises `Conflict` for the primary one while there are others, and for the one that is the person's username.
    """
    lock(user.id)
    if address.address_key == user.username_key:
        raise Conflict("the address is the username of this person: change the username first")
    if address.is_primary and len(of(user.id)) > 1:
        raise Conflict("the address is the primary one: make another one primary first")
    end(user, address, by=by)


def end(user: User, address: Address, *, by: Actor) -> None:
    """Let the address be nobody's, without asking whether its person, who is locked, can do without it."""
    address.end()
    _record("user.address.removed", user, address, by=by)


def hold(text: str, user_id: str) -> Address | None:
    """Lock the person and whoever else holds the address, so that it changes hands only once; the address as it is."""
    key = names.parse_address(text).key
    known = _live(key)
    for one in sorted({user_id, known.user_id if known else user_id}):
        lock(one)
    return _cleared(key)


def give(text: str, to: User, *, released: Released, by: Actor, recovers_from: int = 0) -> Address:
    """Give a verified address to `to`, also if another person holds it whom `released` lets it be taken from.

    That person stays, called by the id where the username was this address. `recovers_from`: of one that `to` had not
    proven before. Raises `AddressTaken`.
    """
    known = hold(text, to.id)
    if known is not None and known.user_id != to.id:
        if not released(known):
            raise AddressTaken
        _take(known, by=by)
    is_new = known is None or known.user_id != to.id or known.verified_at is None
    given = add(to, text, verified=True, by=by)
    if is_new:
        given.recovers_from = recovers_from
    return given


def forget_all(user: User) -> None:
    """End every address of a person who is deleted, and let the rows, also of those they had before, name none."""
    had = select(Address).where(Address.user_id == user.id)
    for address in database.session().scalars(had, execution_options={"populate_existing": True}):
        address.end()
        address.address = address.address_key = address.id
        address.domain = ""


def _take(address: Address, *, by: Actor) -> None:
    holder = lock(address.user_id)
    address.end()
    if holder.username_key == address.address_key:
        holder.username = holder.username_key = holder.id
    rest = of(holder.id)
    if rest and not rest[0].is_primary:
        next_one = min(rest, key=lambda other: (other.verified_at is None, other.leaves_at is not None))
        next_one.is_primary = 1
        leaving.keep(next_one, by=by)  # it was given up for the one that was taken
    _record("user.address.removed", holder, address, by=by)


def _live(key: str) -> Address | None:
    """The row that keeps the address from others: also of one that has left and was not cleared away."""
    live = select(Address).where(Address.address_key == key, Address.ended_at.is_(None))
    return database.session().scalars(live, execution_options={"populate_existing": True}).one_or_none()


def _cleared(key: str) -> Address | None:
    """As `_live`, once a row that has left is cleared away."""
    known = _live(key)
    if known is None or not has_left(known):
        return known
    leaving.end(known.id)
    return None


def _record(event: str, user: User, address: Address, *, by: Actor, before: Mapping[str, str] | None = None) -> None:
    state = {"address": address.id, "verified": address.verified_at is not None, "primary": bool(address.is_primary)}
    trail.record(event, by=by, subject=user.id, before=before, after=state, email=address.address)
