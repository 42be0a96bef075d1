"""Access tokens (RFC 9068) read strictly: one serialization, one algorithm, the provider's keys, our audience.

Nothing is taken from a token to verify it but the `kid` that names one of the provider's keys (RFC 8725 §3.1, §3.10).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from idp_verifier.provider import Json
from idp_verifier.refusals import InvalidToken

LEEWAY: Final = 5
"""Seconds by which our clock may be ahead of the provider's."""

LONGEST: Final = 16_000
"""Characters of the longest token that is looked at."""

ALGORITHM: Final = "ES256"

_COMPACT = re.compile(r"([A-Za-z0-9_-]{1,400})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_HEADER = frozenset({"alg", "kid", "typ"})
_NOT_OURS = "The token is not an access token of this issuer."


@dataclass(frozen=True)
class Token:
    """An access token that the provider signed for this API and that has not expired.

    `azv`: the position of the change feed up to which all that it says was current.
    """

    raw: str
    kid: str
    azv: int
    claims: Mapping[str, Json]

    def text(self, name: str) -> str:
        """The claim `name`; empty where there is none."""
        value = self.claims.get(name)
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """The strings of the claim `name`, which is a string or a list (RFC 7519 §4.1.3)."""
        value = self.claims.get(name)
        values = value if isinstance(value, list) else [value]
        return tuple(item for item in values if isinstance(item, str))

    def seconds(self, name: str) -> int | None:
        """The claim `name`, an instant in seconds since 1970; `None` where there is none."""
        value = self.claims.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def values(self) -> Mapping[str, tuple[str, ...]]:
        """What of the token entries of the change feed are compared with, by the names that they use."""
        details = self.claims.get("authorization_details")
        said = {name: self.texts(name) for name in ("sub", "org_id", "client_id", "sid", "jti", "aud")}
        said["account_id"] = (*self.texts("account_id"), *_named(details, "account_id"))
        if isinstance(self.claims.get("roles"), list):
            said["role"] = (*self.texts("roles"), *_named(details, "roles"))
        actor = self.claims.get("act")
        if isinstance(actor, dict) and isinstance(actor.get("sub"), str):
            said["act"] = (str(actor["sub"]),)
        return said


def read(raw: str, *, issuer: str, audience: str, key_of: Callable[[str], ECKey], now: float) -> Token:
    """The token that `raw` is, `now` in seconds since 1970: signature, `typ`, `iss`, `aud`, `exp`, and an `azv`.

    `key_of` finds a key by its `kid`; what it raises passes through. `raw` may be anything that a stranger sends:
    raises `InvalidToken`.
    """
    found = _COMPACT.fullmatch(raw) if len(raw) <= LONGEST else None
    if found is None:
        raise InvalidToken(_NOT_OURS)
    kid = _kid(_object(found[1]))
    if not _is_signed(f"{found[1]}.{found[2]}", found[3], key_of(kid)):
        raise InvalidToken(_NOT_OURS)
    token = Token(raw, kid, 0, _object(found[2]))
    if token.text("iss") != issuer or audience not in token.texts("aud") or not token.text("sub"):
        raise InvalidToken("The token was issued for another API, or by another issuer.")
    _require_in_time(token, now)
    azv = token.seconds("azv")
    if azv is None or azv < 0:
        raise InvalidToken("The token does not say up to which change it was current.")
    return Token(raw, kid, azv, token.claims)


def _kid(header: Mapping[str, Json]) -> str:
    kid = header.get("kid")
    is_ours = header.get("typ") == "at+jwt" and header.get("alg") == ALGORITHM and header.keys() <= _HEADER
    if not is_ours or not isinstance(kid, str):
        raise InvalidToken(_NOT_OURS)
    return kid


def _require_in_time(token: Token, now: float) -> None:
    ends, begins = token.seconds("exp"), token.seconds("nbf")
    if ends is None or now >= ends + LEEWAY:
        raise InvalidToken("The token has expired.")
    if begins is not None and now < begins - LEEWAY:
        raise InvalidToken("The token is not valid yet.")


def _is_signed(message: str, signature: str, key: ECKey) -> bool:
    try:
        return JWSRegistry.algorithms[ALGORITHM].verify(message.encode(), urlsafe_b64decode(signature.encode()), key)
    except ValueError:
        return False


def _object(segment: str) -> Mapping[str, Json]:
    try:
        value: Json = json.loads(urlsafe_b64decode(segment.encode()), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise InvalidToken(_NOT_OURS) from None
    if not isinstance(value, dict):
        raise InvalidToken(_NOT_OURS)
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _named(value: Json, name: str) -> Iterator[str]:
    """Strings under `name`, alone or in a list, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _named(item, name)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == name:
                yield from (one for one in (item if isinstance(item, list) else [item]) if isinstance(one, str))
            yield from _named(item, name)
