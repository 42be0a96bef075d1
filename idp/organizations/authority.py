"""Who may change whose roles.

* What one may grant is the `may_grant` of one's roles at that scope, direct or inherited.
* A privileged custom role, and any role for an API client, is granted only by somebody who holds all of it.
* Whatever reaches people (a team, a group, a role) is checked as a grant to everybody it reaches.
* Nobody gains by an act of their own: see `gains`.

Every question here is asked after `locking.lock`, inside the transaction that acts on the answer.
"""

from collections.abc import Collection, Iterable

from sqlalchemy import or_, select

from idp.audit.trail import Actor
from idp.organizations import permissions
from idp.organizations.effective import Context, HeldPermission, Holder, effective_roles, held_permissions
from idp.organizations.models import BUILT_IN, Role
from idp.organizations.scopes import Scope
from idp.platform import database
from idp.platform.errors import Forbidden
from idp.platform.settings import settings


class MayNot(Forbidden):
    """The permission that the act takes is not held in that context."""

    code = "permission_missing"
    title = "You may not do this here"


class MayNotGrant(Forbidden):
    """The role is beyond what one's own roles may grant at that scope."""

    code = "may_not_grant"
    title = "You may not give this role"
    remedy = "Ask somebody whose role may grant it, for example a super admin."


def is_unlimited(by: Actor) -> bool:
    """The operator at the command line and the house itself answer to nobody's roles (only to invariants).

    Not an operator who impersonates somebody: they may at most what that person may.
    """
    return by.kind in ("operator", "system") and by.on_behalf_of is None


def holder_of(by: Actor) -> Holder:
    """Whose roles decide for `by`: a person's, or an API client's; of anybody else: nobody's."""
    if by.kind == "user":
        return Holder(user_id=by.id)
    return Holder(client_id=by.id) if by.kind == "client" else Holder()


def require(by: Actor, permission: str, context: Context) -> None:
    """Raise `MayNot` unless `by` holds `permission` of the issuer's own audience in `context`, in that mode."""
    if is_unlimited(by):
        return
    holder = holder_of(by)
    livemode = effective_roles(holder, context).livemode
    held = held_permissions(holder, context, audience=settings().issuer)
    if not any(one.name == permission and (one.live if livemode else one.sandbox) for one in held):
        raise MayNot(f"This takes the permission {permission}.")


def require_may_grant(by: Actor, role: Role, scope: Scope, *, to_client: bool = False) -> None:
    """Raise unless `by` may give `role` at `scope` to a member or team, or (`to_client`) to an API client."""
    if is_unlimited(by):
        return
    require(by, "members.write", scope.context)
    if not any(allows(may_grant, role.key) for may_grant in _may_grant(by, scope)):
        raise MayNotGrant(f"Your roles here may not grant {role.key}.")
    allowed = permissions.of_role(role)
    if to_client or (role.owner != BUILT_IN and permissions.is_privileged(allowed)):
        held = held_permissions(holder_of(by), scope.context)
        if permissions.lacking(allowed, held, scope.modes):
            raise MayNotGrant(f"The role {role.key} allows more than you hold here.")


def require_may_grant_each(by: Actor, wanted: Iterable[tuple[Role, Scope, bool]]) -> None:
    """`require_may_grant` for each of `wanted`: role, scope, whether to an API client. What is equal is asked once."""
    if is_unlimited(by):
        return
    for role, scope, to_client in dict.fromkeys(wanted):
        require_may_grant(by, role, scope, to_client=to_client)


def require_holds(by: Actor, needed: Collection[HeldPermission], context: Context) -> None:
    """Raise `MayNotGrant` unless `by` holds everything of `needed` in `context`, in the modes named there."""
    if is_unlimited(by):
        return
    held = held_permissions(holder_of(by), context)
    if lacking := permissions.lacking(needed, held, ("live", "sandbox")):
        raise MayNotGrant(f"You do not hold {sorted(lacking, key=str)[0].name} there.")


def allows(may_grant: str, key: str) -> bool:
    """Whether the expression `may_grant` (`none`, keys, `any`, `-key`) covers the role `key`."""
    words = may_grant.split()
    return f"-{key}" not in words and (key in words or "any" in words)


def _may_grant(by: Actor, scope: Scope) -> list[str]:
    held = effective_roles(holder_of(by), scope.context).held
    rows = select(Role.may_grant).where(
        Role.ended_at.is_(None),
        or_(
            (Role.owner == BUILT_IN) & Role.key.in_([role.key for role in held]),
            Role.id.in_([role.role_id for role in held]),
        ),
    )
    return list(database.session().scalars(rows))
