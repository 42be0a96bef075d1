"""Audiences: which APIs tokens may be for, and which one a request means (RFC 8707).

Without any, tokens are for this issuer itself, for which no client has to be registered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import bindparam, select

from idp.clients.models import Api, ApiPermission, ApiScope
from idp.clients.registered import RegisteredClient
from idp.feed.positions import head_of_feed
from idp.oauth.errors import InvalidTarget
from idp.platform import clock
from idp.platform.prepared import Prepared
from idp.platform.settings import settings


@dataclass(frozen=True)
class Audience:
    """An API as tokens see it: its scopes, each with the words that people read, and whether it declares permissions.

    `head`: the feed position when that was so. The issuer itself gets no permissions in tokens: it asks for them.
    """

    uri: str
    scopes: Mapping[str, str] = field(default_factory=dict)
    has_permissions: bool = False
    head: int = clock.FOREVER

    @property
    def is_issuer(self) -> bool:
        """Whether it is this issuer itself."""
        return self.uri == settings().issuer


def granted(asked: tuple[str, ...], client: RegisteredClient) -> tuple[Audience, ...]:
    """The APIs that an authorization is for: those asked for, or else the client's only one; none: the issuer.

    Raises `InvalidTarget` for one that the client is not registered for (`resources`), and for what is no API here.
    """
    registered, issuer = client.texts("resources"), settings().issuer
    wanted = tuple(dict.fromkeys(uri for uri in asked if uri != issuer))
    if not asked and len(registered) == 1:
        wanted = registered
    if not set(wanted) <= set(registered):
        raise InvalidTarget("the client is not registered for this resource")
    return tuple(_declared(uri) for uri in wanted)


def meant(asked: tuple[str, ...], granted: tuple[str, ...]) -> Audience:
    """The one that a token is to be for, of the APIs that were granted.

    Raises `InvalidTarget` for one that was not granted or is gone, and when more than one is left (RFC 8707 §2.2).
    """
    issuer = settings().issuer
    left = asked or granted or (issuer,)
    if len(left) > 1:
        raise InvalidTarget("name one resource: a token is for one")
    if left[0] == issuer:
        return Audience(issuer)
    if left[0] not in granted:
        raise InvalidTarget("this resource was not granted")
    return _declared(left[0])


def meant_still(asked: tuple[str, ...], granted: tuple[str, ...], client: RegisteredClient) -> Audience:
    """As `meant`, of what was granted to `client` some time ago. Raises `InvalidTarget` as well for what it is not
    registered for any more: what the operator takes from a client does not live on in its grants.
    """
    found = meant(asked, granted)
    if not found.is_issuer and found.uri not in client.texts("resources"):
        raise InvalidTarget("the client is not registered for this resource any more")
    return found


def meant_by_machine(asked: tuple[str, ...], client: RegisteredClient) -> Audience:
    """The one that the token of a client that acts for itself is to be for. Raises as `granted` and `meant` do."""
    found = granted(asked, client)
    if len(found) > 1 or (found and settings().issuer in asked):
        raise InvalidTarget("name one resource: a token is for one")
    return found[0] if found else Audience(settings().issuer)


def _declared(uri: str) -> Audience:
    rows = _AUDIENCE.all(audience=uri)
    if not rows:
        raise InvalidTarget("there is no such resource")
    scopes = {row.scope: row.words or "" for row in rows if row.scope is not None}
    return Audience(uri, scopes, rows[0].permission is not None, rows[0].head)


@dataclass(frozen=True)
class _Row:
    head: int
    permission: str | None
    scope: str | None
    words: str | None


_AUDIENCE: Prepared[_Row] = Prepared(
    select(
        head_of_feed,
        select(ApiPermission.id)
        .where(ApiPermission.api_id == Api.id, ApiPermission.ended_at.is_(None))
        .limit(1)
        .scalar_subquery(),
        ApiScope.name,
        ApiScope.description,
    )
    .select_from(Api)
    .outerjoin(ApiScope, (ApiScope.api_id == Api.id) & ApiScope.ended_at.is_(None))
    .where(Api.audience == bindparam("audience"), Api.ended_at.is_(None))
    .order_by(ApiScope.name),
    _Row,
)
