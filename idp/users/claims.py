"""What may be said about a person: the standard claims of OpenID Connect, in their JSON types (Core §5.1, §5.2).

Claims that follow from elsewhere are not said here: `sub` is the id, `email` and `email_verified` follow from the
addresses, `updated_at` is kept by the rule that changes a claim.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from idp.platform.errors import Invalid

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""A JSON value."""

Claims = Mapping[str, Json]
"""Claims by name; a name may carry a language tag (`family_name#ja-Kana-JP`)."""

_LONGEST = 1_000
_MEMBERS_OF_ADDRESS = {"formatted", "street_address", "locality", "region", "postal_code", "country"}
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_BIRTHDATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]))?")
_TELEPHONE = re.compile(r"\+?[0-9][0-9 ().-]{2,30}(;ext=[0-9]{1,10})?")


def parse(given: Claims) -> dict[str, Json]:
    """`given` with its strings trimmed and its empty ones left out, sorted by name.

    Raises `Invalid`, naming the claim, for an unknown name and for a value of the wrong type or form.
    """
    kept: dict[str, Json] = {}
    for name in sorted(given):
        value = given[name]
        if value is None or value == "":
            continue
        kept[name] = _check_of(name)(name, value)
    return kept


def dump(claims: Claims) -> str:
    """The text under which `claims` are stored."""
    return json.dumps(dict(claims), sort_keys=True, ensure_ascii=False)


def load(stored: str) -> dict[str, Json]:
    """The claims that were stored as `stored`."""
    claims: dict[str, Json] = json.loads(stored)
    return claims


def _check_of(name: str) -> "_Check":
    base, tagged, tag = name.partition("#")
    check = _CHECKS.get(base)
    if check is None or (tagged and (base not in _TRANSLATED or not _LANGUAGE_TAG.fullmatch(tag))):
        raise Invalid(f"{name!r} is not a standard claim that can be set", field=name)
    return check


_Check = Callable[[str, Json], Json]


def _text(name: str, value: Json) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{name} must be a string", field=name)
    text = value.strip()
    if len(text) > _LONGEST:
        raise Invalid(f"{name} has more than {_LONGEST} characters", field=name)
    if any(not (letter.isprintable() or letter == "\n") for letter in text):
        raise Invalid(f"{name} must not contain control or invisible characters", field=name)
    return text


def _matching(pattern: re.Pattern[str], expected: str) -> _Check:
    def check(name: str, value: Json) -> str:
        text = _text(name, value)
        if not pattern.fullmatch(text):
            raise Invalid(f"{name} must be {expected}", field=name)
        return text

    return check


def _web_address(name: str, value: Json) -> str:
    text = _text(name, value)
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"https", "http"} and bool(parts.hostname) and "\n" not in text
    except ValueError:
        usable = False
    if not usable:
        raise Invalid(f"{name} must be an http or https URL", field=name)
    return text


def _flag(name: str, value: Json) -> bool:
    if not isinstance(value, bool):
        raise Invalid(f"{name} must be true or false", field=name)
    return value


def _seconds(name: str, value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**40:
        raise Invalid(f"{name} must be a number of seconds since 1970", field=name)
    return value


def _postal_address(name: str, value: Json) -> Json:
    if not isinstance(value, dict) or not value.keys() <= _MEMBERS_OF_ADDRESS:
        raise Invalid(f"{name} must be an object with members of {sorted(_MEMBERS_OF_ADDRESS)}", field=name)
    return {member: _text(f"{name}.{member}", value[member]) for member in sorted(value)}


_CHECKS: Final[Mapping[str, _Check]] = {
    "name": _text,
    "given_name": _text,
    "family_name": _text,
    "middle_name": _text,
    "nickname": _text,
    "preferred_username": _text,
    "profile": _web_address,
    "picture": _web_address,
    "website": _web_address,
    "gender": _text,
    "birthdate": _matching(_BIRTHDATE, "YYYY-MM-DD or YYYY (0000 for a year not told)"),
    "zoneinfo": _matching(_ZONE, "the name of a time zone, like Europe/Paris"),
    "locale": _matching(_LANGUAGE_TAG, "a language tag, like de-AT"),
    "phone_number": _matching(_TELEPHONE, "a telephone number, best as +1 425 5550100"),
    "phone_number_verified": _flag,
    "address": _postal_address,
    "updated_at": _seconds,
}
_TRANSLATED = _CHECKS.keys() - {
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "phone_number",
    "phone_number_verified",
    "updated_at",
}
