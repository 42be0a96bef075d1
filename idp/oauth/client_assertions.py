"""Assertions by which clients authenticate, signed with keys of their own (RFC 7523 §2.2, §3; `private_key_jwt`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode
from sqlalchemy import delete, select, text

from idp.clients import key_sets, metadata
from idp.clients.public_keys import PublicKey
from idp.clients.registered import RegisteredClient
from idp.oauth.models import SpentAssertion
from idp.platform import bearer, clock, database, strict_json
from idp.platform.http_refusals import Malformed
from idp.platform.prepared import Prepared
from idp.platform.settings import settings
from idp.platform.strict_json import Json

TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_LIFE: Final = 5 * clock.MINUTE
"""How far ahead an assertion may expire: so long its `jti` is remembered."""

LEEWAY: Final = 10 * clock.SECOND
"""By how much the clock of a client may be ahead of ours."""

TOKEN_ENDPOINT: Final = "/oauth2/token"  # noqa: S105 a path

_STRICT: Final = "fapi2"
_STRICT_ALGORITHMS: Final = ("PS256", "ES256", "EdDSA")
_LONGEST: Final = 16_000
_LONGEST_JTI: Final = 1_000
_TYPES: Final = frozenset({"", "jwt", "client-authentication+jwt"})
_COMPACT = re.compile(r"([A-Za-z0-9_-]{2,6000})\.([A-Za-z0-9_-]{2,})\.([A-Za-z0-9_-]{2,2000})")


class BadAssertion(Exception):
    """The assertion does not prove anything. The reason is for logs and tests alone."""


@dataclass(frozen=True)
class Assertion:
    """An assertion as it was sent; nothing in it is proven. `client_id`: its `sub`."""

    client_id: str
    alg: str
    kid: str
    claims: Mapping[str, Json] = field(repr=False)
    message: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def read(raw: str) -> Assertion:
    """What `raw` says, whoever sent it. Raises `BadAssertion`."""
    found = _COMPACT.fullmatch(raw) if len(raw) <= _LONGEST else None
    if found is None:
        raise BadAssertion("not a compact JWS")
    header, claims = _object(found[1]), _object(found[2])
    if _said(header, "typ").lower().removeprefix("application/") not in _TYPES or header.keys() & {"crit", "b64"}:
        raise BadAssertion("another kind of JWT, or one that needs to be understood in another way")
    return Assertion(
        client_id=_said(claims, "sub"),
        alg=_said(header, "alg"),
        kid=_said(header, "kid"),
        claims=claims,
        message=f"{found[1]}.{found[2]}".encode(),
        signature=_decoded(found[3]),
    )


def check(assertion: Assertion, client: RegisteredClient, endpoint: str) -> None:
    """Require that `client` made the assertion, just now and for us, who were called at the path `endpoint`.

    Everything but whether it was used before. Raises `BadAssertion`.
    """
    check_claims(assertion, client, endpoint)
    keys = key_sets.signers(client, kid=assertion.kid, alg=assertion.alg)
    if not any(_is_signed(assertion, key) for key in keys):
        raise BadAssertion("no key of the client has signed this")


def check_claims(assertion: Assertion, client: RegisteredClient, endpoint: str) -> None:
    """What can be said without the keys: for a start, and so that nothing is fetched for nothing. As `check`."""
    for rule in (_algorithm, _names, _audience, _times, _identity):
        rule(assertion, client, endpoint)


def spend(assertion: Assertion) -> bool:
    """Use the assertion up; `False` when it was used before, on whichever node. Inside `database.writing()`.

    For assertions that passed `check`.
    """
    expires_at = _instant(assertion, "exp") + clock.MINUTE  # the clocks of nodes differ a little
    digest = bearer.digest(_said(assertion.claims, "jti"))
    return bool(_SPEND.run(client_id=assertion.client_id, jti_digest=digest, expires_at=expires_at))


def clean_up(limit: int = 1_000) -> int:
    """Forget up to `limit` assertions that have expired; how many. Inside `database.writing()`."""
    old = select(SpentAssertion.client_id, SpentAssertion.jti_digest).where(SpentAssertion.expires_at < clock.now())
    rows = database.session().execute(old.limit(limit)).all()
    for client_id, digest in rows:
        one = delete(SpentAssertion).where(SpentAssertion.client_id == client_id, SpentAssertion.jti_digest == digest)
        database.session().execute(one)
    return len(rows)


# What it must say (RFC 7523 §3)


def _algorithm(assertion: Assertion, client: RegisteredClient, _: str) -> None:
    """Asymmetric ones alone; where the client has registered one, that one."""
    strict = client.text("profile") == _STRICT
    allowed = _STRICT_ALGORITHMS if strict else metadata.SIGNING_ALGORITHMS
    registered = client.text("token_endpoint_auth_signing_alg")
    if assertion.alg not in allowed or (registered and assertion.alg != registered):
        raise BadAssertion("signed with an algorithm that is not allowed")


def _names(assertion: Assertion, client: RegisteredClient, _: str) -> None:
    if assertion.client_id != client.id or assertion.claims.get("iss") != client.id:
        raise BadAssertion("iss and sub must be the client id")


def _audience(assertion: Assertion, client: RegisteredClient, endpoint: str) -> None:
    """The issuer; of clients that are not held to FAPI 2.0 also an endpoint of ours, or several audiences."""
    issuer, said = settings().issuer, assertion.claims.get("aud")
    if client.text("profile") == _STRICT:
        good = said == issuer
    else:
        ours = {issuer, issuer + TOKEN_ENDPOINT, issuer + endpoint}
        named = said if isinstance(said, list) else [said]
        good = any(isinstance(one, str) and one in ours for one in named)
    if not good:
        raise BadAssertion("aud names somebody else")


def _times(assertion: Assertion, _: RegisteredClient, __: str) -> None:
    now = clock.now()
    expires_at = _instant(assertion, "exp")
    if not now < expires_at <= now + LONGEST_LIFE + LEEWAY:
        raise BadAssertion("expired, or expires too late")
    for name in ("nbf", "iat"):
        if name in assertion.claims and _instant(assertion, name) > now + LEEWAY:
            raise BadAssertion(f"{name} lies in the future")


def _identity(assertion: Assertion, _: RegisteredClient, __: str) -> None:
    if not 0 < len(_said(assertion.claims, "jti")) <= _LONGEST_JTI:
        raise BadAssertion("jti is missing, or too long")


def _is_signed(assertion: Assertion, key: PublicKey) -> bool:
    try:
        return JWSRegistry.algorithms[assertion.alg].verify(assertion.message, assertion.signature, key)
    except (JoseError, ValueError):  # some algorithms raise where the signature has the wrong length
        return False


# How it is spelled


def _object(segment: str) -> Mapping[str, Json]:
    try:
        value = strict_json.loads(_decoded(segment))
    except Malformed:
        raise BadAssertion("not JSON") from None
    if not isinstance(value, dict):
        raise BadAssertion("not a JSON object")
    return value


def _decoded(segment: str) -> bytes:
    try:
        return urlsafe_b64decode(segment.encode())
    except ValueError:
        raise BadAssertion("not base64url") from None


def _said(said: Mapping[str, Json], name: str) -> str:
    value = said.get(name, "")
    if not isinstance(value, str):
        raise BadAssertion(f"{name} is no string")
    return value


def _instant(assertion: Assertion, name: str) -> int:
    """A NumericDate (RFC 7519 §2), in microseconds."""
    value = assertion.claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        raise BadAssertion(f"{name} is no time")
    return int(value * clock.SECOND)


_SPEND: Prepared[object] = Prepared(
    text(
        "INSERT INTO spent_assertions (client_id, jti_digest, expires_at)"
        " VALUES (:client_id, :jti_digest, :expires_at) ON CONFLICT DO NOTHING"
    ),
    object,
)
