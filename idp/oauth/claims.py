"""Claims: what a scope releases, and what was asked for by name (OpenID Connect Core §5).

A claim that nobody has set is left out, never null or empty (§5.3.2). What a person may be known by elsewhere is not
told by accident: a username that is an address or an id is no `preferred_username`.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import bindparam, select

from idp.clients.registered import RegisteredClient
from idp.oauth.authorizations import LiveAuthorization
from idp.oauth.claims_request import ClaimsRequest
from idp.oauth.contexts import Entered
from idp.oauth.scopes import ROLES
from idp.organizations import proven_addresses
from idp.platform import clock, identifiers
from idp.platform.prepared import Prepared
from idp.users import claims as stored
from idp.users.claims import Json
from idp.users.models import User

OF_SCOPE: Final[Mapping[str, frozenset[str]]] = {
    "profile": frozenset(
        {
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        }
    ),
    "email": frozenset({"email", "email_verified"}),
    "address": frozenset({"address"}),
    "phone": frozenset({"phone_number", "phone_number_verified"}),
}
"""What each scope releases (§5.4)."""

OF_CONTEXT: Final = ("org_id", "account_id", "org_roles", "account_roles", "roles")
"""Ours: what the tokens speak for, and what the person holds there."""

SUPPORTED: Final = tuple(sorted(name for names in OF_SCOPE.values() for name in names))
"""The claims about a person that can be had; each can be asked for by name as well."""

_OF_ADDRESS = OF_SCOPE["email"]


@dataclass(frozen=True)
class Wishes:
    """What a client wishes beyond scopes: claims by name, and languages (`claims_locales`, the dearest first)."""

    named: ClaimsRequest = field(default_factory=ClaimsRequest)
    locales: tuple[str, ...] = ()

    def dump(self) -> str:
        """The text under which this stands in `authorizations.claims_json`."""
        return json.dumps({**json.loads(self.named.dump()), "locales": list(self.locales)})

    @classmethod
    def load(cls, text: str) -> "Wishes":
        """What was stored as `text`."""
        values = json.loads(text)
        return cls(ClaimsRequest.of(values), tuple(values.get("locales", ())))


def scopes_behind(named: Iterable[str]) -> frozenset[str]:
    """The scopes whose words say what claims with these names tell: what is agreed to where they are asked for."""
    bases = {name.partition("#")[0] for name in named}
    return frozenset(scope for scope, names in OF_SCOPE.items() if names & bases)


def userinfo(
    authorization: LiveAuthorization, client: RegisteredClient, scope: Collection[str], entered: Entered
) -> dict[str, Json]:
    """What userinfo says to the holder of a token with this scope, in this context (§5.3.2)."""
    wishes = Wishes.load(authorization.claims_json)
    names = set(wishes.named.userinfo).union(*(OF_SCOPE.get(one, ()) for one in scope))
    return {
        "sub": authorization.subject,
        **of_person(authorization.user_id, names, wishes.locales),
        **_of_context(client, scope, entered, set(wishes.named.userinfo)),
    }


def in_id_token(
    authorization: LiveAuthorization, client: RegisteredClient, scope: Collection[str], entered: Entered
) -> dict[str, Json]:
    """What the ID token says beyond how somebody signed in: what was asked for there, or by registration all."""
    wishes = Wishes.load(authorization.claims_json)
    names = set(wishes.named.id_token)
    if client.says("claims_in_id_token"):
        names = names.union(*(OF_SCOPE.get(one, ()) for one in scope))
    told = of_person(authorization.user_id, names, wishes.locales) if names else {}
    return {**told, **_of_context(client, scope, entered, set(wishes.named.id_token))}


def of_person(user_id: str, names: Collection[str], locales: tuple[str, ...] = ()) -> dict[str, Json]:
    """The claims with these names that are known of the person, in their JSON types (§5.1).

    One language wished: without tags, in it where it is there. Several: with tags, beside those without (§5.2). A name
    with a tag gets what stands under that tag.
    """
    plain = {name for name in names if "#" not in name}
    known: dict[str, Json] = {}
    if plain & _OF_ADDRESS:
        known |= _email(user_id)
    if set(names) - _OF_ADDRESS:
        known |= _profile(user_id)
    told = {name: known[name] for name in names if name in known}
    translated = _translated(known, plain, locales)
    if len(locales) == 1:
        return told | {name.partition("#")[0]: value for name, value in translated.items()}
    return told | translated


def of_roles(entered: Entered, *, with_roles: bool) -> dict[str, Json]:
    """What an access token says of its context; role claims only `with_roles` (§6 of the domain page)."""
    roles = entered.roles
    if roles is None:
        return {}
    said: dict[str, Json] = {"org_id": roles.context.organization_id}
    if roles.context.account_id:
        said["account_id"] = roles.context.account_id
    if with_roles:
        said["org_roles"] = _list(roles.organization_roles)
        if roles.context.account_id:
            said["account_roles"] = _list(roles.account_roles)
        said["roles"] = _list(roles.roles)
    return said


def may_see_roles(client: RegisteredClient, scope: Collection[str]) -> bool:
    """Whether a client learns the roles of a person: the operator's own, and whoever was allowed to (`roles`)."""
    return client.first_party or ROLES in scope


