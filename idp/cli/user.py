"""`idp user`: people."""

import json
from collections.abc import Sequence

import click

from idp.cli import naming, output
from idp.cli.address import address
from idp.cli.door import Noun, from_stdin, operator
from idp.cli.output import Json, moment
from idp.credentials import factors, held, passwords, recovery_codes
from idp.credentials.models import Factor
from idp.login import changing_factors, enrol_links, factor_resets, new_passwords
from idp.login.factor_resets import Reset
from idp.platform import database
from idp.platform.errors import Conflict, Invalid
from idp.platform.settings import settings
from idp.sessions import people
from idp.users import addresses, claims, lifecycle, users
from idp.users.models import Address, User
from idp.users.users import UserSettings

user = Noun("user", help="People: one login each, any number of organizations. USER is an id, username or address.")
user.add_command(address)

_claim = click.option(
    "--claim",
    "said",
    multiple=True,
    metavar="NAME=VALUE",
    help="A standard claim; VALUE as JSON, or else as it stands.",
)
_password = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
_password_hash = click.option(
    "--password-hash-stdin", is_flag=True, help="Read a PHC string (argon2id, bcrypt, scrypt, pbkdf2) instead."
)


@user.command("create")
@click.argument("username", default="")
@click.option("--id", "user_id", default="", help="An id to bring along (usr_…).")
@click.option("--email", default="", help="The first address.")
@click.option("--email-verified", is_flag=True, help="The address has been proven.")
@_claim
@_password
@_password_hash
def create(
    username: str,
    user_id: str,
    email: str,
    email_verified: bool,
    said: Sequence[str],
    password_stdin: bool,
    password_hash_stdin: bool,
) -> Json:
    """Make a person; one who is so already stays. USERNAME may be left out for the address or the id."""
    wanted = UserSettings(username, _claims(said))
    by = operator()
    known = _known(user_id, username or email)
    stored = passwords.stored(known.id) if known else ""
    hashed = _hashed(password_stdin, password_hash_stdin, passwords.about(wanted, [email]), stored)
    with database.writing():
        person = _known(user_id, username or email)
        if person is None:
            person = users.create(wanted, by=by, id=user_id, email=email, verified=email_verified)
        else:
            _require_same(person, wanted, email, email_verified)
        if hashed:
            if passwords.stored(person.id) not in ("", hashed):
                raise Conflict(f"{person.username} has another password: use `idp user set-password`")
            passwords.store(person.id, hashed, by=by)
    return view(person)


@user.command("get")
@click.argument("name", metavar="USER")
def get(name: str) -> Json:
    """One person, with what they have to prove themselves with."""
    person = users.named(name)
    return _one(person) | {
        "methods": sorted(held.methods(person.id)),
        "factors": [_factor(one) for one in factors.of(person.id)],
        "recovery_codes": recovery_codes.left(person.id),
    }


