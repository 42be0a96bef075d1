"""`roles`, `group_roles` and `account_roles`: the roles of a member, a team or a machine client."""

from collections.abc import Iterator

from idp.cli.apply.document import Mapping, Node
from idp.cli.apply.fields import Fields
from idp.cli.apply.places import Place
from idp.cli.apply.wanted import NO_HOLDINGS, Holding, Holdings, Said

FIELDS = {"roles": "organization", "group_roles": "group", "account_roles": "account"}


def read(fields: Fields) -> Holdings:
    """What the three fields say; those that are missing say nothing."""
    levels = {level: fields.place.of(name) for name, level in FIELDS.items() if fields.says(name)}
    if not levels:
        return NO_HOLDINGS
    items: list[Holding] = []
    items += _listed(fields, "roles", "organization", None)
    for name in ("group_roles", "account_roles"):
        scopes = fields.inside(name)
        for scope, _, _ in scopes.entries() if scopes else ():
            items += _listed(scopes, scope.text, FIELDS[name], scope)
    return Holdings(levels, tuple(items))


def _listed(fields: Fields | None, name: str, level: str, scope: Said | None) -> Iterator[Holding]:
    if fields is None:
        return
    seen: set[str] = set()
    for node, place in fields.nodes(name) or ():
        holding = _holding(node, place, fields, level, scope)
        if holding is None:
            continue
        if holding.role.text in seen:
            fields.faults.add(place, f"expected once: {holding.role.text!a} stands in this list already")
        seen.add(holding.role.text)
        yield holding


def _holding(node: Node, place: Place, fields: Fields, level: str, scope: Said | None) -> Holding | None:
    """A role key, or `{role: key, expires_at: time}`."""
    if type(node) is not Mapping:
        role = fields.text_of(node, place)
        return Holding(level, scope, Said(role, place), None) if role else None
    inner = Fields(node, place, fields.faults)
    holding = Holding(level, scope, Said(inner.need("role"), inner.place.of("role")), inner.instant("expires_at"))
    inner.done()
    return holding
