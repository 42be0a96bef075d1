"""Who is told of an entry of the trail, and at which address."""

from collections.abc import Iterator
from dataclasses import dataclass

from idp.audit.search import Found
from idp.organizations import ownership, proven_addresses
from idp.organizations.models import Membership
from idp.platform import database
from idp.platform.errors import NotFound
from idp.users import operators, users
from idp.users.models import Address, User


@dataclass(frozen=True)
class Reader:
    """A person, and one of their addresses with its normal form. `is_theirs`: the entry is about this person."""

    user: User
    address: str
    address_key: str
    is_theirs: bool = True


def person_of(entry: Found) -> str:
    """The id of the person whom the entry is about; empty for entries about something else."""
    if entry.subject.startswith("usr_"):
        return entry.subject
    if entry.subject.startswith("mem_"):
        return _member(entry.subject)
    said = entry.after if isinstance(entry.after, dict) else {}
    if "person" in said:
        return str(said["person"])
    return _member(said.get("grantee"))


def the_person(entry: Found) -> Iterator[Reader]:
    """Whom the entry is about, wherever they are told of such things (`proven_addresses.told`)."""
    return told(person_of(entry))


def told(user_id: str) -> Iterator[Reader]:
    """A person, wherever they are told of what is done to them (`proven_addresses.told`)."""
    if user := _find(user_id):
        for one in proven_addresses.told(user.id):
            yield Reader(user, one.address, one.address_key)


def the_primary_address(entry: Found) -> Iterator[Reader]:
    """Whom the entry is about, at the primary address alone: the others have letters of their own."""
    yield from _at_primary(person_of(entry), is_theirs=True)


def the_person_and_the_address(entry: Found) -> Iterator[Reader]:
    """As `the_person`, and at the address that was taken from them, or that was their primary one before."""
    told = list(the_person(entry))
    yield from told
    said = entry.before if isinstance(entry.before, dict) and entry.before else entry.after
    gone = database.session().get(Address, said.get("address")) if isinstance(said, dict) else None
    user = _find(person_of(entry))
    if user and gone and gone.verified_at is not None and gone.address not in {one.address for one in told}:
        yield Reader(user, gone.address, gone.address_key)


def super_admins(entry: Found) -> Iterator[Reader]:
    """Every super admin of the organization."""
    for user_id in ownership.super_admins(entry.organization_id or ""):
        yield from _at_primary(user_id)


def all_operators(_: Found) -> Iterator[Reader]:
    """Every operator of the installation."""
    for one in operators.everyone():
        yield from _at_primary(one.user_id)


def name_of(user_id: str) -> str:
    """What the person is called; the id of one who is gone."""
    user = _find(user_id)
    return users.display_name(user) if user else user_id


def owner_in(entry: Found) -> str:
    """The id of the person who became owner by this entry, which names memberships."""
    return _member(entry.after)


def _member(id: object) -> str:
    member = database.session().get(Membership, id) if isinstance(id, str) and id.startswith("mem_") else None
    return member.user_id if member else ""


def _at_primary(user_id: str, *, is_theirs: bool = False) -> Iterator[Reader]:
    user = _find(user_id)
    if user is None:
        return
    for one in proven_addresses.counting(user_id)[:1]:
        yield Reader(user, one.address, one.address_key, is_theirs)


def _find(user_id: str) -> User | None:
    try:
        return users.find(user_id) if user_id else None
    except NotFound:
        return None
