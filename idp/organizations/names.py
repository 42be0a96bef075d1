"""Keys and names of what an organization makes: which are allowed, which are reserved."""

import re
import unicodedata
from collections.abc import Sequence

from sqlalchemy import select

from idp.platform import bulk, database, identifiers
from idp.platform.database import Model
from idp.platform.errors import Conflict, Invalid

_KEY = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")


def key(text: str, prefix: str) -> str:
    """`text`, if it can be the key of what has ids with `prefix`: lower-case letters, digits, `-` and `_`, up to 64.

    Raises `Invalid`, also for the shape of such an id: whoever names an id must not get another's key.
    """
    if not _KEY.fullmatch(text) or identifiers.is_one(prefix, text):
        raise Invalid(
            f"key takes up to 64 lower-case letters, digits, - and _, and no id: {text!r} does not fit.", field="key"
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
    require_new_ids(prefix, [wanted], table)
    return wanted


def require_new_ids(prefix: str, wanted: Sequence[str], table: type[Model]) -> None:
    """Raise `Invalid` for what has not the shape of an id, `Conflict` for what was ever in use or is there twice."""
    for one in wanted:
        if not identifiers.is_one(prefix, one):
            raise Invalid(f"An id here begins with {prefix}_ and is URL-safe: {one!r} is not.", field="id")
    if len(set(wanted)) < len(wanted):
        raise Conflict("Two of them have the same id.")
    known = table.__table__.c.id
    for some in bulk.chunks(wanted):
        if taken := database.session().scalars(select(known).where(known.in_(some))).first():
            raise Conflict(f"The id {taken} is in use already.")
