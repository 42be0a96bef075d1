"""Whom a typed name means. Nothing that a browser sees depends on the answer."""

from idp.users import addresses, names, users

LONGEST = 320
"""Characters of a name that is looked at: the longest address there can be (RFC 3696 §3)."""


def normal(typed: str) -> str:
    """`typed` as it is kept: without blanks around it, cut to what can be a name."""
    return typed.strip()[:LONGEST]


def person(identifier: str) -> str | None:
    """The id of the person with that username or address, or `None`; a name with `@` is only ever an address.

    One statement, whoever it finds: more of them would tell by the time (LOG-02). A deleted person has no address.
    """
    if "@" in identifier:
        held = addresses.held(identifier)
        return None if held is None else held.user_id
    found = users.by_username(identifier)
    return None if found is None or found.deleted_at is not None else found.id


def key(identifier: str) -> str:
    """What attempts on a name that is nobody's are counted under: one key for every spelling of the name."""
    return f"name:{names.username_key(identifier) or identifier.casefold()}"
