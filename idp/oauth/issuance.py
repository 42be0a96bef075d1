"""Issuing tokens: the only place that mints them (RFC 9068, OpenID Connect Core §2, §3.1.3.3).

What a token says is as of now: the roles are asked for it, never remembered. `azv` is the position of the change feed
that was read with or before anything else in it, so that whatever is taken away later has a higher one.
"""

import base64
import hashlib
import json
import logging
import secrets
from dataclasses import dataclass
from typing import Final

from joserfc.jws import JWSRegistry

from idp.clients.registered import RegisteredClient
from idp.keys import signing
from idp.keys.material import KeyPair
from idp.oauth import claims, contexts, scopes
from idp.oauth.audiences import Audience
from idp.oauth.authorizations import LiveAuthorization
from idp.oauth.contexts import Entered
from idp.organizations.effective import EffectiveRoles, Holder, held_permissions, now, permissions_in
from idp.platform import clock
from idp.platform.settings import settings
from idp.sessions.levels import Level
from idp.users.claims import Json

LONGEST: Final = 3_500
"""Bytes of the longest access token: what is put into a header has to fit into one."""

_LONGEST_MESSAGE = LONGEST - 87
"""What is signed; then a dot and the 64 bytes of an ES256 signature (RFC 7518 §3.4) in base64url."""
_MACHINE = "c"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Issuance:
    """What tokens are to be issued for. Whoever makes one has checked everything that can be refused.

    `authorization`: `None` where a client acts for itself. `scope`: of those granted. `audience`: of the access token,
    see `audiences.meant`. `entered`: the context, see `contexts`. `nonce`: of the authorization request.
    `refresh_token`: given along, if any. `code`: the code that was redeemed, if one was.
    """

    client: RegisteredClient
    authorization: LiveAuthorization | None
    scope: tuple[str, ...]
    audience: Audience
    entered: Entered
    nonce: str = ""
    refresh_token: str = ""
    code: str = ""

    @property
    def azv(self) -> int:
        """The feed position up to which all of this was current: the lowest of those that were read with it."""
        known = (self.entered.head, self.audience.head)
        return min(known if self.authorization is None else (*known, self.authorization.head))

    @property
    def ends_at(self) -> int:
        """When the first of what this rests on ends by itself: a grant, the session."""
        return min(self.authorization.ends_at if self.authorization else clock.FOREVER, self.entered.ends_at)


def issue(issuance: Issuance) -> dict[str, Json]:
    """The answer of the token endpoint (RFC 6749 §5.1)."""
    scope, now = scopes.narrowed(issuance.scope, issuance.audience, issuance.client), clock.now()
    said = access_claims(issuance, scope, now)
    access_token = _signed_within_size(said)
    answer: dict[str, Json] = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": _number(said["exp"]) - _number(said["iat"]),
        "scope": said["scope"],
    }
    if issuance.refresh_token:
        answer["refresh_token"] = issuance.refresh_token
    if issuance.authorization is not None and scopes.OPENID in scope:
        told = id_claims(issuance, issuance.authorization, scope, now)
        answer["id_token"] = _signed_id_token(issuance, told, access_token)
    return answer


# Access tokens (RFC 9068 §2)


def access_claims(issuance: Issuance, scope: tuple[str, ...], now: int) -> dict[str, Json]:
    """What the access token says, less what makes it too long (`within_size`). `scope`: narrowed to its audience."""
    return {
        "iss": settings().issuer,
        "aud": _audiences(issuance.audience, scope),
        "client_id": issuance.client.id,
        "iat": _seconds(now),
        "exp": _seconds(min(now + settings().lifetimes.access, issuance.ends_at)),
        "scope": " ".join(scope),
        "azv": issuance.azv,
        **_whose(issuance),
        **_context(issuance, scope),
    }


def _audiences(audience: Audience, scope: tuple[str, ...]) -> Json:
    """With `openid` the issuer stands beside the API, so that userinfo takes the token."""
    if scopes.OPENID in scope and not audience.is_issuer:
        return [audience.uri, settings().issuer]
    return audience.uri


def _whose(issuance: Issuance) -> dict[str, Json]:
    """Whose token it is, and what it hangs on: `jti` names the authorization, by which it can be found again."""
    authorization, number = issuance.authorization, secrets.token_urlsafe(16)
    if authorization is None:
        return {"sub": issuance.client.id, "jti": f"{_MACHINE}.{number}"}
    return {
        "sub": authorization.subject,
        "jti": f"{authorization.id}.{number}",
        "sid": authorization.session_id,
        **_how(authorization, issuance.entered),
    }


def _how(authorization: LiveAuthorization, entered: Entered) -> dict[str, Json]:
    """How the person signed in (RFC 9068 §2.2.1): what happened and counts there, never what was asked for (JWT-12)."""
    level = entered.level or Level(authorization.acr, authorization.amr)
    said: dict[str, Json] = {"auth_time": _seconds(entered.proven_at or authorization.auth_time)}
    if level.acr:
        said |= {"acr": level.acr, "amr": list(level.amr)}
    return said


