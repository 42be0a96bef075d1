"""Keys as they are made, handed over, written down and shown."""

import functools
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from flask import Flask
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import int_to_base64

from idp.keys import material
from idp.keys.material import SLOTS, KeyPair, Slot
from idp.platform import database
from idp.platform.errors import Invalid

PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

type_of = {"ES256": "EC", "RS256": "RSA", "PS256": "RSA", "EdDSA": "OKP"}


@pytest.fixture(scope="module")
def pairs() -> dict[str, KeyPair]:
    """One key for each algorithm."""
    return {slot.alg: material._generated(slot) for slot in SLOTS}


@pytest.mark.parametrize("alg", type_of)
def test_a_key_shows_its_public_half_only(pairs: dict[str, KeyPair], alg: str) -> None:
    shown = material.public(pairs[alg])
    assert shown["kty"] == type_of[alg]
    assert (shown["use"], shown["alg"], shown["kid"]) == ("sig", alg, pairs[alg].kid)
    assert PRIVATE_MEMBERS.isdisjoint(shown)
    assert not material.public_key(pairs[alg]).is_private
    assert str(pairs[alg].jwk.as_dict(private=True)["d"]) not in repr(pairs[alg])


@pytest.mark.parametrize("alg", type_of)
def test_a_key_written_down_reads_as_the_same(pairs: dict[str, KeyPair], alg: str) -> None:
    pair = pairs[alg]
    read = material.read(pair.kid, material.written(pair))
    assert read.slot == pair.slot
    assert read.jwk.as_dict(private=True) == pair.jwk.as_dict(private=True)


@pytest.mark.parametrize("alg", type_of)
@pytest.mark.parametrize("form", ["pkcs8", "traditional", "jwk", "jwk text", "bare jwk"])
def test_a_key_may_be_handed_over_in_every_usual_form(pairs: dict[str, KeyPair], alg: str, form: str) -> None:
    own = pairs[alg].jwk.as_dict(private=True)
    native = pairs[alg].jwk.private_key
    assert native is not None
    traditional = PrivateFormat.TraditionalOpenSSL if alg != "EdDSA" else PrivateFormat.PKCS8
    forms: dict[str, object] = {
        "pkcs8": native.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "traditional": native.private_bytes(Encoding.PEM, traditional, NoEncryption()).decode(),
        "jwk": own | {"kid": "brought", "use": "sig", "alg": alg, "key_ops": ["sign"]},
        "jwk text": " " + json.dumps(own),
        "bare jwk": {name: own[name] for name in ("kty", "crv", "n", "e", "x", "y", "d") if name in own},
    }
    pair = material.given("brought", "id_token", alg, forms[form])  # type: ignore[arg-type]
    assert pair.kid == "brought"
    assert pair.slot == Slot("id_token", alg)
    assert material.public(pair) == material.public(pairs[alg]) | {"kid": "brought"}


def _pem(key: object) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # type: ignore[attr-defined]


@functools.cache
def _rsa(bits: int, exponent: int = 65537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(exponent, bits)


@functools.cache
def _ec() -> ECKey:
    return ECKey.generate_key("P-256")


def _jwk(key: ECKey | OKPKey, **members: object) -> dict[str, object]:
    return {**key.as_dict(private=True), **members}


def _rsa_jwk(bits: int, zeros: str = "") -> dict[str, object]:
    numbers = _rsa(bits).private_numbers()
    return {
        "kty": "RSA",
        "n": zeros + int_to_base64(numbers.public_numbers.n),
        "e": "AQAB",
        "d": int_to_base64(numbers.d),
    }


def _encrypted() -> str:
    protection = BestAvailableEncryption(b"passphrase")
    assert _ec().private_key is not None
    return _ec().private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection).decode()  # type: ignore[union-attr]


