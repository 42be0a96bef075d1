"""Tokens made by hand with our own keys: what tests need that no endpoint would issue."""

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any

from joserfc.jws import JWSRegistry

from idp.audit.trail import SYSTEM
from idp.feed import positions
from idp.keys import material, rotation, signing
from idp.keys.material import Slot
from idp.platform import clock, database
from idp.platform.settings import settings

ACCESS = Slot("access_token", "ES256")
ID = Slot("id_token", "ES256")


def make_keys(*slots: Slot) -> None:
    """A key for each of these slots (one for access tokens, one for ID tokens, if none is named; RSA takes time)."""
    pairs = material.generate(slots or (ACCESS, ID))
    with database.writing():
        rotation.ensure(pairs, by=SYSTEM)


def seconds(ahead: int = 0) -> int:
    """Now, or `ahead` seconds later."""
    return clock.now() // clock.SECOND + ahead


def access_claims(**changed: Any) -> dict[str, Any]:
    """Claims of a good access token of a machine; `None` leaves a claim out."""
    claims = {
        "iss": settings().issuer,
        "sub": "app_machine",
        "client_id": "app_machine",
        "aud": "https://payments.example.com",
        "iat": seconds(),
        "exp": seconds(300),
        "jti": f"c.{secrets.token_urlsafe(12)}",
        "scope": "payments",
        "azv": positions.head(),
    }
    return {name: value for name, value in (claims | changed).items() if value is not None}


def access_token(header: Mapping[str, Any] | None = None, **changed: Any) -> str:
    """A signed access token with those claims; `header` replaces members of its header."""
    return signed(access_claims(**changed), "access_token", "ES256", {"typ": "at+jwt", **(header or {})})


def signed(claims: Mapping[str, Any], purpose: str, alg: str, header: Mapping[str, Any] | None = None) -> str:
    """`claims`, signed by the current key for `purpose` with `alg`; `None` in `header` leaves a member out."""
    pair = signing.current(purpose, alg)
    full = {"alg": alg, "kid": pair.kid, "typ": "JWT", **(header or {})}
    message = f"{segment({name: said for name, said in full.items() if said is not None})}.{segment(claims)}"
    signature = JWSRegistry.algorithms[alg].sign(message.encode(), pair.jwk)
    return f"{message}.{encoded(signature)}"


def segment(value: object) -> str:
    """`value` as JSON in base64url."""
    return encoded(json.dumps(value).encode())


def encoded(octets: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
