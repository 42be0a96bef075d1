"""Who may help somebody back in who cannot prove themselves any more, and who has to be warned before it happens."""

from idp.audit.trail import Actor
from idp.organizations import authority, grants, memberships, permissions
from idp.organizations.effective import Context
from idp.platform import clock
from idp.platform.errors import Conflict, Forbidden, NotFound
from idp.users import operators


class NotOneself(Forbidden):
    """Nobody takes their own second factors off without giving one."""

    code = "not_oneself"
    title = "Nobody can do this for themselves"
    remedy = "Ask another administrator."


class BelongsElsewhere(Conflict):
    """What somebody proves themselves with is no business of one organization alone, if they are in several."""

    code = "belongs_elsewhere"
    title = "This person belongs to another organization, too"
    remedy = "Ask the operator of this installation."


def require_may(user_id: str, *, by: Actor) -> None:
    """Raise unless `by` may help that person: the operator; or who manages the members of the one organization that
    the person is active in, and may grant everything that the person holds there. Nobody oneself.

    Takes the turn of that organization; inside `database.writing()`, before any person is locked. Raises `NotFound`,
    `NotOneself`, `BelongsElsewhere` and what `authority` raises.
    """
    if authority.is_unlimited(by):
        return
    if by.kind != "user" or by.id == user_id:
        raise NotOneself
    memberships.lock_homes(user_id)
    lasting = [one for one in memberships.everywhere(user_id) if memberships.status_of(one) != "invited"]
    home = next((one for one in lasting if _manages(by, one.organization_id)), None)
    if home is None or memberships.status_of(home) != "active":
        raise NotFound("There is no such member.")
    if len(lasting) > 1 or operators.role_of(user_id):
        raise BelongsElsewhere
    for role, scope in memberships.holdings(home):
        authority.require_may_grant(by, role, scope)


def is_privileged(user_id: str, *, since: int = clock.FOREVER) -> bool:
    """Whether the person may give or remove access anywhere, or runs the installation.

    Also whether they could by a grant that ended after `since`: who may take a role from somebody and give it back must
    not get around what is due to those who hold it.
    """
    held = [role for one in memberships.everywhere(user_id) for role, _ in memberships.holdings(one)]
    roles = {role.id: role for role in (*held, *grants.roles_lost(user_id, since))}
    return operators.role_of(user_id) is not None or any(
        permissions.is_privileged(permissions.of_role(role, since=since)) for role in roles.values()
    )


def _manages(by: Actor, organization_id: str) -> bool:
    try:
        authority.require(by, "members.write", Context(organization_id))
    except authority.MayNot:
        return False
    return True
