"""What people say about themselves on their own page, and nothing else of what is known of them (RST-07)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from idp.audit.trail import Actor
from idp.platform import i18n
from idp.platform.appearance import theme_of
from idp.platform.errors import Invalid
from idp.users import claims, users, zones
from idp.users.locks import lock
from idp.users.models import User
from idp.users.users import UserSettings

LONGEST: Final = 200
"""Characters of a name."""

NAMES: Final = ("name", "given_name", "family_name")


class NameUnusable(Invalid):
    """A name that is too long, or cannot be shown."""

    title = "This name cannot be used"
    remedy = "Use at most 200 letters, without line breaks or invisible signs."


class NotAChoice(Invalid):
    """A language or time zone that is not among those to choose from."""

    title = "This cannot be chosen"
    remedy = "Choose one from the list."


@dataclass(frozen=True)
class Profile:
    """The names are claims; `locale` one of `i18n.LOCALES`, `zoneinfo` the name of a zone, `theme` one of
    `appearance.THEMES`; each may be empty.
    """

    name: str = ""
    given_name: str = ""
    family_name: str = ""
    locale: str = ""
    zoneinfo: str = ""
    theme: str = ""


def of(user: User) -> Profile:
    """What the person's page says now."""
    said = claims.load(user.claims)
    called = {name: str(said.get(name) or "") for name in NAMES}
    return Profile(**called, locale=_language(said.get("locale")), zoneinfo=zones.of(user), theme=user.theme)


def parse(form: Mapping[str, str]) -> Profile:
    """What a form says; fields that are not of a profile are not looked at. Raises `Invalid`, naming the field."""
    called = {name: form.get(name, "").strip() for name in NAMES}
    for name, text in called.items():
        if len(text) > LONGEST or not text.isprintable():
            raise NameUnusable("a name has at most 200 letters, without line breaks or invisible signs", field=name)
    locale, zone = form.get("locale", ""), form.get("zoneinfo", "")
    if locale and locale not in i18n.LOCALES:
        raise NotAChoice("this is no language to choose", field="locale")
    if zone and not zones.is_one(zone):
        raise NotAChoice("there is no such time zone", field="zoneinfo")
    return Profile(**called, locale=locale, zoneinfo=zone, theme=theme_of(form.get("theme")))


def store(user_id: str, wanted: Profile, *, by: Actor) -> None:
    """Let the person's page say what `wanted` does. Inside `database.writing()`. Raises `Invalid`."""
    user = lock(user_id)
    before = users.settings_of(user)
    told = {**before.claims, **{name: getattr(wanted, name) for name in (*NAMES, "zoneinfo")}}
    if wanted.locale != _language(before.claims.get("locale")):
        told["locale"] = wanted.locale
    users.reconfigure(user, UserSettings(user.username, told), by=by)
    user.theme = wanted.theme


def _language(said: claims.Json) -> str:
    return (i18n.spoken(str(said)) or "") if said else ""
