"""An authenticator that does whatever a test tells it: it makes passkeys, answers for them, and lies on request."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
"""Flags of authenticator data (WebAuthn §6.1)."""

ES256, EDDSA, RS256 = -7, -8, -257


def encoded(value: bytes) -> str:
    """`value` as base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The bytes that `text` spells."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Key:
    """A passkey as its authenticator keeps it."""

    id: bytes
    private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
    rp_id: str
    user_handle: bytes
    count: int
    flags: int

    def public(self) -> dict[int, Any]:
        """The public key as a COSE key (RFC 9053)."""
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return {1: 1, 3: EDDSA, -1: 6, -2: self.private.public_key().public_bytes_raw()}
        if isinstance(self.private, rsa.RSAPrivateKey):
            numbers = self.private.public_key().public_numbers()
            return {1: 3, 3: RS256, -1: _bytes(numbers.n), -2: _bytes(numbers.e)}
        point = self.private.public_key().public_numbers()
        return {1: 2, 3: ES256, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}

    def sign(self, message: bytes) -> bytes:
        """The signature under `message`."""
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(message)
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return self.private.sign(message, ec.ECDSA(hashes.SHA256()))


@dataclass(frozen=True)
class Parts:
    """What an answer is made of, before it is signed and put together; a test changes any of it.

    `client` is the client data, `flags`, `count` and `rest` follow the hash of `rp_id` in the authenticator data;
    `attestation` is the object around them (registration only). `sent` are the members of the JSON beside the answer,
    `response` more of its members. `finish` changes the JSON once everything else is done.
    """

    client: dict[str, Any]
    rp_id: str
    flags: int
    count: int
    rest: bytes = b""
    format: str = "none"
    statement: Mapping[str, Any] = field(default_factory=dict)
    sent: Mapping[str, Any] = field(default_factory=dict)
    response: Mapping[str, Any] = field(default_factory=dict)
    finish: Callable[[dict[str, Any]], Any] = lambda whole: whole

    def but(self, **changes: Any) -> "Parts":
        """The same with something else; `client` and `response` are merged."""
        merged = {name: {**getattr(self, name), **changes[name]} for name in ("client", "response") if name in changes}
        return replace(self, **(changes | merged))

    def authenticator_data(self) -> bytes:
        """What is signed, beside the client data."""
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([self.flags]) + _count(self.count) + self.rest


Change = Callable[[Parts], Parts]


def honest(parts: Parts) -> Parts:
    """No change."""
    return parts


@dataclass
class Authenticator:
    """A device at a page of `origin`. `synced`: its passkeys are backed up; `counts`: they have counters."""

    origin: str
    synced: bool = False
    counts: bool = True
    algorithm: int = ES256
    keys: list[Key] = field(default_factory=list)

    def create(self, options: Mapping[str, Any], change: Change = honest) -> str:
        """Answer `navigator.credentials.create` (JSON); `change` has the last word before it is sent."""
        flags = BE | BS if self.synced else 0
        user = decoded(options["user"]["id"])
        key = Key(secrets.token_bytes(32), _private(self.algorithm), options["rp"]["id"], user, 0, flags)
        self.keys.append(key)
        parts = change(
            Parts(
                client=self._client("webauthn.create", options),
                rp_id=key.rp_id,
                flags=UP | UV | AT | flags,
                count=key.count,
                rest=attested(key.id, cbor2.dumps(key.public())),
                sent={"id": encoded(key.id), "rawId": encoded(key.id), "type": "public-key"},
            )
        )
        whole = {"fmt": parts.format, "attStmt": dict(parts.statement), "authData": parts.authenticator_data()}
        answer = {
            "clientDataJSON": encoded(json.dumps(parts.client).encode()),
            "attestationObject": encoded(cbor2.dumps(whole)),
            "transports": ["internal"],
        }
        return json.dumps(parts.finish({**parts.sent, "response": answer | dict(parts.response)}))

    def get(self, options: Mapping[str, Any], change: Change = honest, *, key: Key | None = None) -> str:
        """Answer `navigator.credentials.get` (JSON) by `key`, or by the last passkey that is allowed."""
        allowed = [decoded(one["id"]) for one in options.get("allowCredentials", [])]
        mine = key or [one for one in self.keys if not allowed or one.id in allowed][-1]
        mine.count += self.counts
        parts = change(
            Parts(
                client=self._client("webauthn.get", options),
                rp_id=mine.rp_id,
                flags=UP | UV | mine.flags,
                count=mine.count,
                sent={"id": encoded(mine.id), "rawId": encoded(mine.id), "type": "public-key"},
                response={"userHandle": encoded(mine.user_handle)},
            )
        )
        client, data = json.dumps(parts.client).encode(), parts.authenticator_data()
        answer = {
            "clientDataJSON": encoded(client),
            "authenticatorData": encoded(data),
            "signature": encoded(mine.sign(data + hashlib.sha256(client).digest())),
        }
        return json.dumps(parts.finish({**parts.sent, "response": answer | dict(parts.response)}))

    def _client(self, kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}


def attested(id: bytes, public_key: bytes, aaguid: bytes = bytes(16)) -> bytes:
    """Attested credential data (WebAuthn §6.5.2)."""
    return aaguid + len(id).to_bytes(2, "big") + id + public_key


def _private(algorithm: int) -> ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey:
    if algorithm == EDDSA:
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == RS256:
        return rsa.generate_private_key(65_537, 2_048)
    return ec.generate_private_key(ec.SECP256R1())


def _count(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
