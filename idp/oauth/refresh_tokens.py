"""Refresh tokens: a family for every authorization, in which each use brings a successor (RFC 9700 §4.14.2).

A second use is a lost answer as long as nobody has used the successor, and theft from then on (REF-02 to REF-04).
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, LargeBinary, bindparam, insert, select, update

from idp.clients.registered import RegisteredClient
from idp.oauth import single_use
from idp.oauth.authorizations import LiveAuthorization
from idp.oauth.errors import InvalidGrant
from idp.oauth.models import Authorization, RefreshToken
from idp.oauth.single_use import Family
from idp.platform import bearer, clock
from idp.platform.prepared import Prepared
from idp.platform.settings import settings

PREFIX: Final = "rt_"

GRACE: Final = 30 * clock.SECOND
"""How long after its first use a token is answered again."""

MOST_ANSWERS: Final = 4
"""How often a token is answered within `GRACE`, the first time included."""


@dataclass(frozen=True)
class StoredRefreshToken:
    """A refresh token, and whose it is. `expires_at`: if unused. The other fields: see `models.RefreshToken`."""

    digest: bytes
    expires_at: int
    spent_at: int | None
    ended_at: int | None
    authorization_id: str
    client_id: str
    user_id: str
    organization_id: str | None

    @property
    def family(self) -> Family:
        """What it belongs to."""
        return Family(self.authorization_id, self.client_id, self.user_id, self.organization_id)


def begin(authorization: LiveAuthorization, client: RegisteredClient) -> str:
    """The first token of a family. Inside `database.writing()`."""
    return _add(authorization, client, parent=None)


def find(presented: str) -> StoredRefreshToken | None:
    """The refresh token that `presented` is, whatever became of it; `None` when we never issued it."""
    return _FIND.one(wanted=bearer.digest(presented))


def rotate(token: StoredRefreshToken, authorization: LiveAuthorization, client: RegisteredClient) -> str:
    """Spend the token and return its successor. Inside `database.writing()`; `client` is whose it is.

    Used for the first time: the conditional UPDATE agrees on one winner. Used again within `GRACE`: another successor,
    up to `MOST_ANSWERS` in all, then `InvalidGrant` and nothing revoked. Later: the answer was lost, so its successors
    end and one takes their place. Raises `WrongProof` (kept, the family ended) when a successor was used before, or
    when the token itself was replaced in this way; `InvalidGrant` when it has expired.
    """
    if _SPEND.run(wanted=token.digest, now=clock.now()):
        return _add(authorization, client, parent=token.digest)
    stored = _FIND.one(wanted=token.digest) or token
    if stored.ended_at is not None or _successor_was_used(stored):
        raise single_use.revoke(stored.family, by=client, presented="replaced refresh token")
    if stored.spent_at is None or stored.expires_at <= clock.now():
        raise InvalidGrant("the refresh token has expired")
    if stored.spent_at > clock.now() - GRACE:
        return _answer_again(stored, authorization, client)
    return _replace_lost(stored, authorization, client)


def _answer_again(token: StoredRefreshToken, authorization: LiveAuthorization, client: RegisteredClient) -> str:
    if not _ANSWER.run(wanted=token.digest):
        raise InvalidGrant("the refresh token was just used; use the newest answer")
    return _add(authorization, client, parent=token.digest)


def _replace_lost(token: StoredRefreshToken, authorization: LiveAuthorization, client: RegisteredClient) -> str:
    """Begin a new window: of several that retry at once one does, and the others come into its window."""
    if not _BEGIN_AGAIN.run(wanted=token.digest, was=token.spent_at, now=clock.now()):
        return _answer_again(token, authorization, client)
    _END_UNUSED.run(parent=token.digest, now=clock.now())
    if _successor_was_used(token):  # while this waited for its turn
        raise single_use.revoke(token.family, by=client, presented="replaced refresh token")
    return _add(authorization, client, parent=token.digest)


def _successor_was_used(token: StoredRefreshToken) -> bool:
    return _USED_SUCCESSOR.one(parent=token.digest) is not None


def _add(authorization: LiveAuthorization, client: RegisteredClient, *, parent: bytes | None) -> str:
    token, now, lifetimes = bearer.mint(PREFIX), clock.now(), settings().lifetimes
    idle = lifetimes.public_refresh_idle if client.is_public else lifetimes.refresh_idle
    _INSERT.run(
        digest=bearer.digest(token),
        authorization_id=authorization.id,
        parent_digest=parent,
        created_at=now,
        expires_at=min(now + idle, authorization.expires_at),
        spent_at=None,
        answers=0,
        ended_at=None,
    )
    return token


# Statements. Whoever needs a token's row and its successors' takes the token's first, so that nobody waits in a circle.


_WANTED = RefreshToken.digest == bindparam("wanted", type_=LargeBinary)
_SUCCESSOR = RefreshToken.parent_digest == bindparam("parent", type_=LargeBinary)
_NOW = bindparam("now", type_=BigInteger)

_Nothing = tuple[object, ...]

_INSERT: Prepared[_Nothing] = Prepared(insert(RefreshToken), tuple)

_FIND: Prepared[StoredRefreshToken] = Prepared(
    select(
        RefreshToken.digest,
        RefreshToken.expires_at,
        RefreshToken.spent_at,
        RefreshToken.ended_at,
        RefreshToken.authorization_id,
        Authorization.client_id,
        Authorization.user_id,
        Authorization.organization_id,
    )
    .join(Authorization, Authorization.id == RefreshToken.authorization_id)
    .where(_WANTED),
    StoredRefreshToken,
)

_SPEND: Prepared[_Nothing] = Prepared(
    update(RefreshToken)
    .where(_WANTED, RefreshToken.spent_at.is_(None), RefreshToken.ended_at.is_(None), RefreshToken.expires_at > _NOW)
    .values(spent_at=_NOW, answers=1),
    tuple,
)

_ANSWER: Prepared[_Nothing] = Prepared(
    update(RefreshToken).where(_WANTED, RefreshToken.answers < MOST_ANSWERS).values(answers=RefreshToken.answers + 1),
    tuple,
)

_BEGIN_AGAIN: Prepared[_Nothing] = Prepared(
    update(RefreshToken)
    .where(_WANTED, RefreshToken.spent_at == bindparam("was", type_=BigInteger))
    .values(spent_at=_NOW, answers=1),
    tuple,
)

_END_UNUSED: Prepared[_Nothing] = Prepared(
    update(RefreshToken)
    .where(_SUCCESSOR, RefreshToken.spent_at.is_(None), RefreshToken.ended_at.is_(None))
    .values(ended_at=_NOW),
    tuple,
)

_USED_SUCCESSOR: Prepared[_Nothing] = Prepared(
    select(RefreshToken.authorization_id).where(_SUCCESSOR, RefreshToken.spent_at.is_not(None)).limit(1), tuple
)
