"""People: made, found, described, renamed."""

from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, or_, select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.platform import clock, database, identifiers
from idp.platform.errors import Conflict, Invalid, NotFound
from idp.users import addresses, claims, names
from idp.users.claims import Claims, Json
from idp.users.locks import lock
from idp.users.models import Address, User


class UsernameTaken(Conflict):
    """Another person has the username."""

    code = "username_taken"
    title = "This username belongs to somebody else"
    remedy = "Choose another username."


@dataclass(frozen=True)
class UserSettings:
    """What a person is called, and what is said about the person.

    `username`: empty for the address that the person is made with, or else the id. `claims`: standard claims of
    OpenID Connect; `updated_at` counts only where something else changes, and is now unless given.
    """

    username: str = ""
    claims: Claims = field(default_factory=dict)


def create(wanted: UserSettings, *, by: Actor, id: str = "", email: str = "", verified: bool = False) -> User:
    """Make a person, with an address if `email` is given (`verified`: it has been proven).

    `id` brings an id along from elsewhere. Raises `Invalid`, `UsernameTaken`, `addresses.AddressTaken`, and `Conflict`
    when the id is taken.
    """
    user_id = _own_id(id)
    said = claims.parse(wanted.claims)
    own = {names.parse_address(email).key} if email else set()
    username = names.parse_username(wanted.username or email or user_id, own_id=user_id, own_addresses=own)
    if database.session().get(User, user_id) is not None:
        raise Conflict(f"there is a person with the id {user_id} already")
    user = User(id=user_id, username=username.username, username_key=username.key, claims=claims.dump(_dated(said)))
    with database.or_refuse(UsernameTaken()):
        database.session().add(user)
    trail.record("user.created", by=by, subject=user.id, after=_told(user), email=_as_address(user))
    if email:
        addresses.add(user, email, verified=verified, by=by)
    return user


def settings_of(user: User) -> UserSettings:
    """What `reconfigure` would have to be given to change nothing."""
    said = claims.load(user.claims)
    said.pop("updated_at", None)
    return UserSettings(user.username, said)


def reconfigure(user: User, wanted: UserSettings, *, by: Actor) -> bool:
    """Let the person be what `wanted` says; an empty username stays as it is. Returns whether anything changed.

    Raises `Invalid` and `UsernameTaken`.
    """
    said = claims.parse(wanted.claims)
    user = lock(user.id)
    before = settings_of(user)
    told = _told(user)
    _rename(user, wanted.username or user.username)
    if {**said, "updated_at": 0} != {**before.claims, "updated_at": 0}:
        user.claims = claims.dump(_dated(said))
    if before == settings_of(user):
        return False
    changed = sorted(name for name in said.keys() | before.claims.keys() if said.get(name) != before.claims.get(name))
    trail.record(
        "user.changed",
        by=by,
        subject=user.id,
        before=told,
        after=_told(user) | {"changed": [name for name in changed if name != "updated_at"]},
        email=_as_address(user),
    )
    return True


def find(user_id: str) -> User:
    """The person with that id. Raises `NotFound`, also for one who was deleted."""
    user = database.session().get(User, user_id)
    if user is None or user.deleted_at is not None:
        raise NotFound("there is no such person")
    return user


def display_name(user: User) -> str:
    """What people call the person: the claims `name`, or given and family name, else the username."""
    said = claims.load(user.claims)
    parts = [said.get("name")] if said.get("name") else [said.get("given_name"), said.get("family_name")]
    return " ".join(str(part) for part in parts if part) or user.username


def by_username(text: str) -> User | None:
    """The person with the username `text`, compared in its normal form."""
    key = names.username_key(text)
    if key is None:
        return None
    return _one(User.username_key == key)


def by_address(text: str) -> User | None:
    """The person who holds the address `text`, proven or not."""
    address = addresses.held(text)
    return None if address is None else find(address.user_id)


def named(text: str) -> User:
    """The person whose id, username or address `text` is. Raises `NotFound`."""
    if identifiers.is_one("usr", text):
        return find(text)
    user = by_address(text) if "@" in text else by_username(text)
    if user is None:
        raise NotFound(f"there is no person {text!r}")
    return user


def search(text: str = "", *, after: str = "", limit: int = 100) -> list[User]:
    """Up to `limit` people in the order of their ids, beginning behind the id `after`.

    With `text`: those whose username or one of whose addresses contains it.
    """
    people = select(User).where(User.deleted_at.is_(None), User.id > after)
    if text:
        people = people.where(_mentions(text.lower()))
    return list(database.session().scalars(people.order_by(User.id).limit(limit)))


def _own_id(given: str) -> str:
    if given and not identifiers.is_one("usr", given):
        raise Invalid("the id of a person is usr_ and up to 64 letters, digits, '-' and '_'", field="id")
    return given or identifiers.user()


def _rename(user: User, text: str) -> None:
    own = {address.address_key for address in addresses.of(user.id)}
    username = names.parse_username(text, own_id=user.id, own_addresses=own)
    if username.key != user.username_key and _one(User.username_key == username.key) is not None:
        raise UsernameTaken
    with database.or_refuse(UsernameTaken()):
        user.username, user.username_key = username.username, username.key


def _dated(said: dict[str, Json]) -> dict[str, Json]:
    return {"updated_at": clock.now() // clock.SECOND, **said}


def _told(user: User) -> dict[str, str | list[str]]:
    """What the trail keeps for good: names of claims but no values, and no address (AUD: those can be erased)."""
    return {
        "username": "" if "@" in user.username else user.username,
        "claims": [name for name in sorted(claims.load(user.claims)) if name != "updated_at"],
    }


def _as_address(user: User) -> str:
    return user.username if "@" in user.username else ""


def _mentions(text: str) -> ColumnElement[bool]:
    holders = select(Address.user_id).where(
        Address.address_key.contains(text, autoescape=True), Address.ended_at.is_(None)
    )
    return or_(User.username_key.contains(text, autoescape=True), User.id.in_(holders))


def _one(condition: ColumnElement[bool]) -> User | None:
    return database.session().scalars(select(User).where(condition)).one_or_none()
