"""Where a person may work, as an application may know it: organizations and accounts, with roles and their sources.

An application learns of the organization that its token speaks for; the operator's own, and one whose token speaks for
none, of every organization in which it is usable: those are the ones that it can get tokens for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from idp.clients.registered import RegisteredClient
from idp.oauth import access_tokens, active_clients, contexts
from idp.oauth.access_tokens import AccessToken
from idp.oauth.errors import InsufficientScope, InvalidToken
from idp.oauth.scopes import ACCOUNTS
from idp.oauth.userinfo import require_for_us
from idp.organizations import choices
from idp.organizations.choices import AccountChoice, OrganizationChoice, Sourced
from idp.platform.strict_json import Json

MOST: Final = 200
"""Entries of a page."""


@dataclass(frozen=True)
class Position:
    """Behind which entry a page begins: that of the organization (id), or of its account with the key `account`."""

    organization_id: str = ""
    account: str = ""

    def __str__(self) -> str:
        return f"{self.organization_id}/{self.account}"


@dataclass(frozen=True)
class Entry:
    """One context that can be entered, as it is told, and the position behind it."""

    position: Position
    told: dict[str, Json]


def page(raw: str, after: Position, limit: int) -> dict[str, Json]:
    """Up to `limit` contexts behind `after`, and where to go on (`next`) if there are more.

    Raises `InvalidToken` for whatever is no live access token for this very endpoint, and `InsufficientScope` without
    the scope `accounts`.
    """
    token = access_tokens.read(raw)
    require_for_us(token)
    authorization = access_tokens.require_live(token)
    if ACCOUNTS not in token.scope:
        raise InsufficientScope("The token lacks the scope accounts.")
    client = active_clients.find(token.client_id)
    if authorization is None or client is None:
        raise InvalidToken("The token does not speak for a person.")
    found = list(islice(_behind(authorization.user_id, client, token, after, limit + 1), limit + 1))
    told: dict[str, Json] = {"accounts": [entry.told for entry in found[:limit]]}
    return told | {"next": str(found[limit - 1].position)} if len(found) > limit else told


def _behind(user_id: str, client: RegisteredClient, token: AccessToken, after: Position, limit: int) -> Iterator[Entry]:
    """The contexts behind `after`, by the ids of organizations and the keys of accounts."""
    for one in sorted(choices.organizations_of(user_id), key=lambda one: one.id):
        if one.id < after.organization_id or not _may_know(one, client, token):
            continue
        behind = after.account if one.id == after.organization_id else ""
        if one.roles and one.id != after.organization_id:
            yield Entry(Position(one.id), _organization(one))
        for account in choices.accounts_in(user_id, one, after=behind, limit=limit):
            yield Entry(Position(one.id, account.key), _account(one, account))


def _may_know(one: OrganizationChoice, client: RegisteredClient, token: AccessToken) -> bool:
    is_bound = token.organization_id and not client.first_party
    return one.id == token.organization_id if is_bound else contexts.is_usable(client, one.id)


def _organization(one: OrganizationChoice) -> dict[str, Json]:
    return {
        "org_id": one.id,
        "org_slug": one.slug,
        "org_name": one.name,
        "org_roles": list(one.roles),
        "roles": list(one.roles),
        "sources": _sources("organization", one.held),
    }


def _account(one: OrganizationChoice, account: AccountChoice) -> dict[str, Json]:
    return _organization(one) | {
        "account_id": account.id,
        "account_key": account.key,
        "account_name": account.name,
        "livemode": account.livemode,
        "account_roles": list(account.account_roles),
        "roles": list[Json](sorted({*one.roles, *account.account_roles})),
        "sources": [*_sources("organization", one.held), *_sources("account", account.held)],
    }


def _sources(level: str, held: tuple[Sourced, ...]) -> list[Json]:
    return [{"role": one.role, "level": level, "source": one.source} for one in held]
