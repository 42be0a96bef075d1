"""Time zones: which ones people can choose, and in which one they read times."""

from functools import cache
from zoneinfo import available_timezones

from idp.users import claims
from idp.users.models import User

_CONTINENTS = (
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
)


@cache
def choices() -> tuple[str, ...]:
    """The zones that people choose from, by name: those named for a place, and UTC."""
    return "UTC", *sorted(name for name in available_timezones() if name.partition("/")[0] in _CONTINENTS)


def is_one(name: str) -> bool:
    """Whether there is a zone of that name; older names of zones count."""
    return name in available_timezones()


def of(user: User) -> str:
    """The claim `zoneinfo`, if there is such a zone; else empty, for UTC."""
    said = str(claims.load(user.claims).get("zoneinfo") or "")
    return said if said and is_one(said) else ""