def _context(issuance: Issuance, scope: tuple[str, ...]) -> dict[str, Json]:
    """What the token speaks for, as of now (REF-10). Machines hold their roles themselves and always see them."""
    roles = issuance.entered.roles
    if roles is None:
        return {}
    is_machine = issuance.authorization is None
    with_roles = is_machine or claims.may_see_roles(issuance.client, scope)
    said = claims.of_roles(issuance.entered, with_roles=with_roles) | {"livemode": roles.livemode}
    if with_roles and issuance.audience.has_permissions:
        said["permissions"] = _permissions(issuance, roles, scope)
    return said


def _permissions(issuance: Issuance, roles: EffectiveRoles, scope: tuple[str, ...]) -> list[Json]:
    """What the roles allow at this API, in the mode of the account; what is a scope too only where it was granted."""
    audience, authorization = issuance.audience, issuance.authorization
    holder = Holder(authorization.user_id) if authorization else Holder(client_id=issuance.client.id)
    held = held_permissions(holder, roles.context, now(spare=contexts.SPARE), audience=audience.uri)
    names = permissions_in(held, livemode=roles.livemode)
    return [name for name in sorted(names) if name not in audience.scopes or name in scope]


# ID tokens (OpenID Connect Core §2)


def id_claims(
    issuance: Issuance, authorization: LiveAuthorization, scope: tuple[str, ...], now: int
) -> dict[str, Json]:
    """What the ID token says, less what binds it to the other tokens.

    What is told of the person comes first: nothing of it can stand in the place of what follows.
    """
    said = claims.in_id_token(authorization, issuance.client, scope, issuance.entered) | {
        "iss": settings().issuer,
        "sub": authorization.subject,
        "aud": issuance.client.id,
        "iat": _seconds(now),
        "exp": _seconds(now + settings().lifetimes.id),
        "sid": authorization.session_id,
        **_how(authorization, issuance.entered),
    }
    return said | {"nonce": issuance.nonce} if issuance.nonce else said


def _signed_id_token(issuance: Issuance, said: dict[str, Json], access_token: str) -> str:
    """Bound to the access token and the code (§3.1.3.6, §3.3.2.11), signed as is registered for the client."""
    alg = issuance.client.text("id_token_signed_response_alg")
    bound = said | {"at_hash": _half_hash(access_token, alg)}
    if issuance.code:
        bound["c_hash"] = _half_hash(issuance.code, alg)
    return _signed(bound, signing.current("id_token", alg), "JWT")


def _half_hash(text: str, alg: str) -> str:
    """The left half of the digest that goes with the algorithm; Ed25519 hashes with SHA-512 (RFC 8032 §5.1)."""
    digest = (hashlib.sha512 if alg == "EdDSA" else hashlib.sha256)(text.encode()).digest()
    return _segment(digest[: len(digest) // 2]).decode()


# Userinfo (OpenID Connect Core §5.3.2)


def signed_userinfo(client: RegisteredClient, said: dict[str, Json]) -> str:
    """What userinfo tells a client that is registered for a signed answer. It never expires: no ID token is like it."""
    about: dict[str, Json] = {"iss": settings().issuer, "aud": client.id}
    return _signed(said | about, signing.current("id_token", client.text("userinfo_signed_response_alg")), "JWT")


# Signing


def _signed_within_size(said: dict[str, Json]) -> str:
    key = signing.current("access_token", "ES256")
    return _sealed(_fitting(said, key)[1], key)


def within_size(said: dict[str, Json]) -> dict[str, Json]:
    """`said`, without what is left out of an access token that would be too long (JWT-10)."""
    return _fitting(said, signing.current("access_token", "ES256"))[0]


def _fitting(said: dict[str, Json], key: KeyPair) -> tuple[dict[str, Json], bytes]:
    """What an access token says, and the same as it is signed: without what can be asked for elsewhere, if need be."""
    message = _message(said, key, "at+jwt")
    if len(message) > _LONGEST_MESSAGE and "permissions" in said:
        said = {name: value for name, value in said.items() if name != "permissions"} | {"permissions_omitted": True}
        message = _message(said, key, "at+jwt")
        _log.warning("permissions left out of a token for %s: it would be too long", said["client_id"])
    if len(message) > _LONGEST_MESSAGE:
        said = {name: value for name, value in said.items() if name not in ("org_roles", "account_roles")}
        message = _message(said, key, "at+jwt")
        _log.warning("org_roles and account_roles left out of a token for %s: it would be too long", said["client_id"])
    return said, message


def _signed(said: dict[str, Json], key: KeyPair, kind: str) -> str:
    return _sealed(_message(said, key, kind), key)


def _message(said: dict[str, Json], key: KeyPair, kind: str) -> bytes:
    header = {"typ": kind, "alg": key.slot.alg, "kid": key.kid}
    return b".".join(_segment(json.dumps(part, separators=(",", ":")).encode()) for part in (header, said))


def _sealed(message: bytes, key: KeyPair) -> str:
    """The compact serialization (RFC 7515 §7.1)."""
    signature = JWSRegistry.algorithms[key.slot.alg].sign(message, key.jwk)
    return b".".join((message, _segment(signature))).decode()


def _segment(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


def _seconds(instant: int) -> int:
    """Seconds since 1970 (RFC 7519 §2), rounded down."""
    return instant // clock.SECOND


def _number(value: Json) -> int:
    return value if isinstance(value, int) else 0
