"""Which addresses of people count: proven, still theirs, and not managed by an organization that they are not in.

An address in a domain that an organization has proven is managed by it: while its person has no active membership
there it counts as unverified, and may be given to whoever proves it. Asked wherever somebody signs in, recovers, joins
or is told of by an address; nothing of it is kept anywhere.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, or_, select

from idp.organizations import domains
from idp.organizations.models import Domain, Membership, MembershipStatus, Organization
from idp.platform import clock, database
from idp.platform.errors import Conflict
from idp.platform.prepared import Prepared
from idp.users.addresses import lasting
from idp.users.leaving import STAYS
from idp.users.models import Address, User


class NoOtherAddress(Conflict):
    """Without the addresses that an organization manages, nothing would recover the person's password."""

    code = "no_other_address"
    title = "No other e-mail address of yours recovers your password yet"
    remedy = "Add one and confirm it. It recovers your password a week later; then you can leave."


def _active_memberships(user_id: ColumnElement[str] | str, organization_id: ColumnElement[str] | str) -> Select[str]:
    """By the membership alone: a suspended organization keeps nobody from their other organizations (ORG-10)."""
    return (
        select(Membership.id)
        .join(MembershipStatus, MembershipStatus.member_id == Membership.id)
        .where(
            Membership.user_id == user_id,
            Membership.organization_id == organization_id,
            Membership.ended_at.is_(None),
            MembershipStatus.status == "active",
            MembershipStatus.ended_at.is_(None),
        )
    )


_IS_MEMBER = (
    _active_memberships(Address.user_id.expression, Domain.organization_id.expression)
    .correlate(Address, Domain)
    .exists()
)

_MANAGED_AWAY = (
    select(Domain.id)
    .where(
        Domain.name == Address.domain,
        Domain.verified_at.is_not(None),
        Domain.ended_at.is_(None),
        ~_IS_MEMBER,
    )
    .exists()
)


def _counting(now: ColumnElement[int] | int) -> ColumnElement[bool]:
    return and_(Address.verified_at.is_not(None), lasting(now), ~_MANAGED_AWAY)


def counting(user_id: str) -> list[Address]:
    """The addresses of the person that count, the primary one first."""
    return _found(Address.user_id == user_id, _counting(clock.now()))


def recovering(user_id: str) -> list[Address]:
    """The addresses by which the person may recover a password now, the primary one first: those that count, but for
    any that was proven so lately that its person could not have been warned yet (`Address.recovers_from`), or had been
    when it was let go.
    """
    now = clock.now()
    waits = or_(Address.recovers_from > now, Address.recovers_from > Address.leaves_at - STAYS)
    return _found(Address.user_id == user_id, _counting(now), ~func.coalesce(waits, False))


def told(user_id: str) -> list[Address]:
    """The addresses at which the person is told what happens to their sign-in, the primary one first.

    While that is a new one, also those that recover: it may be somebody else who changed it (PWD-07).
    """
    mine, recover = counting(user_id), {one.id for one in recovering(user_id)}
    if not mine or mine[0].id in recover:
        return mine[:1]
    return [mine[0], *(one for one in mine[1:] if one.id in recover)]


def counts(address: Address) -> bool:
    """Whether the address counts for the person who holds it."""
    return bool(_found(Address.id == address.id, _counting(clock.now())))


def may_be_given(address: Address) -> bool:
    """Whether the address may be given to another person who has proven it: it does not count for its holder, who
    never proved it (LNK-04), or whose organization it was.
    """
    return not counts(address)


def managers(user_id: str) -> dict[str, str]:
    """The names of the organizations that manage addresses of the person, who is an active member there, by the ids of
    the addresses.
    """
    wanted = (
        select(Address.id, Organization.name)
        .join(Domain, and_(Domain.name == Address.domain, Domain.verified_at.is_not(None), Domain.ended_at.is_(None)))
        .join(Organization, Organization.id == Domain.organization_id)
        .where(Address.user_id == user_id, lasting(clock.now()), _IS_MEMBER)
    )
    return {row[0]: row[1] for row in database.session().execute(wanted)}


@dataclass(frozen=True)
class Holder:
    """Whose an address is, for whom it counts, and as they write it."""

    user_id: str
    address: str


def holder(address_key: str) -> Holder | None:
    """Who has the address with that normal form, if it counts for them; one statement."""
    return _HOLDER.one(address_key=address_key, now=clock.now())


def signs_in(address_key: str) -> str | None:
    """The id of the person whom this address signs in, in its normal form, or `None`; one statement.

    It counts; or nobody but the operator has ever vouched for it, and it is what they call the person by.
    """
    return _SIGNS_IN.one(address_key=address_key, now=clock.now())


def managed_by(user_id: str, organization_id: str) -> list[Address]:
    """The addresses of the person that count because they are a member of this organization, which manages them."""
    return [one for one in counting(user_id) if domains.holder_of(one.domain) == organization_id]


def recovers_without(user_id: str, organization_id: str) -> bool:
    """Whether the person recovers their password, if they do at all, also without what this organization manages."""
    managed = {one.id for one in managed_by(user_id, organization_id)}
    return not managed or any(one.id not in managed and one.leaves_at is None for one in recovering(user_id))


def require_others(user_id: str, organization_id: str) -> None:
    """Raise `NoOtherAddress` unless the person `recovers_without` the organization that they leave.

    Whoever took over a session must not make the account theirs by leaving: an address that they add afterwards would
    be the only one, with nobody to warn and nothing to undo (RST-05).
    """
    if not recovers_without(user_id, organization_id):
        raise NoOtherAddress


def has_proven(user_id: str, address_key: str, organization_id: str) -> bool:
    """Whether the person has proven this address, in the eyes of an organization that wants to take them in."""
    mine = Address.user_id == user_id, Address.address_key == address_key
    proven = _found(*mine, Address.verified_at.is_not(None), lasting(clock.now()))
    return any(domains.holder_of(one.domain) == organization_id or counts(one) for one in proven)


@dataclass(frozen=True)
class PrimaryAddress:
    """The address that mail of a person goes to. `is_proven`: it counts."""

    address: str
    is_proven: bool


def primary_of(user_id: str) -> PrimaryAddress | None:
    """The primary address of a person, if they hold one; in one statement."""
    return _PRIMARY.one(user_id=user_id, now=clock.now())


def _found(*conditions: ColumnElement[bool]) -> list[Address]:
    wanted = select(Address).where(*conditions).order_by(Address.is_primary.desc(), Address.id)
    return list(database.session().scalars(wanted, execution_options={"populate_existing": True}))


# The statements


def _primary(address: str, is_proven: int) -> PrimaryAddress:
    return PrimaryAddress(address, bool(is_proven))


_NOW: ColumnElement[int] = bindparam("now")

_PRIMARY: Prepared[PrimaryAddress] = Prepared(
    select(Address.address, case((_counting(_NOW), 1), else_=0)).where(
        Address.user_id == bindparam("user_id"), Address.is_primary == 1, Address.ended_at.is_(None)
    ),
    _primary,
)

_HOLDER: Prepared[Holder] = Prepared(
    select(Address.user_id, Address.address).where(Address.address_key == bindparam("address_key"), _counting(_NOW)),
    Holder,
)

_SIGNS_IN: Prepared[str] = Prepared(
    select(Address.user_id)
    .join(User, User.id == Address.user_id)
    .where(
        Address.address_key == bindparam("address_key"),
        lasting(_NOW),
        ~_MANAGED_AWAY,
        or_(Address.verified_at.is_not(None), User.username_key == Address.address_key),
    ),
    str,
)
