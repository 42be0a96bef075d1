"""`idp user address`: e-mail addresses of people, on the operator's word: no letter is sent, and nothing waits."""

from collections.abc import Sequence

import click

from idp.cli.door import Noun, operator
from idp.cli.output import Json, moment
from idp.login import asking_addresses
from idp.organizations import proven_addresses
from idp.platform import clock, database
from idp.users import addresses, leaving, users

address = Noun("address", help="E-mail addresses of a person. USER is an id, username or address.")

_user = click.argument("name", metavar="USER")
_address = click.argument("text", metavar="ADDRESS")


@address.command("list")
@_user
def list_(name: str) -> Json:
    """The addresses of a person, and those that they were asked to prove.

    `counts`: it signs in; `recovers`: a password is recovered by it; `managed_by`: the organization that gave it.
    """
    return _views(users.named(name).id)


@address.command("add")
@_user
@_address
@click.option("--verified", is_flag=True, help="It has been proven.")
def add(name: str, text: str, verified: bool) -> Json:
    """Give a person another address."""
    with database.writing():
        person = users.named(name)
        addresses.add(person, text, verified=verified, by=operator())
    return _views(person.id)


@address.command("verify")
@_user
@_address
def verify(name: str, text: str) -> Json:
    """Take an address as proven."""
    with database.writing():
        person = users.named(name)
        addresses.verify(person, addresses.find(person.id, text), by=operator())
    return _views(person.id)


@address.command("primary")
@_user
@_address
def primary(name: str, text: str) -> Json:
    """Let mail go to this one."""
    with database.writing():
        person = users.named(name)
        addresses.make_primary(person, addresses.find(person.id, text), by=operator())
    return _views(person.id)


@address.command("keep")
@_user
@_address
def keep(name: str, text: str) -> Json:
    """Let an address stay that is about to leave."""
    with database.writing():
        person = users.named(name)
        leaving.keep(addresses.find(person.id, text), by=operator())
    return _views(person.id)


@address.command("remove")
@_user
@_address
def remove(name: str, text: str) -> Json:
    """Take an address from a person, at once."""
    with database.writing():
        person = users.named(name)
        addresses.remove(person, addresses.find(person.id, text), by=operator())
    return _views(person.id)


def _views(user_id: str) -> Sequence[Json]:
    counting = {one.id for one in proven_addresses.counting(user_id)}
    recovering = {one.id for one in proven_addresses.recovering(user_id)}
    managers = proven_addresses.managers(user_id)
    held: list[Json] = [
        {
            "id": one.id,
            "address": one.address,
            "primary": bool(one.is_primary),
            "verified": one.verified_at is not None,
            "counts": one.id in counting,
            "recovers": one.id in recovering,
            "recovers_from": moment(one.recovers_from) if one.recovers_from > clock.now() else None,
            "leaves_at": moment(one.leaves_at),
            "managed_by": managers.get(one.id),
        }
        for one in addresses.of(user_id)
    ]
    asked: list[Json] = [
        {"address": one.address, "asked_at": moment(one.sent_at), "expires_at": moment(one.expires_at)}
        for one in asking_addresses.pending(user_id)
    ]
    return [*held, *asked]
