"""PHC strings: hashes of passwords with the name of their scheme, its parameters and the salt, ours and others'.

Others' are of argon2id, bcrypt, scrypt and PBKDF2, as the usual makers write them (PHC string format, passlib, crypt).
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from idp.platform.errors import Invalid

_OURS = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)
"""Argon2id with 19 MiB, two passes and one lane (PWD-05)."""

_MEMORY = 256 * 1024 * 1024
"""Bytes that checking one password may take."""

_BCRYPT_READS = 72
"""Bytes of a password that bcrypt takes into account; its makers cut the rest off."""


def make(text: str) -> str:
    """The PHC string of `text` under our own scheme, with a new salt. Slow: `hashing` knows when and where."""
    return _OURS.hash(text)


def is_ours(phc: str) -> bool:
    """Whether `phc` was made as `make` makes them today."""
    return phc.startswith("$argon2id$") and not _OURS.check_needs_rehash(phc)


def accepted(phc: str) -> str:
    """`phc` itself, if `check` can read it.

    Raises `Invalid` for anything else, and for parameters that would cost more than this house spends on a sign-in:
    a file must not plant a hash that takes 10 GB to check.
    """
    found = _read(phc)
    if found is None:
        raise Invalid(
            "a password hash is a PHC string of argon2id, bcrypt, scrypt or pbkdf2 (sha1, sha256, sha512)",
            field="password_hash",
        )
    scheme, parts = found
    if not scheme.is_affordable(parts):
        raise Invalid("the parameters of the password hash are out of bounds", field="password_hash")
    return phc


def check(phc: str, text: str) -> bool:
    """Whether `phc` was made of `text`. Slow: `hashing` knows when and where."""
    found = _read(phc)
    return found is not None and found[0].check(found[1], text.encode())


@dataclass(frozen=True)
class _Scheme:
    shape: re.Pattern[str]
    is_affordable: Callable[[re.Match[str]], bool]
    check: Callable[[re.Match[str], bytes], bool]


def _read(phc: str) -> tuple[_Scheme, re.Match[str]] | None:
    for scheme in _SCHEMES:
        parts = scheme.shape.fullmatch(phc)
        if parts and all(_is_base64(parts.groupdict().get(name)) for name in ("salt", "hash")):
            return scheme, parts
    return None


def _is_base64(text: str | None) -> bool:
    try:
        return text is None or bool(_bytes(text))
    except binascii.Error:
        return False


def _bytes(text: str) -> bytes:
    """What `text` (base64 without padding; passlib writes `.` for `+`) spells."""
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)


# Argon2id (RFC 9106)


def _argon2_is_affordable(parts: re.Match[str]) -> bool:
    memory, passes, lanes = int(parts["m"]), int(parts["t"]), int(parts["p"])
    return 8 * lanes <= memory <= _MEMORY // 1024 and passes >= 1 and memory * passes <= 2**20 and 1 <= lanes <= 16


def _check_argon2(parts: re.Match[str], secret: bytes) -> bool:
    try:
        return _OURS.verify(parts[0], secret)
    except (VerificationError, InvalidHashError):
        return False


# bcrypt


def _bcrypt_is_affordable(parts: re.Match[str]) -> bool:
    return 4 <= int(parts["cost"]) <= 14


def _check_bcrypt(parts: re.Match[str], secret: bytes) -> bool:
    try:
        return bcrypt.checkpw(secret[:_BCRYPT_READS], parts[0].encode())
    except ValueError:
        return False


# scrypt (RFC 7914)


def _scrypt_is_affordable(parts: re.Match[str]) -> bool:
    log_n, block, lanes = int(parts["ln"]), int(parts["r"]), int(parts["p"])
    return 1 <= log_n <= 20 and 1 <= block <= 32 and 1 <= lanes <= 16 and 128 * block * lanes * 2**log_n <= _MEMORY


def _check_scrypt(parts: re.Match[str], secret: bytes) -> bool:
    stored = _bytes(parts["hash"])
    made = hashlib.scrypt(
        secret,
        salt=_bytes(parts["salt"]),
        n=2 ** int(parts["ln"]),
        r=int(parts["r"]),
        p=int(parts["p"]),
        maxmem=_MEMORY + 2**22,
        dklen=len(stored),
    )
    return hmac.compare_digest(made, stored)


# PBKDF2 (RFC 8018)


def _pbkdf2_is_affordable(parts: re.Match[str]) -> bool:
    return 1_000 <= int(parts["i"]) <= 2_000_000


def _check_pbkdf2(parts: re.Match[str], secret: bytes) -> bool:
    stored, digest = _bytes(parts["hash"]), f"sha{parts['sha'] or 1}"
    made = hashlib.pbkdf2_hmac(digest, secret, _bytes(parts["salt"]), int(parts["i"]), len(stored))
    return hmac.compare_digest(made, stored)


_SALT = r"\$(?P<salt>[A-Za-z0-9+/.]{11,86})"
_HASH = r"\$(?P<hash>[A-Za-z0-9+/.]{22,86})"

_SCHEMES: tuple[_Scheme, ...] = (
    _Scheme(
        re.compile(r"\$argon2id\$v=19\$m=(?P<m>[0-9]{1,9}),t=(?P<t>[0-9]{1,9}),p=(?P<p>[0-9]{1,9})" + _SALT + _HASH),
        _argon2_is_affordable,
        _check_argon2,
    ),
    _Scheme(
        re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}"),
        _bcrypt_is_affordable,
        _check_bcrypt,
    ),
    _Scheme(
        re.compile(r"\$scrypt\$ln=(?P<ln>[0-9]{1,3}),r=(?P<r>[0-9]{1,9}),p=(?P<p>[0-9]{1,9})" + _SALT + _HASH),
        _scrypt_is_affordable,
        _check_scrypt,
    ),
    _Scheme(
        re.compile(r"\$pbkdf2(-sha(?P<sha>1|256|512))?\$(i=)?(?P<i>[0-9]{1,9})(,l=[0-9]{1,3})?" + _SALT + _HASH),
        _pbkdf2_is_affordable,
        _check_pbkdf2,
    ),
)
