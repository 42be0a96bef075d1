"""Why somebody may do something, as they read it themselves: the conditions of `organizations.explain`, and the ways
by which roles are held, in the language of the page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from idp.organizations.choices import OWNERSHIP
from idp.organizations.explain import Explanation, Link, Path
from idp.platform import pages
from idp.platform.i18n import gettext as _

_FACTS: Final[Mapping[str, Callable[[str], str]]] = {
    "The person is enabled": lambda _named: _("Your account is enabled"),
    "The person is a member of the organization": lambda _named: _("You belong to the organization"),
    "The membership is active": lambda _named: _("Your membership is active"),
    "The organization is active": lambda _named: _("The organization is active"),
    "The account belongs to the organization": lambda _named: _("The account belongs to the organization"),
    "The account is active": lambda _named: _("The account is active"),
    "role allows": lambda named: _("The role %(role)s allows it", role=named),
    "membership allows": lambda _named: _("Every member may do it"),
    "owns": lambda named: _("You own the organization, and have the role %(role)s by that", role=named),
    "enters": lambda _named: _("You have some role there"),
    "granted": lambda named: _("You were given the role %(role)s", role=named),
    "expires": lambda named: _("It counts until %(instant)s", instant=pages.instant(int(named))),
    "begins": lambda named: _("It counts from %(instant)s on", instant=pages.instant(int(named))),
    "team": lambda named: _("You are in the team %(team)s, which was given it", team=named),
    "former membership": lambda _named: _("You still belong to the organization since it was given"),
    "group": lambda named: _("The account is in the group %(group)s, for which it was given", group=named),
    "former stay": lambda _named: _("The account has stayed in the organization since it was given"),
    "reaches": lambda _named: _("It is held on the whole organization, and reaches every account"),
}
"""What each condition says when it holds; when it does not, the page says that it does not."""

_SOURCES: Final[Mapping[str, Callable[[], str]]] = {
    "manual": lambda: _("by hand"),
    "invitation": lambda: _("by an invitation"),
    "sso": lambda: _("by your company's sign-in"),
    "scim": lambda: _("by your company's directory"),
    "jit": lambda: _("when you first signed in"),
    "api": lambda: _("by a program"),
    "apply": lambda: _("by whoever runs this service"),
    OWNERSHIP: lambda: _("by owning the organization"),
}

_INSTANTS: Final = frozenset(["expires", "begins"])
"""Those that name a time."""

_ISOLATED: Final = "\u2068{}\u2069"
"""FIRST STRONG ISOLATE … POP DIRECTIONAL ISOLATE: what `<bdi>` is in HTML."""


@dataclass(frozen=True)
class Step:
    """One condition in words, and whether it holds."""

    holds: bool
    says: str


@dataclass(frozen=True)
class Way:
    """One way to what was asked for: whether it counts, and its conditions."""

    counts: bool
    steps: tuple[Step, ...]


def source(text: str) -> str:
    """How a role came to be held, by the source of its grant (`manual`, `sso:<connection>`, …)."""
    said = _SOURCES.get(text.partition(":")[0])
    return said() if said else text


def ways(found: Explanation, roles: Mapping[str, str], *, most: int) -> list[Way]:
    """The ways of an answer, those that count first; `roles`: what roles are called, by their keys."""
    return [_way(path, roles) for path in found.chain[:most]]


def _way(path: Path, roles: Mapping[str, str]) -> Way:
    return Way(path.counts, tuple(Step(link.holds, _said(link, roles)) for link in path.links))


def _said(link: Link, roles: Mapping[str, str]) -> str:
    called = roles.get(link.named, link.named)
    return _FACTS[link.fact](called if link.fact in _INSTANTS else _ISOLATED.format(called))


def facts() -> frozenset[str]:
    """The conditions that have words."""
    return frozenset(_FACTS)
