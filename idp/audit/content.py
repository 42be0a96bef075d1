"""What may stand in an entry: what changed, in plain JSON; escaped, cut to size, without secrets and e-mail addresses.

Everything that reaches the trail passes here, so that no rule can forget it (AUD-03). A secret is masked by the name
it stands under and by its shape; an e-mail address is handed back to stand in the erasable side row.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

from pydantic import SecretStr

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MASK = "[secret]"
E_MAIL = "[e-mail]"

LONGEST_TEXT = 1_000
LONGEST_NAME = 200
MOST_ITEMS = 100
DEEPEST = 12
LARGEST = 65_536

_SECRET_NAME = re.compile(
    r"(^|_)(password|passwd|passphrase|secret|token|cookie|assertion|private_key|key_material|api_key|seed|otp|totp"
    r"|hash|jwt|verifier)s?$"
    r"|^((authorization|recovery|device|user|email|backup|break_glass|verification|one_time)_)?codes?$"
)
_SECRET_SHAPE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY[\s\S]*"
    r"|eyJ[\w-]{10,}(\.[\w-]*)*"
    r"|\$(argon2|scrypt|pbkdf2|2[aby]\$)\S*"
    r"|\b(?i:basic|bearer|dpop)\s+[\w.~+/=-]{8,}"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_E_MAIL_SHAPE = re.compile(r"[^\s@<>\"',;:/()\[\]]{1,64}@[\w-]{1,63}(\.[\w-]{1,63})+")


@dataclass(frozen=True)
class Content:
    """`before` and `after` as JSON texts, ready to be stored, and the e-mail addresses that stood in them."""

    before: str | None
    after: str | None
    emails: tuple[str, ...]


def of(before: object, after: object) -> Content:
    """What an entry says of a change from `before` to `after`.

    Frozen dataclasses, mappings, sequences, sets, enums, texts, numbers and `None` may be given; two dataclasses are
    reduced to the fields in which they differ. Raises `TypeError` for anything else.
    """
    was, became = _plain(before), _plain(after)
    if _is_value(before) and _is_value(after) and isinstance(was, dict) and isinstance(became, dict):
        was, became = _differing(was, became)
    emails: list[str] = []
    return Content(_stored(was, emails), _stored(became, emails), tuple(dict.fromkeys(emails)))


def text(value: str, limit: int = LONGEST_TEXT) -> str:
    """`value` on one line and readable as it stands: cut to `limit` characters, controls, invisible characters and
    changes of direction escaped, whatever looks like a secret masked."""
    shown = _SECRET_SHAPE.sub(MASK, value[:limit])
    if not shown.isprintable():
        shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in shown)
    return shown if len(value) <= limit else f"{shown}… [{len(value)} characters]"


def _is_value(given: object) -> bool:
    return is_dataclass(given) and not isinstance(given, type)


def _differing(was: dict[str, Json], became: dict[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
    return (
        {name: value for name, value in was.items() if name not in became or became[name] != value},
        {name: value for name, value in became.items() if name not in was or was[name] != value},
    )


def _plain(value: object, depth: int = 0) -> Json:
    if depth > DEEPEST:
        return "[too deep]"
    if isinstance(value, Enum):
        return _plain(value.value, depth)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | SecretStr):
        return MASK
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name), depth + 1) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(one, depth + 1) for name, one in value.items()}
    if isinstance(value, set | frozenset):
        return [_plain(one, depth + 1) for one in sorted(value, key=str)]
    if isinstance(value, list | tuple):
        return [_plain(one, depth + 1) for one in value]
    raise TypeError(f"{type(value).__name__} cannot stand in an audit entry")


_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False)


def _stored(value: Json, emails: list[str]) -> str | None:
    if value is None:
        return None
    shown = _JSON.encode(_clean(value, emails, secret=False))
    if len(shown) > LARGEST:
        return json.dumps({"left_out": f"{len(shown)} characters"})
    return shown


def _clean(value: Json, emails: list[str], *, secret: bool) -> Json:
    """`value` as it may be stored. `secret`: a name above says that the texts here are secrets."""
    if isinstance(value, str):
        return _clean_text(value, emails, secret=secret)
    if isinstance(value, list):
        kept: list[Json] = [_clean(one, emails, secret=secret) for one in value[:MOST_ITEMS]]
        return kept if len(value) <= MOST_ITEMS else [*kept, f"… and {len(value) - MOST_ITEMS} more"]
    if isinstance(value, dict):
        return {
            _clean_text(name[:LONGEST_NAME], emails, secret=False): _clean(
                one, emails, secret=secret or _is_secret(name)
            )
            for name, one in value.items()
        }
    return value


def _clean_text(value: str, emails: list[str], *, secret: bool) -> str:
    if secret and value:
        return MASK
    shown = text(value)
    if "@" in shown:
        emails.extend(found.group() for found in _E_MAIL_SHAPE.finditer(shown))
        return _E_MAIL_SHAPE.sub(E_MAIL, shown)
    return shown


@lru_cache(maxsize=1_024)
def _is_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(_CAMEL.sub("_", name[:LONGEST_NAME]).lower().replace("-", "_")))
