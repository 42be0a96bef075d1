"""`organizations` of the file."""

from collections.abc import Callable
from typing import TypeVar

from idp.cli.apply import parse_holdings
from idp.cli.apply.document import Mapping, Node
from idp.cli.apply.fields import Fields
from idp.cli.apply.places import Place
from idp.cli.apply.wanted import (
    Said,
    WantedAccount,
    WantedDomain,
    WantedGroup,
    WantedOrganization,
    WantedPolicies,
    WantedRole,
    WantedTeam,
)
from idp.organizations import policies
from idp.organizations.roles import Permitted

Item = TypeVar("Item")


def read(fields: Fields) -> WantedOrganization:
    """One organization."""
    wanted = WantedOrganization(
        place=fields.place,
        id=fields.text("id") or "",
        slug=fields.need("slug"),
        name=fields.text("name"),
        owner=fields.said("owner"),
        deputy=Said("", fields.place.of("deputy")) if fields.is_null("deputy") else fields.said("deputy"),
        status=fields.choice("status", "active", "suspended"),
        policies=_policies(fields),
        accounts=_all(fields, "accounts", _account),
        groups=_all(fields, "account_groups", _group),
        roles=_all(fields, "roles", _role),
        teams=_all(fields, "teams", _team),
        domains=_all(fields, "domains", _domain),
        is_absent=is_absent(fields),
    )
    fields.not_yet("connections", "directories")
    fields.done()
    return wanted


def is_absent(fields: Fields) -> bool:
    """Whether the object is to be removed: `state: absent`."""
    return fields.choice("state", "present", "absent") == "absent"


def _all(fields: Fields, name: str, read_one: Callable[[Fields], Item]) -> tuple[Item, ...]:
    return tuple(read_one(one) for one in fields.each(name))


def _policies(fields: Fields) -> WantedPolicies | None:
    inner = fields.inside("policies")
    if inner is None:
        return None
    said = {name: _policy(inner, name) for name in policies.NAMES if inner.says(name)}
    inner.done()
    return WantedPolicies(inner.place, said)


def _policy(fields: Fields, name: str) -> str | int | tuple[str, ...] | None:
    """A setting of the type that its default has."""
    default = getattr(_DEFAULTS, name)
    if isinstance(default, bool):
        return fields.flag(name)
    if isinstance(default, int):
        return fields.whole(name)
    if isinstance(default, tuple):
        words = {word.text for word in fields.names(name) or ()}
        return tuple(sorted(words, key=lambda word: policies.METHODS.index(word) if word in policies.METHODS else 99))
    return fields.text(name)


_DEFAULTS = policies.PolicySettings()


def _account(fields: Fields) -> WantedAccount:
    wanted = WantedAccount(
        place=fields.place,
        id=fields.text("id") or "",
        key=fields.need("key"),
        name=fields.text("name"),
        country=fields.text("country"),
        livemode=fields.flag("livemode"),
        status=fields.choice("status", "active", "suspended"),
        is_absent=is_absent(fields),
    )
    fields.done()
    return wanted


def _group(fields: Fields) -> WantedGroup:
    wanted = WantedGroup(
        place=fields.place,
        id=fields.text("id") or "",
        key=fields.need("key"),
        name=fields.text("name"),
        accounts=fields.names("accounts"),
        is_absent=is_absent(fields),
    )
    fields.done()
    return wanted


def _team(fields: Fields) -> WantedTeam:
    wanted = WantedTeam(
        place=fields.place,
        id=fields.text("id") or "",
        key=fields.need("key"),
        name=fields.text("name"),
        members=fields.names("members"),
        holdings=parse_holdings.read(fields),
        is_absent=is_absent(fields),
    )
    fields.done()
    return wanted


def _domain(fields: Fields) -> WantedDomain:
    wanted = WantedDomain(
        place=fields.place,
        id=fields.text("id") or "",
        name=fields.need("name"),
        is_verified=fields.flag("verified"),
        is_absent=is_absent(fields),
    )
    if fields.choice("mode", "off", "optional", "required") not in (None, "off"):
        fields.faults.add(fields.place.of("mode"), "expected off: the others are not available in this release")
    fields.not_yet("connection")
    fields.done()
    return wanted


def _role(fields: Fields) -> WantedRole:
    wanted = WantedRole(
        place=fields.place,
        id=fields.text("id") or "",
        key=fields.need("key"),
        name=fields.text("name"),
        permissions=_permissions(fields),
        levels=_words(fields, "assignable_at", "organization", "account"),
        demands=fields.choice("demands", "none", "aal1", "aal2", "phr"),
        is_sensitive=fields.flag("sensitive"),
        is_absent=is_absent(fields),
    )
    fields.done()
    return wanted


def _words(fields: Fields, name: str, *known: str) -> frozenset[str] | None:
    said = fields.names(name)
    if said is None:
        return None
    for one in said:
        if one.text not in known:
            fields.faults.add(one.place, f"expected one of {', '.join(known)}")
    return frozenset(one.text for one in said)


def _permissions(fields: Fields) -> frozenset[Permitted] | None:
    nodes = fields.nodes("permissions")
    if nodes is None:
        return None
    found: dict[tuple[str, str], Permitted] = {}
    for node, place in nodes:
        one = _permission(node, place, fields)
        if (one.audience, one.name) in found:
            fields.faults.add(place, f"expected once: {one.name!a} stands in this list already")
        found[one.audience, one.name] = one
    return frozenset(found.values())


def _permission(node: Node, place: Place, fields: Fields) -> Permitted:
    """A name, which counts at every API that declares it, or `{name: …, audience: …, modes: [live, sandbox]}`."""
    if type(node) is not Mapping:
        return Permitted(fields.text_of(node, place) or "")
    inner = Fields(node, place, fields.faults)
    modes = _words(inner, "modes", "live", "sandbox")
    one = Permitted(
        inner.need("name"),
        inner.text("audience") or "",
        live=modes is None or "live" in modes,
        sandbox=modes is None or "sandbox" in modes,
    )
    inner.done()
    return one
