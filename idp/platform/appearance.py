"""How pages look to whoever reads them: light, dark or as the machine is set, and in which time zone times are told."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

THEMES: Final = ("light", "dark")
"""What can be chosen; empty stands for what the machine is set to."""

COOKIE: Final = "theme"
"""Remembers the choice in a browser, so that pages before signing in follow it."""

COOKIE_AGE: Final = 365 * 86_400
"""Seconds."""


@dataclass(frozen=True)
class Appearance:
    """`theme`: one of `THEMES` or empty; `zone`: the name of a time zone, empty for UTC."""

    theme: str = ""
    zone: str = ""


_current: ContextVar[Appearance] = ContextVar("appearance", default=Appearance())  # noqa: B039 a frozen value


@contextmanager
def looking(appearance: Appearance) -> Iterator[None]:
    """Let every page inside the block look so."""
    token = _current.set(appearance)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Appearance:
    """How pages look now."""
    return _current.get()


def theme_of(text: str | None) -> str:
    """The theme that a cookie or a form names; empty unless there is one of that name."""
    return text if text in THEMES else ""
