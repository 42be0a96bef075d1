"""Passwords: normalised once, hashed with Argon2id, stored as PHC strings; hashes from elsewhere are taken over.

A password is compared in Unicode NFC, so that one spelling opens what the other set (PWD-02); nothing is trimmed.
"""

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import select, update

from idp.audit import trail
from idp.audit.trail import Actor
from idp.credentials import guessable, hashing, phc
from idp.credentials.models import Password
from idp.platform import clock, database
from idp.platform.errors import Invalid
from idp.platform.pages import PRODUCT
from idp.platform.settings import settings
from idp.users.locks import lock
from idp.users.models import User
from idp.users.users import UserSettings

LONGEST = 1_024
"""Characters that a password has at most: what is longer is refused before anything is computed."""

_NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$gtJt7di0K8r9vj6AL5WDFA$bs9Cq0tn949W5mx1vwSoECvHUKiKQd3Q1W8NaAfb0oM"
"""A hash that nothing is known to open: what is checked for those who have none costs as much (LOG-01)."""


@dataclass(frozen=True)
class Verdict:
    """Whether a password was right. If so: for the person `user_id`, against the hash `checked`.

    `new_hash`: what is to be stored instead, because `checked` was not made as hashes are made today (PWD-05).
    """

    is_right: bool
    user_id: str = ""
    checked: str = ""
    new_hash: str = ""

    WRONG: ClassVar["Verdict"]


Verdict.WRONG = Verdict(False)


def verify(user_id: str | None, plaintext: str) -> Verdict:
    """Whether `plaintext` is the password of the person `user_id`.

    Nobody (`None`), and a person without a password, cost as much as anybody else and are `Verdict.WRONG`; so is what
    nobody's password can be (NUL, too long), which is never hashed (PWD-02). Call it outside of
    `database.writing()`, then open that, ask `is_current`, and `store_rehash`. Raises `hashing.TooBusy`.
    """
    text = _readable(plaintext)
    if text is None:
        return Verdict.WRONG
    stored = database.session().scalar(select(Password.hash).where(Password.user_id == (user_id or "")))
    is_right = hashing.check(stored or _NOBODYS, text)
    if user_id is None or stored is None or not is_right:
        return Verdict.WRONG
    return Verdict(True, user_id, stored, "" if phc.is_ours(stored) else hashing.make(text))


def is_current(verdict: Verdict) -> bool:
    """Whether the password that `verify` found right is still the person's, who is locked. Inside `writing()`."""
    lock(verdict.user_id)
    current = database.session().get(Password, verdict.user_id, populate_existing=True)
    return verdict.is_right and current is not None and current.hash == verdict.checked


def store_rehash(verdict: Verdict) -> None:
    """Store the hash that is due, if one is, and the password was not changed meanwhile. Inside `writing()`.

    The password stays the same one, so the trail says nothing.
    """
    if verdict.new_hash:
        same = update(Password).where(Password.user_id == verdict.user_id, Password.hash == verdict.checked)
        database.session().execute(same.values(hash=verdict.new_hash))


class NotAllowed(Invalid):
    """A password that is too easy to guess; the message says why, and does not repeat it."""

    code = "password_not_allowed"
    title = "This password is too easy to guess"
    remedy = "Choose another one, or let a password manager choose."


class TooShort(NotAllowed):
    """A password with too few characters."""

    title = "This password is too short"
    remedy = "Choose a longer one: several words that have nothing to do with you, for example."


class NamesSomebody(NotAllowed):
    """A password that those try first who know something of the person."""

    title = "This password contains a name of yours, of an organization or of this product"


class Unusable(Invalid):
    """Text that cannot be hashed as it is: too long, or not text."""

    title = "This password cannot be used"
    remedy = "Choose another one, or let a password manager choose."


@dataclass(frozen=True)
class About:
    """Whose password it is to be. `words`: what that person, their organizations and this product are called.

    `has_second_factor`: one is active and required wherever the person goes, so that the password may be shorter.
    """

    words: tuple[str, ...] = ()
    has_second_factor: bool = False

    @property
    def shortest(self) -> int:
        """Characters that the password has at least: fewer where it never proves anything without a second factor
        (PWD-01).
        """
        return settings().password_length_with_mfa if self.has_second_factor else settings().password_length


def about(wanted: UserSettings, addresses: Iterable[str], organizations: Iterable[str] = ()) -> About:
    """What guessers know of a person with these settings and e-mail addresses, in organizations of these names."""
    said = (str(wanted.claims[name]) for name in _NAMES if name in wanted.claims)
    whole = [wanted.username, *addresses, *said, *organizations, PRODUCT]
    mailboxes = [name.partition("@")[0] for name in whole if "@" in name]
    pieces = [piece for name in whole if "@" not in name for piece in name.split()]
    return About(tuple(dict.fromkeys([*whole, *mailboxes, *pieces])))


