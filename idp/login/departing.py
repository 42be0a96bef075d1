"""Departing: somebody deletes themselves, for good. What stands in the way is said by name, with the way on."""

from collections.abc import Sequence

from idp.audit.trail import Actor
from idp.organizations import own_memberships, proven_addresses
from idp.platform import clock, correlation, outbox
from idp.platform.errors import Conflict, Invalid
from idp.platform.outbox import Letter
from idp.sessions import devices
from idp.users import languages, lifecycle, names, operators, zones
from idp.users.locks import lock
from idp.users.models import User


class WrongName(Invalid):
    """What was typed is not the username of whoever is to be deleted."""

    code = "wrong_username"
    title = "That is not your username"
    remedy = "Type it as it is shown on this page."


class StillOwns(Conflict):
    """The person owns organizations, each of which always has an owner."""

    code = "still_owns"
    title = "You own an organization, and it always has an owner"
    remedy = "Transfer the ownership to another active member first."


class StillManaged(Conflict):
    """An organization gave the person an address, and they are a member there: its people are its to manage."""

    code = "still_managed"
    title = "An e-mail address of yours belongs to an organization of yours"
    remedy = "Leave the organization first."


class StillOperates(Conflict):
    """The person runs this installation."""

    code = "still_operates"
    title = "You are an operator of this service"
    remedy = "Have another operator end that first."


def hindrances(user_id: str) -> list[Conflict]:
    """Why `depart` would refuse, as far as that can be mended."""
    found: list[Conflict] = []
    if operators.role_of(user_id) is not None:
        found.append(StillOperates())
    if owned := own_memberships.owned(user_id):
        found.append(StillOwns(f"you own {_listed([one.name for one in owned])}"))
    if managers := proven_addresses.managers(user_id):
        found.append(StillManaged(f"an e-mail address of yours belongs to {_listed(sorted(set(managers.values())))}"))
    return found


def depart(user_id: str, typed: str, *, by: Actor) -> None:
    """Delete the person, who typed their own username; a last letter goes to an address that counts.

    Inside `database.writing()`, after `memberships.lock_homes`: organizations are locked before people. Raises what
    `hindrances` tells of, and `WrongName`.
    """
    person = lock(user_id)
    for hindrance in hindrances(user_id):
        raise hindrance
    if names.username_key(typed.strip()) != person.username_key:
        raise WrongName(field="username")
    _say_farewell(person)
    lifecycle.delete(person, by=by)


def _say_farewell(person: User) -> None:
    counting = proven_addresses.counting(person.id)
    if counting:
        told: dict[str, str | int] = {"username": person.username, "device": _device(), "at": clock.now()}
        letter = Letter("deleted", counting[0].address, languages.of(person), told, zone=zones.of(person))
        outbox.post(letter)


def _device() -> str:
    return ", ".join(filter(None, devices.described(correlation.current().user_agent)))


def _listed(called: Sequence[str]) -> str:
    return ", ".join(called)
