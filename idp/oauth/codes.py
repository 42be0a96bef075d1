"""Authorization codes (RFC 6749 §4.1.2): a decision written down for its client to fetch, once and soon."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, LargeBinary, bindparam, insert, select, update

from idp.oauth.models import Authorization, AuthorizationCode
from idp.platform import bearer, clock
from idp.platform.prepared import Prepared
from idp.platform.settings import settings

PREFIX = "ac_"


@dataclass(frozen=True)
class StoredCode:
    """A code as it was issued. `code_challenge`, `nonce`: `None` where the request had none. `user_id`: whose it is."""

    digest: bytes
    authorization_id: str
    client_id: str
    redirect_uri: str
    code_challenge: str | None
    nonce: str | None
    expires_at: int
    used_at: int | None
    user_id: str
    organization_id: str | None


def issue(
    authorization_id: str, client_id: str, redirect_uri: str, code_challenge: str | None, nonce: str | None
) -> str:
    """Write down a code for the authorization and return it; it lives `lifetimes.code`. Inside `database.writing()`.

    `redirect_uri`: where it is sent, to the byte. `code_challenge`: of S256 (RFC 7636 §4.2).
    """
    code, now = bearer.mint(PREFIX), clock.now()
    _INSERT.run(
        digest=bearer.digest(code),
        authorization_id=authorization_id,
        client_id=client_id,
        redirect_uri=redirect_uri,
        code_challenge=code_challenge,
        nonce=nonce,
        created_at=now,
        expires_at=now + settings().lifetimes.code,
        used_at=None,
    )
    return code


def find(presented: str) -> StoredCode | None:
    """The code that `presented` is, whatever became of it; `None` when we never issued it."""
    return _FIND.one(wanted=bearer.digest(presented))


def use(code: StoredCode) -> bool:
    """Use the code up; whether it was this call that did (COD-03). Inside `database.writing()`."""
    return _USE.run(wanted=code.digest, now=clock.now()) == 1


_INSERT: Prepared[tuple[object, ...]] = Prepared(insert(AuthorizationCode), tuple)

_FIND: Prepared[StoredCode] = Prepared(
    select(
        AuthorizationCode.digest,
        AuthorizationCode.authorization_id,
        AuthorizationCode.client_id,
        AuthorizationCode.redirect_uri,
        AuthorizationCode.code_challenge,
        AuthorizationCode.nonce,
        AuthorizationCode.expires_at,
        AuthorizationCode.used_at,
        Authorization.user_id,
        Authorization.organization_id,
    )
    .join(Authorization, Authorization.id == AuthorizationCode.authorization_id)
    .where(AuthorizationCode.digest == bindparam("wanted", type_=LargeBinary)),
    StoredCode,
)

_USE: Prepared[tuple[object, ...]] = Prepared(
    update(AuthorizationCode)
    .where(AuthorizationCode.digest == bindparam("wanted", type_=LargeBinary), AuthorizationCode.used_at.is_(None))
    .values(used_at=bindparam("now", type_=BigInteger)),
    tuple,
)
