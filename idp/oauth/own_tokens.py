"""Tokens that we signed ourselves, read back strictly: one serialization, our keys, our algorithms, our header.

Nothing is taken from a token to verify it but the `kid` that names one of our keys (RFC 8725 §3.1, §3.10): no key or
address in the header counts, nor does the algorithm that it names, beyond having to be that of the key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from idp.keys import signing
from idp.keys.signing import UnknownKey, VerificationKey
from idp.platform import strict_json
from idp.platform.http_refusals import Malformed
from idp.platform.settings import settings
from idp.platform.strict_json import Json

LONGEST = 16_000
"""Characters of the longest token that is looked at; none of ours comes near."""

_LONGEST_HEADER = 400
_LATEST = 2**40
_OUR_HEADER = frozenset({"alg", "kid", "typ"})
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


class NotOurs(Exception):
    """What was presented is no token of ours, or none of that kind. The reason is for logs and tests alone."""


@dataclass(frozen=True)
class OwnToken:
    """The claims of a token that we signed with the key `kid`. Whether it has expired is not looked at here."""

    kid: str
    claims: Mapping[str, Json]

    def text(self, name: str) -> str:
        """The claim `name`, empty where it is not there. Raises `NotOurs` when it is no string."""
        value = self.claims.get(name, "")
        if not isinstance(value, str):
            raise NotOurs(f"{name} is no string")
        return value

    def required(self, name: str) -> str:
        """The claim `name`. Raises `NotOurs` when it is no string, or empty."""
        value = self.text(name)
        if not value:
            raise NotOurs(f"{name} is missing")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """The claim `name`, which is a string or a list of strings (RFC 7519 §4.1.3). Raises `NotOurs`."""
        value = self.claims.get(name)
        values = value if isinstance(value, list) else [value]
        found = tuple(item for item in values if isinstance(item, str) and item)
        if not values or len(found) < len(values):
            raise NotOurs(f"{name} is neither a string nor a list of strings")
        return found

    def whole(self, name: str) -> int:
        """The claim `name`, a whole number, e.g. of seconds since 1970 (RFC 7519 §2). Raises `NotOurs`."""
        value = self.claims.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise NotOurs(f"{name} is no whole number")
        return value

    def seconds(self, name: str) -> int:
        """The claim `name`, an instant in seconds since 1970. Raises `NotOurs`."""
        value = self.whole(name)
        if value > _LATEST:
            raise NotOurs(f"{name} is out of range")
        return value


def read(raw: str, *, purpose: str, types: frozenset[str]) -> OwnToken:
    """The token that `raw` is: signed for `purpose` by a published key, of one of `types`, issued by this issuer.

    `types`: what the header may say as `typ` (RFC 8725 §3.11); the empty string allows it to be left out. `raw` may be
    anything that a stranger sends. Raises `NotOurs`.
    """
    header, payload, signature = _segments(raw)
    key = _key_for(_object(header), purpose, types)
    if not _is_signed(f"{header}.{payload}", signature, key):
        raise NotOurs("the signature is wrong")
    token = OwnToken(key.kid, _object(payload))
    if token.required("iss") != settings().issuer:
        raise NotOurs("another issuer")
    return token


def _segments(raw: str) -> tuple[str, str, str]:
    found = _COMPACT.fullmatch(raw) if len(raw) <= LONGEST else None
    if found is None or len(found[1]) > _LONGEST_HEADER:
        raise NotOurs("not a compact JWS")
    return found[1], found[2], found[3]


def _key_for(header: Mapping[str, Json], purpose: str, types: frozenset[str]) -> VerificationKey:
    kind = header.get("typ", "")
    if not header.keys() <= _OUR_HEADER or not isinstance(kind, str) or kind not in types:
        raise NotOurs("not our header")
    try:
        key = signing.verification_key(header.get("kid"), purpose)
    except UnknownKey:
        raise NotOurs("not our key") from None
    if header.get("alg") != key.alg:
        raise NotOurs("not the algorithm of the key")
    return key


def _is_signed(message: str, signature: str, key: VerificationKey) -> bool:
    try:
        return JWSRegistry.algorithms[key.alg].verify(message.encode(), _decoded(signature), key.jwk)
    except ValueError:  # some algorithms raise where the signature has the wrong length
        return False


def _object(segment: str) -> Mapping[str, Json]:
    try:
        value = strict_json.loads(_decoded(segment))
    except Malformed:
        raise NotOurs("not JSON") from None
    if not isinstance(value, dict):
        raise NotOurs("not a JSON object")
    return value


def _decoded(segment: str) -> bytes:
    try:
        return urlsafe_b64decode(segment.encode())
    except ValueError:
        raise NotOurs("not base64url") from None
