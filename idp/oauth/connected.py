"""Connected applications: what may act for a person beyond the session in which they use it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select

from idp.clients.models import Client
from idp.oauth.models import Authorization, Consent
from idp.organizations.models import Organization
from idp.platform import clock, database


@dataclass(frozen=True)
class Connected:
    """An application that may act for a person: `scope` as agreed to, or granted; `since` the first of it.

    `organizations`: their names, none where the application acts without a context.
    """

    client_id: str
    name: str
    organizations: tuple[str, ...]
    scope: tuple[str, ...]
    since: int


def of(user_id: str) -> list[Connected]:
    """The applications that the person has agreed to something with, or that stay connected; by name."""
    said = [_Said(*row) for statement in _what_stands(user_id) for row in database.session().execute(statement)]
    named = select(Organization.id, Organization.name).where(Organization.id.in_({one.organization_id for one in said}))
    names = {row.id: row.name for row in database.session().execute(named)}
    by_client = {one.client_id: [other for other in said if other.client_id == one.client_id] for one in said}
    found = [_connected(several, names) for several in by_client.values()]
    return sorted(found, key=lambda one: (one.name.casefold(), one.client_id))


def used_in(session_ids: Collection[str]) -> dict[str, list[str]]:
    """The names of the applications that were used in each of these sessions, sorted."""
    wanted = (
        select(Authorization.session_id, Client.name)
        .join(Client, Client.id == Authorization.client_id)
        .where(Authorization.session_id.in_(session_ids))
        .distinct()
    )
    found: dict[str, list[str]] = defaultdict(list)
    for session_id, name in database.session().execute(wanted):
        found[session_id].append(name)
    return {session_id: sorted(names, key=str.casefold) for session_id, names in found.items()}


@dataclass(frozen=True)
class _Said:
    client_id: str
    name: str
    organization_id: str
    scope: str
    since: int


_Rows = Select[str, str, str, str, int]


def _what_stands(user_id: str) -> tuple[_Rows, _Rows]:
    """Consents, and authorizations that outlive the session."""
    agreed = (
        select(Client.id, Client.name, Consent.organization_id, Consent.scope, Consent.started_at)
        .join(Client, Client.id == Consent.client_id)
        .where(Consent.user_id == user_id, Consent.ended_at.is_(None), Client.ended_at.is_(None))
    )
    organization_id = func.coalesce(Authorization.organization_id, "")
    lasting = (
        select(Client.id, Client.name, organization_id, Authorization.scope, Authorization.created_at)
        .join(Client, Client.id == Authorization.client_id)
        .where(
            Authorization.user_id == user_id,
            Authorization.offline == 1,
            Authorization.ended_at.is_(None),
            Authorization.expires_at > clock.now(),
            Client.ended_at.is_(None),
        )
    )
    return agreed, lasting


def _connected(several: Sequence[_Said], names: Mapping[str, str]) -> Connected:
    first = several[0]
    return Connected(
        first.client_id,
        first.name,
        tuple(sorted({names[one.organization_id] for one in several if one.organization_id in names})),
        tuple(dict.fromkeys(scope for one in several for scope in one.scope.split())),
        min(one.since for one in several),
    )
