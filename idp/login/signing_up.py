"""Making oneself an account, where the operator lets people: the address is proven before anything is kept of them.

Whoever holds an address without having proven it loses it to who proves it, and nothing else of theirs goes with it
(LNK-04). In a domain that an organization has proven nobody makes themselves an account: it would not count there
(`organizations.proven_addresses`), so who may is invited.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from idp.audit.trail import Actor
from idp.credentials import mailed_links, passwords
from idp.credentials.mailed_links import Link, LinkVoid
from idp.login import asking
from idp.login.asking import Asked
from idp.organizations import domains, organizations, proven_addresses
from idp.platform import clock, identifiers, outbox
from idp.platform.errors import Invalid
from idp.platform.outbox import Letter
from idp.users import addresses, claims, languages, names, users
from idp.users.claims import Json
from idp.users.models import Address
from idp.users.names import EmailAddress
from idp.users.users import UsernameTaken, UserSettings

KIND = "sign_up"
"""The kind of job that looks whether an address is somebody's, and writes to it."""

LIFETIME = clock.DAY

PATH = "/signup"

LONGEST_NAME = 200
"""Characters of the name that somebody gives themselves here."""


class NameMissing(Invalid):
    """Somebody who did not say what they are called."""

    title = "The name is missing"
    remedy = "Enter the name that others know you by."


class NameUnusable(Invalid):
    """A name that is too long, or cannot be shown."""

    title = "This name cannot be used"
    remedy = "Enter the name that others know you by, in at most 200 characters."


@dataclass(frozen=True)
class Invited:
    """A link that can be used: the address that it proves, and the browser and sign-in that it was asked for in (ids,
    of which the sign-in may be empty); `language` is that of whoever asked.
    """

    address: str
    browser: str
    sign_in: str
    language: str


@dataclass(frozen=True)
class Newcomer:
    """Who somebody wants to be: claims, and a password as `passwords.hash` leaves it."""

    claims: Mapping[str, Json]
    hashed: str


def find(token: str) -> Invited:
    """What the link with that token is for. Raises `LinkVoid`."""
    return _standing(mailed_links.find(token, "sign_up"))


def prepared(invited: Invited, name: str, password: str) -> Newcomer:
    """What a form says, the password hashed; outside of `database.writing()`. Raises `Invalid` and `TooBusy`."""
    said = _claims(name, invited.language)
    hashed = passwords.hash(password, passwords.about(UserSettings(claims=said), [invited.address]))
    return Newcomer(said, hashed)


# Each of these is called inside `database.writing()`


def write(asked: Asked) -> None:
    """Write to the address that was typed: a link, or that there is an account; or who may let them in."""
    try:
        wanted = names.parse_address(asked.typed)
    except Invalid:
        return
    if not asking.may_write(KIND, wanted.key):
        return
    known, holder = addresses.held(wanted.key), domains.holder_of(wanted.domain)
    if known is not None and proven_addresses.counts(known):
        _write_to_known(known, asked)
    elif holder is not None:
        facts = {"organization": organizations.find(holder).name, **asked.facts}
        outbox.post(Letter("sign_up_managed", wanted.mailbox, asked.language, facts))
    else:
        _write_to_new(wanted, asked)


def make(token: str, newcomer: Newcomer) -> str:
    """Make the person whose address the link proves; their id.

    Of two that do so at once by links to one address, one gets `LinkVoid`. Raises `AddressTaken` when another person
    proves the address in the same moment.
    """
    mailed_links.hold_all_to("sign_up", mailed_links.find(token, "sign_up").address_key)
    link = mailed_links.spend(token, "sign_up")
    _standing(link)
    return make_holder(link.address, newcomer)


def make_holder(address: str, newcomer: Newcomer) -> str:
    """Make a person who has just shown that they read that address; their id. Raises `AddressTaken`."""
    key = names.parse_address(address).key
    mailed_links.hold_all_to("sign_up", key)
    user_id = identifiers.user()
    by = Actor("user", user_id)
    person = users.create(UserSettings(claims=newcomer.claims), id=user_id, by=by)
    addresses.give(address, person, released=proven_addresses.may_be_given, by=by)
    with contextlib.suppress(UsernameTaken):  # then the id stays the username: the address signs in all the same
        users.reconfigure(person, UserSettings(address, newcomer.claims), by=by)
    passwords.store(user_id, newcomer.hashed, by=by)
    mailed_links.end_all_to("sign_up", key)
    return user_id


def _standing(link: Link) -> Invited:
    """What the link is for, if the address is still nobody's that has proven it; else `LinkVoid`."""
    known = addresses.held(link.address_key)
    domain = names.parse_address(link.address).domain
    if (known is not None and proven_addresses.counts(known)) or domains.holder_of(domain) is not None:
        raise LinkVoid
    return Invited(link.address, **json.loads(link.rests_on))


def _write_to_known(known: Address, asked: Asked) -> None:
    person = users.find(known.user_id)
    outbox.post(Letter("sign_up_known", known.address, languages.of(person), asked.facts, "/login"))


def _write_to_new(wanted: EmailAddress, asked: Asked) -> None:
    asked_in = {"browser": asked.browser, "sign_in": asked.sign_in, "language": asked.language}
    token = mailed_links.make(
        "sign_up", None, wanted.mailbox, wanted.key, lifetime=LIFETIME, rests_on=json.dumps(asked_in)
    )
    path, expires_at = f"{PATH}/{token}", clock.now() + LIFETIME
    outbox.post(Letter("sign_up", wanted.mailbox, asked.language, asked.facts, path, expires_at=expires_at))


def _claims(name: str, language: str) -> dict[str, Json]:
    if not name.strip():
        raise NameMissing("enter your name", field="name")
    if len(name) > LONGEST_NAME or "\n" in name:
        raise NameUnusable(f"a name has at most {LONGEST_NAME} characters, in one line", field="name")
    try:
        return claims.parse({"name": name, "locale": language})
    except Invalid as refusal:
        raise NameUnusable(refusal.message, field="name") from None
