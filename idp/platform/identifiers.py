"""Ids: prefixed, URL-safe, unguessable, sortable by the time they were made, never reused.

An id is `<prefix>_` and 26 characters of Crockford's base 32: 48 bits of milliseconds since 1970, then 80 random
bits (the layout of a ULID). Ids name; they never authorize.
"""

import secrets
from collections.abc import Callable
from functools import partial

from idp.platform import clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
"""Two characters at a time: an id costs half as much, and a large file makes a million."""


def mint(prefix: str) -> str:
    """A new id, e.g. `usr_01kq…`."""
    number = (clock.now() // 1000 << 80) | secrets.randbits(80)
    return f"{prefix}_" + "".join([_PAIRS[number >> shift & 1023] for shift in range(5 * (_LENGTH - 2), -1, -10)])


def is_one(prefix: str, text: str) -> bool:
    """Whether `text` has the shape of an id with that prefix (the object need not exist).

    Ids that an operator brings along in a file may have any URL-safe body of up to 64 characters.
    """
    head, _, body = text.partition("_")
    plain = body.replace("-", "").replace("_", "")
    return head == prefix and len(body) <= 64 and plain.isascii() and plain.isalnum()


def _kind(prefix: str) -> Callable[[], str]:
    return partial(mint, prefix)


organization = _kind("org")
account = _kind("acct")
placement = _kind("plc")
account_group = _kind("agrp")
account_move = _kind("move")
user = _kind("usr")
address = _kind("addr")
membership = _kind("mem")
team = _kind("team")
role = _kind("role")
grant = _kind("grant")
invitation = _kind("inv")
domain = _kind("dom")
client = _kind("app")
client_secret = _kind("csec")
api = _kind("api")
browser = _kind("brw")
session = _kind("ses")
device = _kind("dev")
factor = _kind("fct")
enrolment = _kind("enr")
transaction = _kind("txn")
authorization = _kind("az")
pending_request = _kind("req")
consent = _kind("cons")
job = _kind("job")
letter = _kind("ltr")
entry = _kind("aud")
edge = _kind("edge")
"""Rows of history that nobody names from outside: statuses, suspensions, team and group members."""