@user.command("list")
@click.option("--search", default="", help="Only those whose username or address contains this.")
@click.option("--after", default="", help="Begin behind this id.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
def list_(search: str, after: str, limit: int) -> Json:
    """People in the order of their ids."""
    found = users.search(search, after=after, limit=limit)
    if len(found) == limit:
        output.tell(f"There may be more: --after {found[-1].id}")
    return _views(found)


@user.command("update")
@click.argument("name", metavar="USER")
@click.option("--username", default="", help="Another username.")
@_claim
@click.option("--no-claim", "unsaid", multiple=True, metavar="NAME", help="A claim to be left out.")
@click.option("--add-email", default="", help="Another address.")
@click.option("--email-verified", is_flag=True, help="The address that is added has been proven.")
@click.option("--primary-email", default="", help="The address that mail goes to.")
@click.option("--remove-email", default="", help="An address that is no longer the person's.")
def update(
    name: str,
    username: str,
    said: Sequence[str],
    unsaid: Sequence[str],
    add_email: str,
    email_verified: bool,
    primary_email: str,
    remove_email: str,
) -> Json:
    """Change what is named and nothing else."""
    by = operator()
    with database.writing():
        person = users.named(name)
        if add_email:
            addresses.add(person, add_email, verified=email_verified, by=by)
        before = users.settings_of(person)
        told = {**before.claims, **_claims(said)}
        kept = {claim: value for claim, value in told.items() if claim not in unsaid}
        users.reconfigure(person, UserSettings(username or before.username, kept), by=by)
        if primary_email:
            addresses.make_primary(person, addresses.find(person.id, primary_email), by=by)
        if remove_email:
            addresses.remove(person, addresses.find(person.id, remove_email), by=by)
    return view(person)


@user.command("set-password")
@click.argument("name", metavar="USER")
@_password
@_password_hash
def set_password(name: str, password_stdin: bool, password_hash_stdin: bool) -> Json:
    """Set the password that stands on standard input; whoever is signed in with the old one is signed out."""
    person = users.named(name)
    person_id = person.id
    hashed = _hashed(password_stdin or not password_hash_stdin, password_hash_stdin, _about(person_id))
    with database.writing():
        changing_factors.set_password(person_id, hashed, by=operator())
        people.end_all_of(person_id, because="password_changed", by=operator())
    return view(users.find(person_id))


@user.command("reset-mfa")
@click.argument("name", metavar="USER")
@click.option("--reason", default="", help="How you know that it is they who ask; they read it, and the audit trail.")
@click.option("--now", "at_once", is_flag=True, help="Without the day of warning that privileged people have.")
@click.option("--cancel", is_flag=True, help="Call off what waits for that day to pass.")
def reset_mfa(name: str, reason: str, at_once: bool, cancel: bool) -> Json:
    """Take every second factor, recovery code, trusted browser and session from somebody who lost them.

    Who may give or remove access is warned by mail, and has a day to stop it. The password stays; whoever has none
    needs one afterwards (`idp user set-password`), or a link (`idp user enrol-link`).
    """
    if cancel == bool(reason.strip()) or (cancel and at_once):
        raise Invalid("say why (--reason), or --cancel")
    with database.writing():
        person = users.named(name)
        if cancel:
            return _reset(factor_resets.cancel(person.id, by=operator()))
        done = factor_resets.ask(person.id, reason, by=operator(), at_once=at_once)
    if not done.outcome:
        output.tell(
            f"{person.username} is warned by mail; it will be done at {moment(done.due_at)}, unless they stop it"
        )
    if not passwords.stored(person.id):
        output.tell(f"{person.username} has no password and cannot sign in: use `idp user set-password`")
    return _reset(done)


@user.command("enrol-link")
@click.argument("name", metavar="USER")
@click.option("--print", "is_shown", is_flag=True, help="Show the link this once instead of mailing it.")
def enrol_link(name: str, is_shown: bool) -> Json:
    """Mail somebody a link by which they set up a passkey, once, within 24 hours; an older one is void.

    Whoever has something to prove themselves with is asked for it. The link goes to a confirmed address.
    """
    with database.writing():
        person = users.named(name)
        made = enrol_links.make(person.id, by=operator(), is_mailed=not is_shown)
    shown: dict[str, Json] = {"link": f"{settings().issuer}{made.path}"} if is_shown else {"mailed_to": made.address}
    return {"id": person.id, "expires_at": moment(made.expires_at), **shown}


@user.command("disable")
@click.argument("name", metavar="USER")
def disable(name: str) -> Json:
    """Let a person do nothing anywhere; refused for the owner of an organization."""
    with database.writing():
        person = users.named(name)
        lifecycle.disable(person, by=operator())
    return view(person)


@user.command("enable")
@click.argument("name", metavar="USER")
def enable(name: str) -> Json:
    """Let a disabled person act again."""
    with database.writing():
        person = users.named(name)
        lifecycle.enable(person, by=operator())
    return view(person)


@user.command("delete")
@click.argument("name", metavar="USER")
def delete(name: str) -> Json:
    """Forget a person for good; refused for the owner of an organization."""
    with database.writing():
        person = users.named(name)
        lifecycle.delete(person, by=operator())
    return {"id": person.id, "deleted": True}


def view(person: User) -> Json:
    """A person as the command line shows them."""
    return _one(person)


def _one(person: User) -> dict[str, Json]:
    return _views([person])[0]


def _views(people: Sequence[User]) -> list[dict[str, Json]]:
    ids = [person.id for person in people]
    owned, disabled = addresses.of_all(ids), lifecycle.disabled_among(ids)
    return [_view(person, owned[person.id], person.id in disabled) for person in people]


def _view(person: User, owned: Sequence[Address], disabled: bool) -> dict[str, Json]:
    primary = next((address for address in owned if address.is_primary), None)
    return {
        "id": person.id,
        "username": person.username,
        "email": primary.address if primary else None,
        "email_verified": bool(primary and primary.verified_at is not None),
        "addresses": [{"address": one.address, "verified": one.verified_at is not None} for one in owned],
        "claims": users.settings_of(person).claims,
        "disabled": disabled,
        "created_at": moment(person.created_at),
    }


def _reset(one: Reset) -> Json:
    return {
        "id": one.user_id,
        "state": one.outcome or "waiting",
        "due_at": moment(one.due_at),
        "factors_taken": one.taken,
    }


def _factor(one: Factor) -> Json:
    used = None if one.last_used_at is None else moment(one.last_used_at)
    return {
        "id": one.id,
        "kind": one.kind,
        "name": one.name,
        "created_at": moment(one.created_at),
        "last_used_at": used,
    }


def _claims(said: Sequence[str]) -> dict[str, claims.Json]:
    return {name: _value(value) for name, value in naming.pairs("--claim", said)}


def _value(text: str) -> claims.Json:
    """Objects, flags and quoted texts are JSON; what else there is stands for itself (`birthdate=1980` is a text)."""
    if text in ("true", "false") or text[:1] in ("{", '"'):
        try:
            value: claims.Json = json.loads(text)
        except ValueError:
            raise Invalid(f"not JSON: {text}") from None
        return value
    return text


def _about(user_id: str) -> passwords.About:
    """What guessers of the person's password know. A short one is nobody's to give away (PWD-01)."""
    return passwords.About(new_passwords.about(user_id).words)


def _hashed(from_password: bool, from_hash: bool, about: passwords.About, stored: str = "") -> str:
    """The hash of what stands on standard input: the `stored` one, where that is of the same password."""
    if from_password and from_hash:
        raise Invalid("standard input holds either a password or a hash")
    if from_hash:
        return passwords.imported(from_stdin("a password hash"))
    if not from_password:
        return ""
    plaintext = from_stdin("a password")
    return stored if stored and passwords.is_of(stored, plaintext) else passwords.hash(plaintext, about)


def _known(user_id: str, name: str) -> User | None:
    """The person who was perhaps made before, by the id or else the name that stands in the command."""
    if user_id:
        return database.session().get(User, user_id)
    return (users.by_address(name) if "@" in name else users.by_username(name)) if name else None


def _require_same(person: User, wanted: UserSettings, email: str, verified: bool) -> None:
    """Asking twice changes nothing; asking for something else is what `update` is for."""
    held = addresses.held(email) if email else None
    same_address = not email or (
        held is not None and held.user_id == person.id and (held.verified_at is not None or not verified)
    )
    same_name = wanted.username.lower() in ("", person.username.lower())
    if not (same_name and same_address and claims.parse(wanted.claims) == users.settings_of(person).claims):
        raise Conflict(f"{person.username} exists and differs: use `idp user update`")
