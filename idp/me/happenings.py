"""What happened to somebody, as they read it themselves: every event of the audit trail that is about a person.

Of others nothing is said: who did something is "you", an administrator of an organization, or the people who run this
service.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from idp.audit.content import Json
from idp.audit.search import Found
from idp.platform.i18n import gettext as _

_Words = Mapping[str, Callable[[], str]]

SIGNING_IN: Final[_Words] = {
    "session.opened": lambda: _("You signed in"),
    "session.stepped.up": lambda: _("You proved again who you are"),
    "session.ended": lambda: _("A session ended"),
    "signin.failed": lambda: _("Somebody failed to prove to be you"),
    "signin.held.back": lambda: _("Signing in was held back for a while: too many attempts had failed"),
    "device.trusted": lambda: _("You chose to trust a browser"),
    "device.distrusted": lambda: _("A browser is not trusted any more"),
}
PROVING: Final[_Words] = {
    "user.password.set": lambda: _("Your password was set"),
    "user.password.removed": lambda: _("Your password was removed"),
    "user.recovery.mailed": lambda: _("A link to set another password was mailed to you"),
    "user.recovered": lambda: _("Another password was set by a mailed link"),
    "user.disowned": lambda: _("Somebody who reads your mail said that something was not done by you"),
    "user.factor.added": lambda: _("A way to prove yourself was added"),
    "user.factor.renamed": lambda: _("A passkey or authenticator app got another name"),
    "user.factor.removed": lambda: _("A way to prove yourself was removed"),
    "user.factors.reset": lambda: _("All your passkeys, apps and recovery codes were taken from you"),
    "user.factors.reset.asked": lambda: _("Somebody asked that your passkeys, apps and codes be taken from you"),
    "user.factors.reset.cancelled": lambda: _("Taking your passkeys, apps and codes from you was called off"),
    "user.enrol.link.made": lambda: _("A link to set up a passkey or app was made for you"),
    "user.enrol.link.used": lambda: _("A link to set up a passkey or app was used"),
    "user.code.mailed": lambda: _("A code to prove yourself with was mailed to you"),
    "user.passkey.went.back": lambda: _("A passkey was refused: somebody may have copied it"),
    "user.codes.made": lambda: _("You got new recovery codes"),
    "user.code.used": lambda: _("A recovery code was used"),
    "user.codes.removed": lambda: _("Your recovery codes became void"),
}
PROFILE: Final[_Words] = {
    "user.created": lambda: _("Your account was made"),
    "user.changed": lambda: _("Your profile was changed"),
    "user.disabled": lambda: _("Your account was disabled"),
    "user.enabled": lambda: _("Your account was enabled again"),
    "user.exported": lambda: _("You downloaded your data"),
    "user.address.added": lambda: _("An e-mail address was added"),
    "user.address.verified": lambda: _("An e-mail address was verified"),
    "user.address.primary": lambda: _("Your primary e-mail address was changed"),
    "user.address.removed": lambda: _("An e-mail address was removed"),
    "user.address.asked": lambda: _("A link to verify an e-mail address was mailed"),
    "user.address.leaving": lambda: _("An e-mail address was given up: it leaves in some days"),
    "user.address.kept": lambda: _("An e-mail address that was about to leave stays"),
    "user.address.undone": lambda: _("A change of your e-mail addresses was undone"),
    "operator.added": lambda: _("You became an operator of this service"),
    "operator.changed": lambda: _("Your part as an operator of this service was changed"),
    "operator.removed": lambda: _("You are no operator of this service any more"),
}
APPLICATIONS: Final[_Words] = {
    "authorization.given": lambda: _("You used an application"),
    "authorization.ended": lambda: _("An application may not act for you any more"),
    "authorization.reuse": lambda: _("A token of yours was used by somebody who should not have it"),
    "consent.given": lambda: _("You allowed an application something"),
    "consent.withdrawn": lambda: _("What an application was allowed was taken back"),
    "tokens.revoked": lambda: _("Everything that applications could do for you was revoked"),
}
BELONGING: Final[_Words] = {
    "member.added": lambda: _("You were taken into an organization"),
    "member.activated": lambda: _("You joined an organization"),
    "member.suspended": lambda: _("Your membership was suspended"),
    "member.reactivated": lambda: _("The suspension of your membership ended"),
    "member.removed": lambda: _("You do not belong to an organization any more"),
    "team.member.added": lambda: _("You were put into a team"),
    "team.member.removed": lambda: _("You were taken out of a team"),
    "grant.made": lambda: _("You got a role"),
    "grant.ended": lambda: _("A role of yours ended"),
}

KINDS: Final[Mapping[str, tuple[Callable[[], str], _Words]]] = {
    "signing-in": (lambda: _("Signing in"), SIGNING_IN),
    "proving": (lambda: _("Passwords and passkeys"), PROVING),
    "profile": (lambda: _("Profile and addresses"), PROFILE),
    "applications": (lambda: _("Applications"), APPLICATIONS),
    "organizations": (lambda: _("Organizations and roles"), BELONGING),
}
"""What the page can be narrowed to: what it is called, and the events."""

EVENTS: Final[_Words] = {name: said for _words, events in KINDS.values() for name, said in events.items()}

FROM_WHEREVER: Final = frozenset(
    ["signin.failed", "signin.held.back", "user.recovery.mailed", "user.code.mailed", "authorization.reuse"]
)
"""Events that show from where they came, although nobody knows who it was: that is what they are about."""

_FACTORS: Final[_Words] = {
    "passkey": lambda: _("Passkey"),
    "totp": lambda: _("Authenticator app"),
    "email_code": lambda: _("Codes by mail"),
}


@dataclass(frozen=True)
class Happening:
    """One line: what happened (`words`, and `detail` where there is more to say), when, by whom, and from where.

    `address` and `user_agent` are told only of what the person did themselves, and of what is about whoever tried.
    """

    at: int
    event: str
    words: str
    detail: str
    by: str
    is_own: bool
    address: str
    user_agent: str


@dataclass(frozen=True)
class Names:
    """What is called how that the entries of a page name: organizations and clients by their ids, roles by organization
    and key.
    """

    organizations: Mapping[str, str]
    clients: Mapping[str, str]
    roles: Mapping[tuple[str, str], str]


def told(found: Found, user_id: str, names: Names) -> Happening:
    """The entry as the person `user_id`, whom it is about, reads it."""
    is_own = (found.actor.kind, found.actor.id) == ("user", user_id)
    is_shown = is_own or found.event in FROM_WHEREVER
    return Happening(
        found.at,
        found.event,
        EVENTS[found.event](),
        _detail(found, names),
        _("You") if is_own else _by(found, names),
        is_own,
        found.address if is_shown else "",
        found.user_agent if is_shown else "",
    )


def client_of(found: Found) -> str:
    """The id of the client that the entry names, or empty."""
    return _named(found, "client")


def _by(found: Found, names: Names) -> str:
    """Who did it, as far as that is the person's to know."""
    organization = names.organizations.get(found.organization_id or "", "")
    if found.event in FROM_WHEREVER:
        return _("Nobody knows who")
    if found.actor.kind == "user":
        return _("An administrator of %(organization)s", organization=organization) if organization else _(
            "An administrator"
        )  # fmt: skip
    if found.actor.kind == "operator":
        return _("The people who run this service")
    if found.actor.kind in ("client", "connection", "directory") and organization:
        return _("A program of %(organization)s", organization=organization)
    return _("It happened by itself")


def _detail(found: Found, names: Names) -> str:
    """What it was about: an application, an address, a role, an organization."""
    kind = _FACTORS.get(_named(found, "kind"))
    parts = (
        kind() if kind else "",
        names.clients.get(client_of(found), ""),
        found.email if found.event.startswith("user.address.") else "",
        _role(found, names) if found.event.startswith("grant.") else "",
        names.organizations.get(found.organization_id or "", ""),
    )
    return " · ".join(part for part in parts if part)


def _role(found: Found, names: Names) -> str:
    key = _named(found, "role_key")
    return names.roles.get((found.organization_id or "", key), key)


def _named(found: Found, key: str) -> str:
    """What `before` or `after` say under that key, if that is a text."""
    for said in (found.after, found.before):
        value: Json = said.get(key) if isinstance(said, dict) else None
        if isinstance(value, str):
            return value
    return ""
