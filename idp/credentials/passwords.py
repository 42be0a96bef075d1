"""Passwords: normalised once, hashed with Argon2id, stored as PHC strings; hashes from elsewhere are taken over.

A password is compared in Unicode NFC, so that one spelling opens what the other set (PWD-02); nothing is trimmed.
"""

import re
import unicodedata
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import Type

from idp.audit import trail
from idp.audit.trail import Actor
from idp.credentials.models import Password
from idp.platform import clock, database
from idp.platform.errors import Invalid
from idp.users.locks import lock
from idp.users.models import User

SHORTEST = 15
"""Characters that a password has at least (PWD-01)."""

LONGEST = 1_024
"""Characters that a password has at most: what is longer is refused before anything is computed."""

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)


def hash(plaintext: str) -> str:
    """The PHC string under which the password `plaintext` is stored (Argon2id, 19 MiB, two passes, one lane).

    Takes tens of milliseconds, hence never inside a writing transaction. Raises `Invalid` for what is too short, too
    long, or no text.
    """
    database.not_while_writing("hashing a password")
    return _HASHER.hash(normalised(plaintext))


def normalised(plaintext: str) -> str:
    """`plaintext` in Unicode NFC. Raises `Invalid` as `hash` does; the message never repeats the password."""
    if len(plaintext) > LONGEST:
        raise Invalid(f"a password has at most {LONGEST} characters", field="password")
    text = unicodedata.normalize("NFC", plaintext)
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Invalid("a password must be text without NUL characters", field="password")
    if len(text) < SHORTEST:
        raise Invalid(f"a password has at least {SHORTEST} characters", field="password")
    return text


def is_of(hashed: str, plaintext: str) -> bool:
    """Whether `hashed` is what `hash` makes of the password `plaintext`; a hash from elsewhere is not.

    For whoever would store a password only if it is another one; signing in asks more. As slow as `hash`.
    """
    database.not_while_writing("checking a password")
    if not hashed.startswith("$argon2id$") or _HASHER.check_needs_rehash(hashed):
        return False
    try:
        return _HASHER.verify(hashed, normalised(plaintext))
    except VerifyMismatchError:
        return False


def imported(phc: str) -> str:
    """`phc`, the hash of a password that was made elsewhere: a PHC string of argon2id, bcrypt, scrypt or PBKDF2.

    Raises `Invalid` for anything else, and for parameters that would cost more than this house spends on a sign-in:
    a file must not plant a hash that takes 10 GB to check.
    """
    for shape, affordable in _SCHEMES:
        found = shape.fullmatch(phc)
        if found and affordable(found):
            return phc
        if found:
            raise Invalid("the parameters of the password hash are out of bounds", field="password_hash")
    raise Invalid(
        "a password hash is a PHC string of argon2id, bcrypt, scrypt or pbkdf2 (sha1, sha256, sha512)",
        field="password_hash",
    )


def store(user_id: str, hashed: str, *, by: Actor) -> None:
    """Let `hashed` (of `hash` or `imported`) be the person's password; the same one twice changes nothing."""
    lock(user_id)
    current = database.session().get(Password, user_id, populate_existing=True)
    if current is None:
        database.session().add(Password(user_id=user_id, hash=hashed))
    elif current.hash != hashed:
        current.hash, current.set_at = hashed, clock.now()
    else:
        return
    trail.record("user.password.set", by=by, subject=user_id)


def remove(user_id: str, *, by: Actor) -> None:
    """Let the person have no password; twice changes nothing."""
    lock(user_id)
    current = database.session().get(Password, user_id, populate_existing=True)
    if current is not None:
        database.session().delete(current)
        trail.record("user.password.removed", by=by, subject=user_id)


def stored(user_id: str) -> str:
    """The PHC string of the person's password; empty without one."""
    current = database.session().get(Password, user_id)
    return "" if current is None else current.hash


def forget(user: User, by: Actor) -> None:
    """A step of `lifecycle.before_deleting`: a deleted person leaves no password."""
    remove(user.id, by=by)


# Hashes from elsewhere


_SALT = r"\$(?P<salt>[A-Za-z0-9+/.]{11,86})"
_HASH = r"\$(?P<hash>[A-Za-z0-9+/.]{22,86})"
_MEMORY = 256 * 1024 * 1024
"""Bytes that checking one password may take."""


def _argon2_is_affordable(found: re.Match[str]) -> bool:
    memory, passes, lanes = int(found["m"]), int(found["t"]), int(found["p"])
    return 8 * lanes <= memory <= _MEMORY // 1024 and passes >= 1 and memory * passes <= 2**20 and 1 <= lanes <= 16


def _bcrypt_is_affordable(found: re.Match[str]) -> bool:
    return 4 <= int(found["cost"]) <= 14


def _scrypt_is_affordable(found: re.Match[str]) -> bool:
    log_n, block, lanes = int(found["ln"]), int(found["r"]), int(found["p"])
    return 1 <= log_n <= 20 and 1 <= block <= 32 and 1 <= lanes <= 16 and 128 * block * lanes * 2**log_n <= _MEMORY


def _pbkdf2_is_affordable(found: re.Match[str]) -> bool:
    return 1_000 <= int(found["i"]) <= 2_000_000


_SCHEMES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = (
    (
        re.compile(r"\$argon2id\$v=19\$m=(?P<m>[0-9]{1,9}),t=(?P<t>[0-9]{1,9}),p=(?P<p>[0-9]{1,9})" + _SALT + _HASH),
        _argon2_is_affordable,
    ),
    (re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}"), _bcrypt_is_affordable),
    (
        re.compile(r"\$scrypt\$ln=(?P<ln>[0-9]{1,3}),r=(?P<r>[0-9]{1,9}),p=(?P<p>[0-9]{1,9})" + _SALT + _HASH),
        _scrypt_is_affordable,
    ),
    (
        re.compile(r"\$pbkdf2(-sha(1|256|512))?\$(i=)?(?P<i>[0-9]{1,9})(,l=[0-9]{1,3})?" + _SALT + _HASH),
        _pbkdf2_is_affordable,
    ),
)