def _of_context(
    client: RegisteredClient, scope: Collection[str], entered: Entered, named: Collection[str]
) -> dict[str, Json]:
    """As the ID token and userinfo say it: `roles` only by registration, it and `account_roles` where named."""
    said = of_roles(entered, with_roles=may_see_roles(client, scope))
    shown = {"org_id", "account_id", "org_roles", *named}
    if client.says("roles_in_id_token"):
        shown.add("roles")
    return {name: value for name, value in said.items() if name in shown}


def _list(roles: Iterable[str]) -> list[Json]:
    return [*sorted(roles)]


# What is known of a person


@dataclass(frozen=True)
class _Person:
    username: str
    claims: str
    created_at: int


def _profile(user_id: str) -> dict[str, Json]:
    person = _PERSON.one(user_id=user_id)
    if person is None:
        return {}
    known: dict[str, Json] = {"updated_at": person.created_at // clock.SECOND}
    if "@" not in person.username and not identifiers.is_one("usr", person.username):
        known["preferred_username"] = person.username
    known |= stored.load(person.claims)
    if name := " ".join(str(known[part]) for part in ("given_name", "family_name") if part in known):
        known.setdefault("name", name)
    if "phone_number" in known:
        known.setdefault("phone_number_verified", False)
    else:
        known.pop("phone_number_verified", None)
    return known


def _email(user_id: str) -> dict[str, Json]:
    address = proven_addresses.primary_of(user_id)
    return {} if address is None else {"email": address.address, "email_verified": address.is_proven}


def _translated(known: Mapping[str, Json], names: Collection[str], locales: tuple[str, ...]) -> dict[str, Json]:
    """What stands under the best tag for each language, with that tag."""
    found: dict[str, Json] = {}
    for name in names:
        tags = {key.partition("#")[2].lower(): key for key in known if key.startswith(f"{name}#")}
        for key in filter(None, (_best(tags, locale) for locale in locales)):
            found[key] = known[key]
    return found


def _best(tags: Mapping[str, str], locale: str) -> str | None:
    """RFC 4647 §3.4: the tag itself, or what is left of it when its ends are cut off one by one."""
    wanted = locale.lower().replace("_", "-")
    while wanted:
        if wanted in tags:
            return tags[wanted]
        wanted = wanted.rpartition("-")[0]
    return None


_PERSON: Prepared[_Person] = Prepared(
    select(User.username, User.claims, User.created_at).where(
        User.id == bindparam("user_id"), User.deleted_at.is_(None)
    ),
    _Person,
)
