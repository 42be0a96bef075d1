"""`clients`, `apis` and `signing_keys` of the file."""

from idp.cli.apply import parse_holdings
from idp.cli.apply.document import Mapping, Scalar
from idp.cli.apply.fields import Fields, json
from idp.cli.apply.parse_organizations import is_absent
from idp.cli.apply.wanted import (
    STORED,
    HeldIn,
    Said,
    WantedApi,
    WantedClient,
    WantedContext,
    WantedKey,
)
from idp.clients.apis import AS_ISSUER, ScopeSettings
from idp.clients.clients import FIXED, KINDS
from idp.keys import material
from idp.keys.material import KeyPair
from idp.platform.errors import Invalid


def read(fields: Fields) -> WantedClient:
    """One client: a relying party or a machine."""
    holdings, owner = parse_holdings.read(fields), fields.said("organization")
    if holdings.levels and owner is None:
        fields.faults.add(fields.place, "expected organization: whose roles, groups and accounts are meant")
    for_all, enabled_for = _enabled_for(fields)
    return WantedClient(
        place=fields.place,
        id=fields.need("client_id"),
        owner=owner,
        secret=fields.secret("client_secret"),
        context=_context(fields),
        for_all=for_all,
        enabled_for=enabled_for,
        switched_off=fields.names("switched_off"),
        first_party=fields.flag("first_party"),
        status=fields.choice("status", "active", "disabled"),
        holdings=holdings,
        held_in=tuple(_held_in(one) for one in fields.each("roles_in")),
        is_absent=is_absent(fields),
        metadata={name.text: json(node, place, fields.faults) for name, node, place in fields.entries()},
    )


def read_api(fields: Fields) -> WantedApi:
    """One API."""
    wanted = WantedApi(
        place=fields.place,
        id=fields.text("id") or "",
        audience=fields.need("audience"),
        name=fields.text("name"),
        scopes=_scopes(fields),
        permissions=_permissions(fields),
        is_absent=is_absent(fields),
    )
    fields.done()
    return wanted


def read_key(fields: Fields) -> WantedKey:
    """One signing key."""
    kid, absent = fields.need("kid"), is_absent(fields)
    purpose, alg = fields.text("purpose"), fields.text("alg")
    pair = None if absent else _pair(fields, kid, purpose or "", alg or "")
    fields.done()
    return WantedKey(fields.place, kid, pair, absent)


def _pair(fields: Fields, kid: str, purpose: str, alg: str) -> KeyPair | None:
    """The key, or `None` for the marker."""
    value = fields.json("private_key")
    if value == STORED:
        return None
    try:
        if not isinstance(value, str | dict):
            raise Invalid("expected PEM or a private JWK", field="private_key")
        return material.given(kid, purpose, alg, value)
    except Invalid as refusal:
        fields.faults.refused(fields.place, refusal)
        return None


def _enabled_for(fields: Fields) -> tuple[bool, tuple[Said, ...] | None]:
    """`all`, or a list of organizations."""
    if type(fields.node("enabled_for")) is Scalar:
        return fields.choice("enabled_for", "all") == "all", ()
    return False, fields.names("enabled_for")


def _context(fields: Fields) -> WantedContext | None:
    """A word, or `{organization: …, account: …}`."""
    if type(fields.node("context")) is Mapping and (inner := fields.inside("context")):
        organization = Said(inner.need("organization"), inner.place.of("organization"))
        context = WantedContext(FIXED, organization, inner.said("account"))
        inner.done()
        return context
    kind = fields.choice("context", *(kind for kind in KINDS if kind != FIXED))
    return None if kind is None else WantedContext(kind)


def _held_in(fields: Fields) -> HeldIn:
    organization = Said(fields.need("organization"), fields.place.of("organization"))
    held = HeldIn(organization, parse_holdings.read(fields))
    fields.done()
    return held


def _scopes(fields: Fields) -> tuple[ScopeSettings, ...] | None:
    if not fields.says("scopes"):
        return None
    found: dict[str, ScopeSettings] = {}
    for inner in fields.each("scopes"):
        name = inner.need("name")
        if name in found:
            fields.faults.add(inner.place.of("name"), f"expected once: {name!a} stands in this list already")
        found[name] = ScopeSettings(name, inner.text("description") or "")
        inner.done()
    return tuple(found[name] for name in sorted(found))


def _permissions(fields: Fields) -> dict[str, tuple[str, ...] | None] | None:
    """Names, each with the roles that hold it; or a list of names, held by whom the issuer's own declaration names."""
    if type(fields.node("permissions")) is Mapping and (inner := fields.inside("permissions")):
        return {name.text: _roles(inner, name.text) for name, _, _ in inner.entries()}
    names = fields.names("permissions")
    return None if names is None else dict.fromkeys((name.text for name in names), AS_ISSUER)


def _roles(fields: Fields, name: str) -> tuple[str, ...] | None:
    roles = fields.names(name)
    return AS_ISSUER if roles is None else tuple(sorted(role.text for role in roles))
