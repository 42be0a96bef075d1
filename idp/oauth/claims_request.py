"""The `claims` parameter: which claims a client asks for by name, and where (OpenID Connect Core §5.5)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from idp.oauth.errors import InvalidRequest
from idp.platform import strict_json
from idp.platform.strict_json import Json, NotJson

MOST = 100
"""Claims that may be asked for in one place."""

Wanted = Mapping[str, Mapping[str, Json]]
"""Claims by name, each with what is said of it: `essential`, `value`, `values`; empty for a plain wish."""


@dataclass(frozen=True)
class ClaimsRequest:
    """The claims asked for in the ID token and at userinfo. Names that nobody knows are kept; nothing comes of them."""

    id_token: Wanted = field(default_factory=dict)
    userinfo: Wanted = field(default_factory=dict)

    @property
    def essential_acr(self) -> tuple[str, ...]:
        """The `acr` values of which one must be met (§5.5.1.1); none where it is no more than a wish."""
        asked = self.id_token.get("acr", {})
        return _strings(asked) if asked.get("essential") is True else ()

    @property
    def wished_acr(self) -> tuple[str, ...]:
        """The `acr` values that are asked for without being essential."""
        asked = self.id_token.get("acr", {})
        return () if asked.get("essential") is True else _strings(asked)

    @property
    def sub(self) -> str:
        """The subject that has to be signed in (§3.1.2.2: nobody else will do); empty where none is named."""
        value = self.id_token.get("sub", {}).get("value")
        return value if isinstance(value, str) else ""

    def dump(self) -> str:
        """The text under which this is stored."""
        return json.dumps({"id_token": dict(self.id_token), "userinfo": dict(self.userinfo)}, sort_keys=True)

    @classmethod
    def load(cls, stored: str) -> "ClaimsRequest":
        """What was stored as `stored`."""
        return cls.of(json.loads(stored))

    @classmethod
    def of(cls, values: Mapping[str, Wanted]) -> "ClaimsRequest":
        """What was stored as part of a larger text, which has been read."""
        return cls(values.get("id_token", {}), values.get("userinfo", {}))


NO_CLAIMS = ClaimsRequest()
"""Nothing is asked for by name."""


def parse(text: str) -> ClaimsRequest:
    """The request that `text` spells; none where it is empty. Raises `InvalidRequest`.

    Members that are not known are ignored, wherever they stand (§5.5, §5.5.1).
    """
    asked = _read(text) if text else {}
    return ClaimsRequest(_wanted(asked, "id_token"), _wanted(asked, "userinfo"))


def _read(text: str) -> dict[str, Json]:
    try:
        asked = strict_json.loads(text)
    except NotJson:
        raise InvalidRequest("claims is not JSON that can be read") from None
    if not isinstance(asked, dict):
        raise InvalidRequest("claims must be a JSON object")
    return asked


def _wanted(asked: Mapping[str, Json], place: str) -> Wanted:
    claims = asked.get(place)
    if claims is None:
        return {}
    if not isinstance(claims, dict) or len(claims) > MOST:
        raise InvalidRequest(f"claims: {place} must be an object of at most {MOST} claims")
    return {name: _said(claim) for name, claim in claims.items()}


def _said(claim: Json) -> Mapping[str, Json]:
    if claim is None:
        return {}
    if not isinstance(claim, dict):
        raise InvalidRequest("claims: what is said of a claim must be an object or null")
    if not isinstance(claim.get("essential", False), bool) or not isinstance(claim.get("values", []), list):
        raise InvalidRequest("claims: essential must be true or false, and values a list")
    return {name: value for name, value in claim.items() if name in _MEMBERS}


_MEMBERS = frozenset({"essential", "value", "values"})


def _strings(asked: Mapping[str, Json]) -> tuple[str, ...]:
    values = asked.get("values")
    several = values if isinstance(values, list) else []
    return tuple(value for value in (asked.get("value"), *several) if isinstance(value, str))