MISFITS: dict[str, tuple[str, Callable[[], object]]] = {
    "RSA of 1024 bits": ("RS256", lambda: _pem(_rsa(1024))),
    "RSA of 1024 bits as JWK": ("RS256", lambda: _rsa_jwk(1024)),
    "RSA of 1024 bits behind zeros": ("RS256", lambda: _rsa_jwk(1024, zeros="A" * 200)),
    "RSA with exponent 3": ("PS256", lambda: _pem(_rsa(2048, 3))),
    "another curve": ("ES256", lambda: _pem(ec.generate_private_key(ec.SECP384R1()))),
    "a curve that tokens do not know": ("ES256", lambda: _pem(ec.generate_private_key(ec.SECP256K1()))),
    "Ed448": ("EdDSA", lambda: _pem(ed448.Ed448PrivateKey.generate())),
    "X25519": ("EdDSA", lambda: _jwk(OKPKey.generate_key("X25519"))),
    "DSA": ("ES256", lambda: _pem(dsa.generate_private_key(1024))),
    "another type": ("RS256", lambda: _pem(ed25519.Ed25519PrivateKey.generate())),
    "another type as JWK": ("RS256", lambda: _jwk(_ec())),
    "a public key": (
        "ES256",
        lambda: _ec().public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    ),
    "a public JWK": ("ES256", lambda: _ec().as_dict(private=False)),
    "a passphrase": ("ES256", _encrypted),
    "a symmetric key": ("ES256", lambda: {"kty": "oct", "k": "c2VjcmV0"}),
    "halves of two EC keys": (
        "ES256",
        lambda: _jwk(_ec()) | {name: ECKey.generate_key("P-256").as_dict()[name] for name in ("x", "y")},
    ),
    "halves of two OKP keys": (
        "EdDSA",
        lambda: _jwk(OKPKey.generate_key("Ed25519"), x=OKPKey.generate_key("Ed25519").as_dict()["x"]),
    ),
    "a JWK of another kid": ("ES256", lambda: _jwk(_ec(), kid="another")),
    "a JWK for encryption": ("ES256", lambda: _jwk(_ec(), use="enc")),
    "a JWK for another algorithm": ("ES256", lambda: _jwk(_ec(), alg="ES512")),
    "a JWK with numbers": ("ES256", lambda: _jwk(_ec(), d=5)),
    "half a JWK": ("ES256", lambda: '{"kty": "EC"'),
    "a list": ("ES256", lambda: "[]"),
    "nothing": ("ES256", lambda: ""),
    "no text": ("ES256", lambda: "\ud800"),
    "too deep": ("ES256", lambda: '{"a":' * 3_000),
    "too long": ("ES256", lambda: json.dumps(_jwk(_ec())) + " " * 20_000),
}


@pytest.mark.parametrize("case", MISFITS)
def test_a_key_that_does_not_fit_is_refused_without_being_quoted(case: str) -> None:
    alg, make = MISFITS[case]
    key = make()
    with pytest.raises(Invalid) as refused:
        material.given("brought", "id_token", alg, key)  # type: ignore[arg-type]
    assert refused.value.field == "private_key"
    assert refused.value.__cause__ is None
    assert not str(key)[40:80] or str(key)[40:80] not in refused.value.message


@pytest.mark.parametrize(
    ("purpose", "alg"),
    [("access_token", "RS256"), ("id_token", "HS256"), ("id_token", "none"), ("saml", "ES256"), ("sealing", "ES256")],
)
def test_a_purpose_has_its_own_algorithms(purpose: str, alg: str) -> None:
    with pytest.raises(Invalid) as refused:
        material.given("brought", purpose, alg, "")
    assert refused.value.field == "alg"


@pytest.mark.parametrize("kid", ["", "a b", "../../etc/passwd", "k" * 129, "ключ", "a\0"])
def test_a_kid_is_plain(kid: str) -> None:
    with pytest.raises(Invalid) as refused:
        material.given(kid, "id_token", "ES256", "")
    assert refused.value.field == "kid"


def test_keys_are_not_made_while_others_wait_to_write(app: Flask) -> None:
    with database.writing(), pytest.raises(RuntimeError, match="generating a key"):
        material.generate(SLOTS)


def test_an_rsa_key_is_as_long_as_it_must_be(pairs: dict[str, KeyPair]) -> None:
    for alg in ("RS256", "PS256"):
        jwk = pairs[alg].jwk
        assert isinstance(jwk, RSAKey)
        assert jwk.raw_value.key_size >= 2048
