"""Connected applications: what may act for a person beyond the session in which they use it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, or_, select, union_all

from idp.clients.models import Client
from idp.oauth.models import Authorization, Consent, RefreshToken
from idp.organizations.models import MembershipStatus, Organization
from idp.platform import clock, database


@dataclass(frozen=True)
class Connected:
    """An application that may act for a person: `scope` as agreed to, or granted; `since` the first of it.

    `organizations`: their names, none where the application acts without a context. `resources`: the audiences of the
    APIs that it may use. `last_used_at`: when it last got a token, as far as that is remembered.
    """

    client_id: str
    name: str
    organizations: tuple[str, ...]
    scope: tuple[str, ...]
    since: int
    resources: tuple[str, ...] = ()
    last_used_at: int | None = None


def of(user_id: str) -> list[Connected]:
    """The applications that the person has agreed to something with, or that stay connected; by name. Four statements.

    What stays connected in an organization that the person left since is none of it: nothing comes of that any more.
    """
    said = [_Said(*row) for statement in _what_stands(user_id) for row in database.session().execute(statement)]
    named = select(Organization.id, Organization.name).where(Organization.id.in_({one.organization_id for one in said}))
    names = {row.id: row.name for row in database.session().execute(named)}
    by_client = {one.client_id: [other for other in said if other.client_id == one.client_id] for one in said}
    used = _last_used(user_id)
    found = [_connected(several, names, used) for several in by_client.values()]
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


def everything_of(user_id: str, since: int) -> Select[str]:
    """The ids of the authorizations of the person that ended since then, and of what they agreed to."""
    ended = select(Authorization.id).where(Authorization.user_id == user_id, Authorization.ended_at >= since)
    agreed = select(Consent.id).where(Consent.user_id == user_id)
    return select(union_all(ended, agreed).subquery())


def names_of(client_ids: Collection[str]) -> dict[str, str]:
    """What these applications are called, also those that are gone, by their ids."""
    named = select(Client.id, Client.name).where(Client.id.in_(client_ids))
    return {id: name for id, name in database.session().execute(named)}  # noqa: C416 typed rows


@dataclass(frozen=True)
class _Said:
    client_id: str
    name: str
    organization_id: str
    scope: str
    since: int
    resources: str


_Rows = Select[str, str, str, str, int, str]


def _what_stands(user_id: str) -> tuple[_Rows, _Rows]:
    """Consents, and authorizations that outlive the session."""
    agreed = (
        select(Client.id, Client.name, Consent.organization_id, Consent.scope, Consent.started_at, Consent.resources)
        .join(Client, Client.id == Consent.client_id)
        .where(Consent.user_id == user_id, Consent.ended_at.is_(None), Client.ended_at.is_(None))
    )
    organization_id = func.coalesce(Authorization.organization_id, "")
    still_there = select(MembershipStatus.id).where(
        MembershipStatus.id == Authorization.standing_id, MembershipStatus.ended_at.is_(None)
    )
    lasting = (
        select(
            Client.id,
            Client.name,
            organization_id,
            Authorization.scope,
            Authorization.created_at,
            Authorization.resources,
        )
        .join(Client, Client.id == Authorization.client_id)
        .where(
            Authorization.user_id == user_id,
            Authorization.offline == 1,
            Authorization.ended_at.is_(None),
            Authorization.expires_at > clock.now(),
            Client.ended_at.is_(None),
            or_(Authorization.organization_id.is_(None), still_there.exists()),
        )
    )
    return agreed, lasting


def _last_used(user_id: str) -> dict[str, int]:
    """When each client last got a token for the person: by a code, or by a refresh token."""
    latest = func.max(func.coalesce(RefreshToken.created_at, Authorization.created_at))
    wanted = (
        select(Authorization.client_id, latest)
        .outerjoin(RefreshToken, RefreshToken.authorization_id == Authorization.id)
        .where(Authorization.user_id == user_id)
        .group_by(Authorization.client_id)
    )
    return {client_id: at for client_id, at in database.session().execute(wanted)}  # noqa: C416 typed rows


def _connected(several: Sequence[_Said], names: Mapping[str, str], used: Mapping[str, int]) -> Connected:
    first = several[0]
    return Connected(
        first.client_id,
        first.name,
        tuple(sorted({names[one.organization_id] for one in several if one.organization_id in names})),
        tuple(dict.fromkeys(scope for one in several for scope in one.scope.split())),
        min(one.since for one in several),
        tuple(dict.fromkeys(uri for one in several for uri in one.resources.split() if "#" not in uri)),
        used.get(first.client_id),
    )
