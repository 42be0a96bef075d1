"""The difference for the roles that somebody is to hold.

A list that is named is complete for what `apply` granted itself: the rest of that ends. What others granted stays,
and is not granted again where it reaches as far.
"""

from collections.abc import Sequence

from idp.cli.apply import steps
from idp.cli.apply.drawing import Drawing
from idp.cli.apply.outlook import OrganizationOutlook, Outlook
from idp.cli.apply.present import Grant
from idp.cli.apply.steps import Ref
from idp.cli.apply.wanted import Holding, Holdings
from idp.platform import clock

SOURCE = "apply"
"""What grants and memberships that `apply` made carry as their source."""

_LEVELS = {"organization": "organization", "group": "account", "account": "account"}
"""Where a role must be assignable to be held at a level."""


def draw(
    one: OrganizationOutlook, grantee: Ref, holdings: Holdings, outlook: Outlook, drawing: Drawing, *, id: str = ""
) -> None:
    """What is to be granted and ended so that `grantee` holds `holdings` in the organization.

    `id`: what present grants call the grantee, where it is not the reference's.
    """
    if not holdings.levels:
        return
    present = one.grants.get(id or grantee.id, []) if id or grantee.id else []
    kept: set[tuple[str, str]] = set()
    for holding in holdings.items:
        scope, role, until = _scope(one, holding), holding.role.text, holding.until
        if scope is None:
            continue
        if until is not None and until <= outlook.present.at:
            drawing.note(holding.role.place, "not granted: it has expired")
            continue
        scope_id = one.scope_ids.get(scope, "")
        kept.add((scope_id, role))
        same = [grant for grant in present if (grant.scope, grant.role) == (scope_id, role)]
        if not _is_held(until, same) and _is_role(one, holding, outlook, drawing):
            drawing.add(steps.GrantRole(holding.role.place, grantee, one.ref, role, scope, until))
    rest = [grant for grant in present if (grant.scope, grant.role) not in kept]
    _end_the_rest(one, grantee, holdings, rest, drawing)


def _is_held(until: int | None, same: Sequence[Grant]) -> bool:
    """Whether the grants of one role at one scope say `until` already: others reach as far, and ours no farther."""
    own = [grant for grant in same if grant.source == SOURCE]
    if any(_end(grant.until) > _end(until) or not grant.counts for grant in own):
        return False
    reach = max((_end(grant.until) for grant in same if grant.counts), default=-1)
    return reach >= _end(until)


def _end(until: int | None) -> int:
    return clock.FOREVER if until is None else until


def _end_the_rest(
    one: OrganizationOutlook, grantee: Ref, holdings: Holdings, rest: Sequence[Grant], drawing: Drawing
) -> None:
    for grant in sorted(rest, key=lambda grant: (grant.role, grant.scope)):
        scope = one.scopes.get(grant.scope)
        if grant.source != SOURCE or not grant.counts or scope is None or scope.kind not in holdings.levels:
            continue
        if scope in one.accounts.leaving | one.groups.leaving:
            continue
        drawing.add(steps.EndGrant(holdings.levels[scope.kind], grantee, one.ref, grant.role, scope, grant.id))


def _scope(one: OrganizationOutlook, holding: Holding) -> Ref | None:
    if holding.scope is None:
        return one.ref
    return (one.groups if holding.level == "group" else one.accounts).find(holding.scope)


def _is_role(one: OrganizationOutlook, holding: Holding, outlook: Outlook, drawing: Drawing) -> bool:
    """Whether the role can be given there; a fault if not."""
    key, place = holding.role.text, holding.role.place
    levels = one.role_levels.get(key)
    if levels is None and key in outlook.present.built_in:
        levels = outlook.present.built_in[key].levels
    if levels is None:
        drawing.faults.add(place, f"expected a role of this organization, or a built-in one, not {key[:80]!a}")
    elif _LEVELS[holding.level] not in levels:
        drawing.faults.add(place, f"expected a role that can be given on an {_LEVELS[holding.level]}: {key} cannot")
    return levels is not None and _LEVELS[holding.level] in levels
