"""Keys that clients sign with: which may be registered, and which of them may have made a signature (RFC 7517)."""

import functools
import json
from collections.abc import Iterable, Mapping
from typing import Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from idp.platform.strict_json import Json

PublicKey = RSAKey | ECKey | OKPKey

MOST: Final = 100
"""Keys of a set."""

_KINDS: Final[Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_SECRET: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_FIT: Final[Mapping[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None),
    "PS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Kind and curve of the keys of each algorithm."""

_LEAST_MODULUS: Final = 342
_LARGEST_MODULUS: Final = 1_366
"""Characters of 2048 and of 8192 bits in base64url: more would only cost us time."""

_LARGEST_EXPONENT: Final = 11


def fault_of(jwk: Json) -> str:
    """What is wrong with a key as a public one of an asymmetric algorithm (DCR-05), or nothing."""
    if not isinstance(jwk, dict) or jwk.keys() & _SECRET:
        return "must hold public keys only: no private or symmetric members"
    if jwk.get("kty") not in _KINDS:
        return "must hold RSA, EC or OKP keys"
    if fault := _fault_of_size(jwk):
        return fault
    try:
        imported(jwk)
    except (JoseError, ValueError, KeyError, TypeError):
        return "holds a key that cannot be read"
    return ""


def _fault_of_size(jwk: dict[str, Json]) -> str:
    if jwk["kty"] != "RSA":
        return ""
    modulus, exponent = str(jwk.get("n", "")), str(jwk.get("e", ""))
    if len(modulus) < _LEAST_MODULUS:
        return "holds an RSA key of fewer than 2048 bits"
    if len(modulus) > _LARGEST_MODULUS or len(exponent) > _LARGEST_EXPONENT:
        return "holds an RSA key of more than 8192 bits, or with an exponent of more than 64"
    return ""


def imported(jwk: Mapping[str, Json]) -> PublicKey:
    """The key that `jwk` describes, of which only the members that make it up are read. Slow once, for RSA."""
    kind = str(jwk["kty"])
    return _imported(json.dumps({"kty": kind} | {name: jwk[name] for name in _MEMBERS[kind]}))


@functools.lru_cache(maxsize=1_000)
def _imported(text: str) -> PublicKey:
    members = json.loads(text)
    if not all(isinstance(value, str) for value in members.values()):
        raise ValueError("members of a key are texts")
    return _KINDS[members["kty"]].import_key(members)


def signers(keys: Iterable[Json], *, kid: str, alg: str) -> list[PublicKey]:
    """Those of `keys` that may have made a signature with `alg`, whose header names `kid` (empty: none)."""
    return [imported(key) for key in keys if isinstance(key, dict) and _may_sign(key, kid, alg) and not fault_of(key)]


def _may_sign(key: Mapping[str, Json], kid: str, alg: str) -> bool:
    kind, curve = _FIT[alg]
    operations = key.get("key_ops")
    return (
        key.get("kty") == kind
        and (curve is None or key.get("crv") == curve)
        and (not kid or key.get("kid") in (kid, None))
        and key.get("use") in ("sig", None)
        and key.get("alg") in (alg, None)
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
    )
