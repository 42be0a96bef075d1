"""What is shown in words: claims, roles, times."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from examples.dashboard.places import Place
from examples.dashboard.tokens import Json

_LEVELS: Final = {"aal1": "One factor", "aal2": "Two factors", "phr": "Resists phishing"}
_METHODS: Final = {
    "pwd": "password",
    "otp": "code",
    "hwk": "passkey",
    "swk": "passkey",
    "fed": "company sign-in",
}


@dataclass(frozen=True)
class Claim:
    """One claim: its name, its value (as JSON, unless it is text), and what it means."""

    name: str
    value: str
    meaning: str


def claims_in_words(claims: Mapping[str, Json], place: Place, person: str) -> list[tuple[str, list[Claim]]]:
    """The claims of an access token under the questions that they answer."""
    where = place.account_name or place.organization_name
    meanings = {
        "Who": {"sub": person, "client_id": "Ledger asked for it"},
        "Where": {
            "org_id": place.organization_name,
            "account_id": place.account_name,
            "livemode": "A live account: real money" if claims.get("livemode") else "A sandbox: test money",
        },
        "May do": {
            "org_roles": f"Held on {place.organization_name}",
            "account_roles": f"Held on {where}, or on a group that holds it",
            "roles": "All of them together: what counts",
            "permissions": "What these roles allow at this API",
            "scope": "What Ledger may use of it",
        },
        "How sure": {
            "acr": _LEVELS.get(str(claims.get("acr")), ""),
            "amr": methods(claims),
            "exp": f"Expires at {clock_time(claims.get('exp'))}",
            "azv": "Current up to this change in the feed",
        },
    }
    return [
        (question, [Claim(name, _written(claims[name]), meaning) for name, meaning in asked.items() if name in claims])
        for question, asked in meanings.items()
    ]


def methods(claims: Mapping[str, Json]) -> str:
    """How the person signed in: `Password, code`."""
    amr = claims.get("amr")
    named = [_METHODS[name] for name in map(str, amr if isinstance(amr, list) else ()) if name in _METHODS]
    return ", ".join(dict.fromkeys(named)).capitalize()


def factors(claims: Mapping[str, Json]) -> str:
    """How much the person proved."""
    return _LEVELS.get(str(claims.get("acr")), "Signed in")


def falls_short(claims: Mapping[str, Json], asked_for: str) -> bool:
    """Whether the person proved less than was asked for: an unknown level, or none, asks for nothing."""
    levels = list(_LEVELS)
    proved = str(claims.get("acr"))
    return asked_for in levels and (proved not in levels or levels.index(proved) < levels.index(asked_for))


def roles(keys: Json) -> list[str]:
    """Role keys as people call them: `x_refund_lead` is `Refund lead`."""
    return [_humanized(str(key)) for key in keys] if isinstance(keys, list) else []


def enumerated(words: Iterable[str]) -> str:
    """`Developer, View only and Refund lead`."""
    *most, last = list(words) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def clock_time(seconds: Json) -> str:
    """The time of day here; empty if there is none."""
    if not isinstance(seconds, int):
        return ""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M:%S")


def _humanized(key: str) -> str:
    return key.removeprefix("x_").replace("_", " ").capitalize()


def _written(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(", ", ": "), ensure_ascii=False)
