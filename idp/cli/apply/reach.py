"""Who gains or loses which role where by a plan, by name: teams and groups are followed to the people they reach."""

from collections.abc import Iterator
from dataclasses import dataclass

from idp.cli.apply import standing, steps
from idp.cli.apply.outlook import OrganizationOutlook
from idp.cli.apply.plan import Plan
from idp.cli.apply.standing import Holds, Standing
from idp.cli.apply.steps import Inside, Ref


@dataclass(frozen=True, order=True, slots=True)
class Effect:
    """Somebody (`who`: a username or a client's id) `gains` or `loses` a role at scopes, by their names."""

    who: str
    does: str
    role: str
    where: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoleEffect:
    """A custom role allows more or less: permissions that come and go, and who holds the role then."""

    role: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    holders: tuple[str, ...]


def of(plan: Plan) -> tuple[list[Effect], list[RoleEffect]]:
    """Who gains or loses which role where, in order; and whom changes of custom roles reach."""
    effects: list[Effect] = []
    of_roles: list[RoleEffect] = []
    for one in plan.outlook.organizations:
        if not _touches(plan, one):
            continue
        before = standing.present(one, plan.outlook)
        after = before.copy()
        standing.follow(after, one, plan.steps)
        held = after.holds()
        effects += _effects(before, after, before.holds(), held)
        of_roles += _of_roles(plan, one, held)
    return sorted(effects), of_roles


def _touches(plan: Plan, one: OrganizationOutlook) -> bool:
    """Whether any step can change who holds what here."""
    return any(
        step.organization == one.ref
        if isinstance(step, Inside)
        else step.subject == one.ref or step.subject in one.members or step.subject.kind == "client"
        for step in plan.steps
    )


def _effects(before: Standing, after: Standing, held: Holds, holds: Holds) -> Iterator[Effect]:
    for who in held.keys() | holds.keys():
        roles_before, roles_after = held.get(who, {}), holds.get(who, {})
        for role in roles_before.keys() | roles_after.keys():
            was, becomes = roles_before.get(role, frozenset()), roles_after.get(role, frozenset())
            for does, where in (
                ("gains", _more(before, after, was, becomes)),
                ("loses", _more(after, before, becomes, was)),
            ):
                if where:
                    yield Effect(who.name, does, role, tuple(sorted(ref.name for ref in where)))


def _more(before: Standing, after: Standing, was: frozenset[Ref], becomes: frozenset[Ref]) -> set[Ref]:
    """Where a role is held at `becomes` that was not held at `was`: the organization reaches all, a group its accounts.

    With the two sides exchanged: where it is lost.
    """
    if before.organization in was:
        return set()
    if before.organization in becomes:
        return {before.organization}
    groups = {scope for scope in becomes if scope.kind == "group"}
    more = groups - was
    accounts = becomes - groups
    for group in groups & was:
        accounts |= after.inside(group) - before.inside(group)
    covered = [before.inside(scope) for scope in was if scope.kind == "group"] if accounts else []
    return more | {
        account for account in accounts if account not in was and not any(account in inside for inside in covered)
    }


def _of_roles(plan: Plan, one: OrganizationOutlook, holds: Holds) -> Iterator[RoleEffect]:
    before = {pair.ref: pair.before.settings for pair in one.roles.pairs if pair.before is not None}
    for step in plan.steps:
        was = before.get(step.subject)
        if not isinstance(step, steps.ChangeRole) or step.organization != one.ref or was is None:
            continue
        gained, lost = step.wanted.permissions - was.permissions, was.permissions - step.wanted.permissions
        if gained or lost:
            holders = sorted(who.name for who, roles in holds.items() if step.wanted.key in roles)
            yield RoleEffect(
                step.subject.name,
                tuple(sorted(one.name for one in gained)),
                tuple(sorted(one.name for one in lost)),
                tuple(holders),
            )
