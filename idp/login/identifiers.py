"""Whom a typed name means. Nothing that a browser sees depends on the answer."""

from idp.organizations import proven_addresses
from idp.users import names, users

LONGEST = 320
"""Characters of a name that is looked at: the longest address there can be (RFC 3696 §3)."""


def normal(typed: str) -> str:
    """`typed` as it is kept: without blanks around it, cut to what can be a name."""
    return typed.strip()[:LONGEST]


def person(identifier: str) -> str | None:
    """The id of the person with that username or address, or `None`; a name with `@` is only ever an address.

    An address that does not count is nobody's. One statement, whoever it finds: more of them would tell by the time
    (LOG-02). A deleted person has no address.
    """
    if "@" in identifier:
        address = names.address_key(identifier)
        return None if address is None else proven_addresses.signs_in(address)
    found = users.by_username(identifier)
    return None if found is None or found.deleted_at is not None else found.id


def key(identifier: str) -> str:
    """What attempts on a name that is nobody's are counted under: one key for every spelling of the name."""
    return f"name:{names.username_key(identifier) or identifier.casefold()}"
