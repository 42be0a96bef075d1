"""People: made, found, described, renamed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, or_, select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.platform import bulk, clock, database, identifiers
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


@dataclass(frozen=True)
class NewUser:
    """A person to be made, with an address if `email` is given (`is_verified`: it has been proven).

    `id` brings an id along from elsewhere.
    """

    settings: UserSettings
    id: str = ""
    email: str = ""
    is_verified: bool = False


def create(wanted: UserSettings, *, by: Actor, id: str = "", email: str = "", verified: bool = False) -> User:
    """Make one person; see `NewUser` and `create_many`."""
    return find(create_many([NewUser(wanted, id, email, verified)], by=by)[0])


def create_many(wanted: Sequence[NewUser], *, by: Actor) -> list[str]:
    """Make people; their ids, in the order of `wanted`.

    Raises `Invalid`, `UsernameTaken`, `addresses.AddressTaken`, and `Conflict` when an id is or was somebody's.
    """
    rows = [_row(one) for one in wanted]
    instant = clock.now()
    _require_new([row["id"] for row in rows])
    with database.or_refuse(UsernameTaken()):
        bulk.insert_many(User, [{**row, "created_at": instant} for row in rows])
    for row in rows:
        email = row["username"] if "@" in row["username"] else ""
        told = _told(row["username"], row["claims"])
        trail.record("user.created", by=by, subject=row["id"], after=told, email=email)
    first = [(row["id"], one.email, one.is_verified) for row, one in zip(rows, wanted, strict=True) if one.email]
    addresses.give_first(first, by=by)
    return [row["id"] for row in rows]


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
    told = _told(user.username, user.claims)
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
        after=_told(user.username, user.claims) | {"changed": [name for name in changed if name != "updated_at"]},
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


def called(user_ids: Collection[str]) -> dict[str, str]:
    """What people call these people, by their ids, as `display_name`; of those who are gone nothing is known."""
    wanted = select(User).where(User.id.in_(user_ids), User.deleted_at.is_(None))
    return {user.id: display_name(user) for user in database.session().scalars(wanted)}


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


def _row(wanted: NewUser) -> dict[str, str]:
    user_id = _own_id(wanted.id)
    said = claims.parse(wanted.settings.claims)
    own = {names.parse_address(wanted.email).key} if wanted.email else set()
    called = wanted.settings.username or wanted.email or user_id
    username = names.parse_username(called, own_id=user_id, own_addresses=own)
    return {
        "id": user_id,
        "username": username.username,
        "username_key": username.key,
        "claims": claims.dump(_dated(said)),
    }


def _require_new(ids: Sequence[str]) -> None:
    for some in bulk.chunks(ids):
        known = database.session().scalars(select(User.id).where(User.id.in_(some))).first()
        if known is not None:
            raise Conflict(f"there is a person with the id {known} already")


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


def _told(username: str, said: str) -> dict[str, str | list[str]]:
    """What the trail keeps for good: names of claims but no values, and no address (AUD: those can be erased)."""
    return {
        "username": "" if "@" in username else username,
        "claims": [name for name in sorted(claims.load(said)) if name != "updated_at"],
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
