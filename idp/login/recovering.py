"""Forgotten passwords: a link to an address that the person has proven, and a new password for whoever opens it.

The link proves the mailbox and nothing else: what follows is a sign-in with the new password, which asks for
everything that any other one does (RST-01).
"""

import json
from dataclasses import asdict, dataclass

from idp.audit import trail
from idp.audit.trail import SYSTEM, Actor
from idp.credentials import mailed_links, passwords
from idp.credentials.mailed_links import Link, LinkVoid
from idp.login import asking, changing_factors, everywhere, identifiers
from idp.login.asking import Asked
from idp.organizations import proven_addresses
from idp.platform import clock, outbox
from idp.platform.outbox import Letter
from idp.users import addresses, languages, lifecycle, names
from idp.users.locks import lock
from idp.users.models import Address

KIND = "recover"
"""The kind of job that looks whom a name means, and writes to them."""

LIFETIME = 30 * clock.MINUTE

PATH = "/recover"


@dataclass(frozen=True)
class Recovery:
    """A link that can be used: whose, mailed where, and in which browser and sign-in it was asked for (ids, of which
    the sign-in may be empty).
    """

    user_id: str
    address: str
    browser: str
    sign_in: str


@dataclass(frozen=True)
class _Ground:
    """What a link rests on: the password and primary address as they were. And where it was asked for."""

    password: str
    primary: str
    browser: str
    sign_in: str


def find(token: str) -> Recovery:
    """What the link with that token is for. Raises `LinkVoid`, also where what it rests on has changed."""
    return _standing(mailed_links.find(token, "recover"))


# Each of these is called inside `database.writing()`


def write(asked: Asked) -> None:
    """Mail a link to the person who was named, if a stored address of theirs recovers. What was typed gets nothing."""
    named = identifiers.person(asked.typed)
    if named is None:
        return
    person = lock(named)
    to = _address_of(person.id, asked.typed)
    if to is None or lifecycle.is_disabled(person.id) or not asking.may_write(KIND, f"{person.id} {to.address_key}"):
        return
    ground = _Ground(passwords.which(person.id), _primary(person.id), asked.browser, asked.sign_in)
    token = mailed_links.make(
        "recover", person.id, to.address, to.address_key, lifetime=LIFETIME, rests_on=json.dumps(asdict(ground))
    )
    path, expires_at, language = f"{PATH}/{token}", clock.now() + LIFETIME, languages.of(person, asked.language)
    outbox.post(Letter("recover", to.address, language, asked.facts, path, expires_at=expires_at))
    trail.record("user.recovery.mailed", by=SYSTEM, subject=person.id, email=to.address)


def recover(token: str, hashed: str, *, is_short: bool) -> Recovery:
    """Let `hashed` (of `passwords.hash`) be the password of the link's person, and sign them out everywhere. It is
    used up, and the others die. Second factors stay. Raises `LinkVoid`.
    """
    user_id = find(token).user_id
    lock(user_id)
    recovery = _standing(mailed_links.spend(token, "recover"))
    by = Actor("user", user_id)
    changing_factors.set_password(user_id, hashed, by=by, is_short=is_short, by_mail=True)
    ended = everywhere.sign_out(user_id, because="password_changed", by=by)
    trail.record("user.recovered", by=by, subject=user_id, after={"sessions": ended}, email=recovery.address)
    return recovery


def _standing(link: Link) -> Recovery:
    """The recovery, if the link rests on what is still so; else `LinkVoid`."""
    user_id, ground = link.user_id or "", _Ground(**json.loads(link.rests_on))
    stands = (
        ground.password == passwords.which(user_id)
        and ground.primary == _primary(user_id)
        and not lifecycle.is_disabled(user_id)
        and any(one.address_key == link.address_key for one in proven_addresses.recovering(user_id))
    )
    if not stands:
        raise LinkVoid
    return Recovery(user_id, link.address, ground.browser, ground.sign_in)


def _address_of(user_id: str, typed: str) -> Address | None:
    """The stored address to write to: the one that was typed, or else the first by which the person recovers."""
    mine = proven_addresses.recovering(user_id)
    if "@" in typed:
        key = names.address_key(typed)
        mine = [one for one in mine if one.address_key == key]
    return mine[0] if mine else None


def _primary(user_id: str) -> str:
    return next((one.id for one in addresses.of(user_id) if one.is_primary), "")
