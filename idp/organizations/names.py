"""Keys and names of what an organization makes: which are allowed, which are reserved."""

import re
import unicodedata

from idp.platform import database, identifiers
from idp.platform.database import Model
from idp.platform.errors import Conflict, Invalid

_KEY = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")


def key(text: str, *, field: str = "key") -> str:
    """`text`, if it can be a key: lower-case letters, digits, `-` and `_`, up to 64. Raises `Invalid`."""
    if not _KEY.fullmatch(text):
        raise Invalid(
            f"{field} takes up to 64 lower-case letters, digits, - and _: {text!r} does not fit.", field=field
        )
    return text


def shown(text: str, *, field: str = "name") -> str:
    """`text`, if it can be shown to people as a name: 1 to 128 characters, no control or direction characters.

    Returned in normal form C with its spaces in order. Raises `Invalid`.
    """
    normal = " ".join(unicodedata.normalize("NFC", text).split())
    hidden = any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn") for letter in normal)
    if hidden or not 0 < len(normal) <= 128:
        raise Invalid(f"{field} takes 1 to 128 visible characters.", field=field)
    return normal


def given_id(prefix: str, wanted: str, table: type[Model]) -> str:
    """The id that somebody brings along, if it is well-formed and never was in use; else a new one when empty."""
    if not wanted:
        return identifiers.mint(prefix)
    if not identifiers.is_one(prefix, wanted):
        raise Invalid(f"An id here begins with {prefix}_ and is URL-safe: {wanted!r} is not.", field="id")
    if database.session().get(table, wanted) is not None:
        raise Conflict(f"The id {wanted} is in use already.")
    return wanted
