"""How things are named on the command line: organizations, what is in them, who holds roles, and NAME=VALUE pairs."""

from collections.abc import Iterable, Iterator

from idp.clients import clients
from idp.organizations import account_groups, listings, memberships, scopes, teams
from idp.organizations.grants import Grantee
from idp.organizations.models import AccountGroup, Membership, Team
from idp.organizations.scopes import Scope
from idp.platform import clock, identifiers
from idp.platform.errors import Invalid
from idp.users import users


def organization(text: str) -> str:
    """The id of the organization with that id or slug. Raises `NotFound`."""
    return scopes.organization_named(text)


def place_and_key(text: str) -> tuple[str, str]:
    """`organization/key` of something that is to be made: the organization's id, and the key."""
    head, slash, key = text.partition("/")
    if not slash:
        raise Invalid(f"organization/key is expected, not {text!r}")
    return scopes.organization_named(head), key


def account(text: str) -> Scope:
    """The account with that id, or `organization/key`. Raises `NotFound`."""
    scope = scopes.named(text)
    if not scope.account_id:
        raise Invalid(f"an account is expected: its id or organization/key, not {text!r}")
    return scope


def group(text: str) -> AccountGroup:
    """The account group with that id, or `organization/key`. Raises `NotFound`."""
    if identifiers.is_one("agrp", text):
        scope = scopes.named(text)
        return account_groups.find(scope.organization_id, scope.account_group_id)
    organization_id, key = place_and_key(text)
    return account_groups.find(organization_id, key.removeprefix("group:"))


def team(text: str) -> Team:
    """The team with that id, or `organization/key`. Raises `NotFound`."""
    if identifiers.is_one("team", text):
        return teams.find(listings.home_of(text), text)
    return teams.find(*place_and_key(text))


def member(organization_id: str, text: str) -> Membership:
    """The membership with that id, or of the person with that id, username or address. Raises `NotFound`."""
    if identifiers.is_one("mem", text):
        return memberships.find(organization_id, text)
    return memberships.of_user(organization_id, users.named(text).id)


def grantee(organization_id: str, text: str) -> Grantee:
    """Who gets a role: a person, `team:KEY`, or `client:ID`. Raises `NotFound`."""
    kind, _, name = text.partition(":")
    if kind == "team" and name:
        return Grantee("team", teams.find(organization_id, name).id)
    if kind == "client" and name:
        return Grantee("client", clients.named(name).id)
    return Grantee("member", member(organization_id, text).id)


def pairs(option: str, given: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Names and values of `NAME=VALUE`. Raises `Invalid` where there is no `=`."""
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise Invalid(f"{option} {name}: NAME=VALUE is expected", field=name)
        yield name, value


def instant(option: str, text: str) -> int:
    """The time that an option names (RFC 3339). Raises `Invalid`."""
    try:
        return clock.parse(text)
    except ValueError:
        raise Invalid(f"{option}: a date or time like 2026-11-22T16:20:41Z is expected") from None
