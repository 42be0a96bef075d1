"""What the provider gave us for one person: tokens, and what is written in them."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True)
class Tokens:
    """`access` for the API, `refresh` for the next ones, `identity` (an ID token) for signing out."""

    access: str
    refresh: str
    identity: str

    @property
    def claims(self) -> Mapping[str, Json]:
        """What the access token says. It came from the provider itself, so nobody verifies it here; the API does."""
        return read(self.access)

    @property
    def ends_at(self) -> int:
        """When the access token expires, in seconds since 1970."""
        ends = self.claims.get("exp")
        return ends if isinstance(ends, int) else 0


def read(token: str) -> Mapping[str, Json]:
    """The claims of a JWT (RFC 7519 §3), unverified."""
    part = token.split(".")[1]
    claims: Mapping[str, Json] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims
