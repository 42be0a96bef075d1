"""Languages: which one a person reads, and what our sentences say in it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_date, format_datetime, format_time, get_datetime_format
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from idp.platform import clock

LOCALES = {
    "en": "English",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
    "pt-BR": "Português (Brasil)",
    "ja": "日本語",
    "ar": "العربية",
}
"""The languages that we speak, each by the name that its speakers give it; the first where none is asked for."""

PSEUDO = "xx-long"
"""A language for tests: every sentence is longer and foreign, so that cramped pages and untranslated words show."""

_RIGHT_TO_LEFT = frozenset({"ar"})
FOLDER = Path(__file__).parent / "translations"
"""One catalogue a language, as translators leave it; it is compiled at its first use."""


@dataclass(frozen=True)
class Wish:
    """What a request says about languages: its query string, the language cookie and `Accept-Language`.

    `pseudo`: whether `PSEUDO` can be asked for.
    """

    query: str = ""
    cookie: str = ""
    accept: str = ""
    pseudo: bool = False

    @cached_property
    def named(self) -> str | None:
        """The first language of `ui_locales` that we speak (OpenID Connect Core §3.1.2.1)."""
        if "ui_locales=" not in self.query:
            return None
        asked = dict(parse_qsl(self.query)).get("ui_locales", "")
        return self._first(asked.split())

    @cached_property
    def locale(self) -> str:
        """`ui_locales`, else the cookie, else `Accept-Language`, else the first that we speak."""
        return self.named or self._first([self.cookie]) or self._first(_by_quality(self.accept)) or next(iter(LOCALES))

    def alternatives(self) -> list[tuple[str, str, str]]:
        """Every language as code, own name and the query that asks for it and keeps everything else."""
        kept = [(name, value) for name, value in parse_qsl(self.query, keep_blank_values=True) if name != "ui_locales"]
        return [(code, name, "?" + urlencode([*kept, ("ui_locales", code)])) for code, name in LOCALES.items()]

    def _first(self, tags: list[str]) -> str | None:
        return next((known for tag in tags if (known := self._known(tag))), None)

    def _known(self, tag: str) -> str | None:
        return PSEUDO if self.pseudo and tag == PSEUDO else spoken(tag)


def spoken(tag: str) -> str | None:
    """The one of `LOCALES` that readers of `tag` (BCP 47, `-` or `_` between its parts) get; `None`: we speak none."""
    lowered = tag.lower().replace("_", "-")
    exact = next((locale for locale in LOCALES if locale.lower() == lowered), None)
    primary = lowered.partition("-")[0]
    return exact or next((locale for locale in LOCALES if locale.partition("-")[0] == primary), None)


def _by_quality(accept: str) -> list[str]:
    """The tags of `Accept-Language` (RFC 9110 §12.5.4), best first; what cannot be read is left out."""
    weighed = []
    for part in accept[:1000].split(","):
        tag, _, parameter = part.partition(";")
        try:
            quality = float(parameter.partition("=")[2] or 1)
        except ValueError:
            continue
        if quality > 0:
            weighed.append((-quality, tag.strip()))
    return [tag for _, tag in sorted(weighed, key=lambda pair: pair[0])]


_wish: ContextVar[Wish] = ContextVar("wish", default=Wish())  # noqa: B039 a frozen value


@contextmanager
def speaking(wish: Wish) -> Iterator[None]:
    """Let everything inside the block be said in the language that `wish` amounts to."""
    token = _wish.set(wish)
    try:
        yield
    finally:
        _wish.reset(token)


def wish() -> Wish:
    """What the current request says about languages."""
    return _wish.get()


def locale() -> str:
    """The language of the current request, as in the `lang` attribute."""
    return wish().locale


def direction() -> str:
    """`rtl` or `ltr`, as in the `dir` attribute."""
    return "rtl" if locale() in _RIGHT_TO_LEFT else "ltr"


def gettext(message: str, **values: object) -> str:
    """`message` in the current language, with `%(name)s` filled in."""
    said = _catalogue(locale()).ugettext(message)
    return said % values if values else said


def ngettext(singular: str, plural: str, n: int, **values: object) -> str:
    """The one of both that goes with `n`, in the current language."""
    return _catalogue(locale()).ungettext(singular, plural, n) % {"n": n, "num": n, **values}


def instant(at: int, zone: str = "", *, to_the: Literal["minute", "second"] = "minute", names_zone: bool = True) -> str:
    """`at` (microseconds since 1970 UTC) as people write it, on the clocks of `zone`; in UTC without one we know.

    `names_zone`: whether a known zone is named. Whoever reads it where they set their zone knows; UTC is always named.
    """
    known = _zone(zone)
    moment = datetime.fromtimestamp(at // clock.SECOND, known or UTC)
    tag = {"en": "en_GB", PSEUDO: "en_GB"}.get(locale(), locale().replace("-", "_"))
    day = format_date(moment, "medium", tag)
    hour = format_time(moment, "medium" if to_the == "second" else "short", locale=tag)
    said = str(get_datetime_format("medium", tag)).replace("'", "").format(hour, day)
    if not known:
        return f"{said} UTC"
    return f"{said} {format_datetime(moment, 'ZZZZ', locale=tag)}" if names_zone else said


@lru_cache
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache
def _catalogue(tag: str) -> NullTranslations:
    if tag == PSEUDO:
        return _Pseudo()
    path = FOLDER / f"{tag}.po"
    if not path.exists():
        return NullTranslations()
    compiled = io.BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=tag.replace("-", "_")))
    compiled.seek(0)
    return Translations(compiled)


class _Pseudo(NullTranslations):
    """English, a half longer and with marks around it; `%(name)s` stays as it is."""

    def ugettext(self, message: str) -> str:
        return f"⟦{message} {'xoxo ' * (len(message) // 10 + 1)}⟧"

    def ungettext(self, singular: str, plural: str, n: int) -> str:
        return self.ugettext(singular if n == 1 else plural)