_NAMES = ("name", "given_name", "middle_name", "family_name", "nickname", "preferred_username")


def require_allowed(plaintext: str, about: About) -> None:
    """Raise `Invalid` for what is no password, and `NotAllowed` for one that is too short or guessed early (PWD-03).

    There are no rules of composition, and nothing that is allowed now has to be changed later (PWD-01).
    """
    text = normalised(plaintext)
    if len(text) < about.shortest:
        raise TooShort(f"a password has at least {about.shortest} characters", field="password")
    if guessable.is_common(text):
        listed = guessable.list_version()
        raise NotAllowed(f"the password is common, or nearly so ({listed})", field="password")
    if guessable.belongs_to(text, about.words) is not None:
        raise NamesSomebody(
            "the password contains a name of yours, of an organization or of this product", field="password"
        )


def hash(plaintext: str, about: About) -> str:
    """The PHC string under which the password `plaintext` is stored (Argon2id, 19 MiB, two passes, one lane).

    Takes tens of milliseconds, hence never inside a writing transaction. Raises `Invalid` as `require_allowed` does,
    and `hashing.TooBusy`.
    """
    database.not_while_writing("hashing a password")
    require_allowed(plaintext, about)
    return hashing.make(normalised(plaintext))


def normalised(plaintext: str) -> str:
    """`plaintext` in Unicode NFC, not trimmed. Raises `Invalid` for what is too long or no text, unrepeated."""
    if len(plaintext) > LONGEST:
        raise Unusable(f"a password has at most {LONGEST} characters", field="password")
    text = _readable(plaintext)
    if text is None:
        raise Unusable("a password must be text without NUL characters", field="password")
    return text


def _readable(plaintext: str) -> str | None:
    """`plaintext` in Unicode NFC, or `None` for what can be nobody's password: too long, NUL, half a character."""
    if len(plaintext) > LONGEST:
        return None
    text = unicodedata.normalize("NFC", plaintext)
    return None if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text) else text


def is_of(hashed: str, plaintext: str) -> bool:
    """Whether `hashed` is what `hash` makes of the password `plaintext`; a hash from elsewhere is not.

    For whoever would store a password only if it is another one; signing in asks more. As slow as `hash`.
    """
    database.not_while_writing("checking a password")
    return phc.is_ours(hashed) and hashing.check(hashed, normalised(plaintext))


def imported(hashed: str) -> str:
    """`hashed`, made elsewhere: a PHC string of argon2id, bcrypt, scrypt or PBKDF2; hashed anew at its first use.

    Raises `Invalid` as `phc.accepted` does.
    """
    return phc.accepted(hashed)


def store(user_id: str, hashed: str, *, by: Actor, is_short: bool = False, by_mail: bool = False) -> None:
    """Let `hashed` (of `hash` or `imported`) be the person's password; the same one twice changes nothing.

    `is_short`: as the function of that name says of what was hashed. `by_mail`: it is set by whoever has a mailbox of
    the person, and proves no more than that.
    """
    lock(user_id)
    flags = {"is_short": int(is_short), "by_mail": int(by_mail)}
    current = database.session().get(Password, user_id, populate_existing=True)
    if current is None:
        database.session().add(Password(user_id=user_id, hash=hashed, **flags))
    elif current.hash != hashed:
        current.hash, current.set_at = hashed, clock.now()
        current.is_short, current.by_mail = flags["is_short"], flags["by_mail"]
    else:
        return
    trail.record("user.password.set", by=by, subject=user_id)


def is_short(plaintext: str) -> bool:
    """Whether the password will do only beside a second factor (PWD-01)."""
    return len(normalised(plaintext)) < settings().password_length


def has_short(user_id: str) -> bool:
    """Whether the person's password is a short one. Whether it may be is the caller's to know."""
    current = database.session().get(Password, user_id)
    return current is not None and bool(current.is_short)


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


def which(user_id: str) -> str:
    """What tells the person's password from every other one that they had or get; empty without one. Opens nothing."""
    current = database.session().get(Password, user_id, populate_existing=True)
    return "" if current is None else hashlib.sha256(current.hash.encode()).hexdigest()


def set_at(user_id: str) -> int | None:
    """When the person's password was set; `None` without one."""
    current = database.session().get(Password, user_id)
    return None if current is None else current.set_at


def forget(user: User, by: Actor) -> None:
    """A step of `lifecycle.before_deleting`: a deleted person leaves no password."""
    remove(user.id, by=by)
