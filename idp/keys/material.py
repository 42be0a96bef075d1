"""What a key is: made here or given, written down to be sealed, shown to the public (RFC 7517, RFC 7518, RFC 8037)."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import base64_to_int

from idp.platform import database
from idp.platform.errors import Invalid

JoseKey = RSAKey | ECKey | OKPKey


@dataclass(frozen=True, order=True)
class Slot:
    """What a key is for: a purpose and a JWS algorithm. A key fills one slot and is refused for every other."""

    purpose: str
    alg: str


ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "access_token": ("ES256",),
    "id_token": ("RS256", "ES256", "PS256", "EdDSA"),
    "saml": ("RS256",),
}

SLOTS = tuple(Slot(purpose, alg) for purpose in ("access_token", "id_token") for alg in ALGORITHMS[purpose])
"""The slots that are always filled. Keys for SAML come with the connections that need them."""

RSA_BITS = 2048

_KINDS: Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {
    "RS256": RSAKey,
    "PS256": RSAKey,
    "ES256": ECKey,
    "EdDSA": OKPKey,
}
_PUBLIC_MEMBERS: Mapping[str, tuple[str, ...]] = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_KID = re.compile(r"[A-Za-z0-9._~:=-]{1,128}")
_LONGEST_KEY = 16_384


@dataclass(frozen=True)
class KeyPair:
    """A key with both halves. The private one never shows in a `repr`."""

    kid: str
    slot: Slot
    jwk: JoseKey = field(repr=False)


def generate(slots: Iterable[Slot]) -> tuple[KeyPair, ...]:
    """A new key for each slot, named by its thumbprint (RFC 7638). Slow for RSA: not inside a writing transaction."""
    database.not_while_writing("generating a key")
    return tuple(_generated(slot) for slot in slots)


def _generated(slot: Slot) -> KeyPair:
    jwk: JoseKey
    match slot.alg:
        case "ES256":
            jwk = ECKey.generate_key("P-256")
        case "EdDSA":
            jwk = OKPKey.generate_key("Ed25519")
        case _:
            jwk = RSAKey.generate_key(RSA_BITS)
    return KeyPair(jwk.thumbprint(), slot, jwk)


# For the vault


def written(pair: KeyPair) -> bytes:
    """What is sealed of `pair`: with its slot, so that nobody who can write to the table can make it serve another."""
    return json.dumps(
        {"purpose": pair.slot.purpose, "alg": pair.slot.alg, "key": pair.jwk.as_dict(private=True)}
    ).encode()


def read(kid: str, plaintext: bytes) -> KeyPair:
    """The key that `written` wrote. Slow for RSA, which is checked anew."""
    said = json.loads(plaintext)
    return KeyPair(kid, Slot(said["purpose"], said["alg"]), _imported(said["alg"], said["key"]))


def _imported(alg: str, key: object) -> JoseKey:
    return _KINDS[alg].import_key(key)  # type: ignore[arg-type] # each kind refuses what is not its own


# For the public


def public(pair: KeyPair) -> dict[str, str]:
    """The public half as a JWK (RFC 7517 §4) with `kid`, `use` and `alg`. Members are named here: no other gets out."""
    held = pair.jwk.as_dict(private=False)
    members = {name: str(held[name]) for name in _PUBLIC_MEMBERS[pair.jwk.key_type]}
    return {"kty": pair.jwk.key_type, "use": "sig", "alg": pair.slot.alg, "kid": pair.kid} | members


def public_key(pair: KeyPair) -> JoseKey:
    """The public half alone, to verify with."""
    return _imported(pair.slot.alg, public(pair))


# Given to us


def given(kid: str, purpose: str, alg: str, private_key: str | Mapping[str, object]) -> KeyPair:
    """The key that an operator hands over: PEM (PKCS#8 or traditional) without a passphrase, or a private JWK.

    Raises `Invalid` when it cannot fill that slot: another type or curve, RSA below 2048 bits, a public key, halves
    that do not belong together, a JWK that says of itself that it is something else. The message never quotes the key.
    """
    if not _KID.fullmatch(kid):
        raise Invalid("kid must be 1 to 128 letters, digits or any of . _ ~ : = -", field="kid")
    if alg not in ALGORITHMS.get(purpose, ()):
        raise Invalid(f"{purpose!r} with {alg!r} is none of ours: {_combinations()}", field="alg")
    try:
        native, said = _loaded(alg, private_key)
        _check_strength(alg, native)
        pair = KeyPair(kid, Slot(purpose, alg), _imported(alg, native))
    except (ValueError, TypeError, KeyError, RecursionError, UnsupportedAlgorithm, JoseError):
        reason = f"not a private key for {alg}: PEM without a passphrase, or a JWK"
        raise Invalid(reason, field="private_key") from None
    _check_agreement(pair, said)
    return pair


def _combinations() -> str:
    return ", ".join(f"{purpose} {'/'.join(algs)}" for purpose, algs in ALGORITHMS.items())


def _loaded(alg: str, private_key: str | Mapping[str, object]) -> tuple[object, Mapping[str, object]]:
    """The key itself, and what its JWK says (nothing, for PEM)."""
    if isinstance(private_key, str) and len(private_key) > _LONGEST_KEY:
        raise ValueError("too long")
    if isinstance(private_key, str) and not private_key.lstrip().startswith("{"):
        return load_pem_private_key(private_key.encode(), None), {}
    said = dict(json.loads(private_key) if isinstance(private_key, str) else private_key)
    if _KINDS[alg] is RSAKey and base64_to_int(str(said.get("n"))).bit_length() < RSA_BITS:
        raise ValueError("too short")
    return _imported(alg, said).private_key, said


def _check_strength(alg: str, native: object) -> None:
    match alg:
        case "ES256":
            strong = isinstance(native, EllipticCurvePrivateKey) and native.curve.name == "secp256r1"
        case "EdDSA":
            strong = isinstance(native, Ed25519PrivateKey)
        case _:
            strong = (
                isinstance(native, RSAPrivateKey)
                and RSA_BITS <= native.key_size <= 4 * RSA_BITS
                and native.public_key().public_numbers().e >= 65_537
            )
    if not strong:
        raise ValueError("not fit for this algorithm")


def _check_agreement(pair: KeyPair, said: Mapping[str, object]) -> None:
    """What a JWK says of itself must be what it is: its public half, and `kid`, `use` and `alg` where it has them."""
    for name, value in public(pair).items():
        if name in said and said[name] != value:
            raise Invalid(f"the key says something else of its {name!r}", field="private_key")
