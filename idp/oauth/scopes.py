"""Scopes: which there are, what each means to a person, and which of those asked for a client may get.

Ours are the ones of OpenID Connect (Core §5.4, §11), `roles` and `accounts`; the others are declared by APIs, with
their words. Scopes that name a context (`organization:<id>`, `account:<id>`) are wishes that `contexts` reads; none is
granted.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from idp.clients.registered import RegisteredClient
from idp.oauth.audiences import Audience
from idp.oauth.errors import InvalidScope
from idp.platform.i18n import gettext as _

OPENID: Final = "openid"
OFFLINE: Final = "offline_access"
ROLES: Final = "roles"
ACCOUNTS: Final = "accounts"

SCOPES: Final[Mapping[str, Callable[[], str]]] = {
    OPENID: lambda: _("Know that it is you, by an identifier"),
    "profile": lambda: _("See your profile: your name, picture, language and the like"),
    "email": lambda: _("See your e-mail address"),
    "address": lambda: _("See your postal address"),
    "phone": lambda: _("See your telephone number"),
    ROLES: lambda: _("See your roles in the organization"),
    ACCOUNTS: lambda: _("See the organizations and accounts where you may work, and your roles there"),
    OFFLINE: lambda: _("Stay connected when you are not there, until you take it back"),
}
"""Our own scopes, each with what it lets an application do, in the language of the page; in the order shown."""


@dataclass(frozen=True)
class Shown:
    """A scope as a consent page shows it: its name, and what it lets an application do."""

    name: str
    words: str


def allowed(asked: Iterable[str], client: RegisteredClient, audiences: Iterable[Audience]) -> tuple[str, ...]:
    """Those of the scopes asked for, in their order, that a client may get for a person at these APIs.

    What nobody declares or the client is not registered for is ignored (OpenID Connect Core §3.1.2.1), and so is
    `offline_access` of a client that cannot refresh (§11).
    """
    known = {*SCOPES, *_declared(audiences)}
    if "refresh_token" not in client.grant_types:
        known.discard(OFFLINE)
    return tuple(scope for scope in dict.fromkeys(asked) if scope in known and _is_registered(scope, client))


def of_machine(asked: Iterable[str] | None, client: RegisteredClient, audience: Audience) -> tuple[str, ...]:
    """The scopes of a token by which a client acts for itself: those asked for, or all that it may get (`None`).

    Only APIs have scopes for machines. Raises `InvalidScope` for one that it may not get (RFC 6749 §3.3).
    """
    possible = tuple(scope for scope in audience.scopes if _is_registered(scope, client))
    if asked is None:
        return possible
    wanted = tuple(dict.fromkeys(scope for scope in asked if not names_context(scope)))
    if not set(wanted) <= set(possible):
        raise InvalidScope("a scope was asked for that this client cannot have at this resource")
    return wanted


def narrowed(scope: Iterable[str], audience: Audience, client: RegisteredClient) -> tuple[str, ...]:
    """Those of the granted scopes that a token for this API carries: ours, and its own (RFC 8707 §2.2).

    Less those that the client is registered for no longer, whatever it was granted when it was.
    """
    return tuple(one for one in scope if (one in SCOPES or one in audience.scopes) and _is_registered(one, client))


def shown(scope: Iterable[str], audiences: Iterable[Audience]) -> tuple[Shown, ...]:
    """What a consent page says of these scopes: ours first, then what the APIs say of theirs, each of those that have a
    scope of one name.
    """
    wanted = set(scope)
    ours = [Shown(name, words()) for name, words in SCOPES.items() if name in wanted]
    declared = {(name, words or name) for audience in audiences for name, words in audience.scopes.items()}
    theirs = [Shown(name, words) for name, words in sorted(declared) if name in wanted - SCOPES.keys()]
    return (*ours, *theirs)


def names_context(scope: str) -> bool:
    """Whether the scope names an organization or account to act in."""
    return scope.startswith(("organization:", "account:"))


def _declared(audiences: Iterable[Audience]) -> dict[str, str]:
    return {name: words for audience in audiences for name, words in audience.scopes.items()}


def _is_registered(scope: str, client: RegisteredClient) -> bool:
    """Whoever registers no scopes may ask for each (RFC 7591 §2)."""
    registered = client.text("scope")
    return not registered or scope in registered.split(" ")
