"""The owner of an organization, and the deputy who would follow. An owner always remains.

Ownership is not a grant: nothing ends it but transfer by the owner (or the operator), or succession.
"""

from sqlalchemy import or_, select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.feed import losses
from idp.organizations import authority, locking
from idp.organizations.conditions import counts, is_active, is_open, user_enabled
from idp.organizations.effective import OWNER_ROLE, Context, Holder, effective_roles
from idp.organizations.models import Deputy, Membership, Organization, Ownership, RoleGrant, TeamMember
from idp.platform import clock, database
from idp.platform.errors import Conflict, Forbidden, NotFound
from idp.users.models import User


class OwnerStays(Conflict):
    """The act would leave an organization without its owner."""

    code = "owner_stays"
    title = "The owner of an organization cannot be removed, suspended or disabled"
    remedy = "Transfer the ownership first."


class OwnerOnly(Forbidden):
    """Only the owner (or the operator) decides this."""

    code = "owner_only"
    title = "Only the owner of the organization can do this"
    remedy = "Ask the owner."


class NotUsable(Conflict):
    """Who should own or follow must be able to: an active member, not disabled (a deputy: a super admin)."""

    code = "not_usable"
    title = "This person cannot take that place"
    remedy = "Name an active member (as deputy: a super admin other than the owner)."


def owner_of(organization_id: str) -> Ownership:
    """Who owns the organization now. Raises `NotFound` when there is no such organization."""
    statement = select(Ownership).where(Ownership.organization_id == organization_id, Ownership.ended_at.is_(None))
    found = database.session().scalars(statement).first()
    if found is None:
        raise NotFound("There is no such organization.")
    return found


def deputy_of(organization_id: str) -> Deputy | None:
    """Who follows the owner, or `None` where nobody was named."""
    statement = select(Deputy).where(Deputy.organization_id == organization_id, Deputy.ended_at.is_(None))
    return database.session().scalars(statement).first()


def is_owner(member: Membership) -> bool:
    """Whether this membership owns its organization."""
    return owner_of(member.organization_id).member_id == member.id


def require_not_owner(member: Membership) -> None:
    """Raise `OwnerStays` when `member` owns the organization. Asked under the organization's lock."""
    if is_owner(member):
        raise OwnerStays


def require_owns_nothing(user: User, _: Actor) -> None:
    """A step of `lifecycle.before_disabling`: raise `OwnerStays`, naming no organization, when the person owns one.

    One that was closed needs no owner: nobody could pass it on.
    """
    owns = (
        select(Ownership.id)
        .join(Membership, Membership.id == Ownership.member_id)
        .join(Organization, Organization.id == Ownership.organization_id)
        .where(Membership.user_id == user.id, Ownership.ended_at.is_(None), Organization.closed_at.is_(None))
    )
    if database.session().execute(owns).first():
        raise OwnerStays


def begin(organization_id: str, member_id: str) -> None:
    """Let the member be the first owner of a new organization. Raises `NotUsable` when they could not act."""
    member = _usable(organization_id, member_id)
    database.session().add(Ownership(organization_id=organization_id, member_id=member.id))


def transfer(organization_id: str, to_member_id: str, *, by: Actor) -> None:
    """Make another active member the owner. By the owner, or the operator; asking twice changes nothing.

    Whoever was owner keeps their membership and grants, and holds `super_admin` only if granted.
    """
    locking.lock_open(organization_id)
    owner = owner_of(organization_id)
    _require_owner(owner, by)
    if owner.member_id != to_member_id:
        pass_on(owner, _usable(organization_id, to_member_id), by=by, event="organization.owner.changed")


def name_deputy(organization_id: str, member_id: str | None, *, by: Actor) -> None:
    """Name the deputy, another super admin, or none. By the owner, or the operator."""
    locking.lock_open(organization_id)
    owner, before = owner_of(organization_id), deputy_of(organization_id)
    _require_owner(owner, by)
    if member_id == (before.member_id if before else None):
        return
    if member_id is not None:
        member = _usable(organization_id, member_id)
        if member.id == owner.member_id or not is_super_admin(member):
            raise NotUsable
    _set_deputy(organization_id, before, member_id)
    trail.record(
        "organization.deputy.named",
        by=by,
        subject=organization_id,
        organization=organization_id,
        before=before.member_id if before else None,
        after=member_id,
    )


def usable_deputy(organization_id: str) -> Membership:
    """The deputy, if able to own: active, not disabled, a super admin. Raises `NotUsable`."""
    deputy = deputy_of(organization_id)
    if deputy is None:
        raise NotUsable("No deputy is named.")
    member = _usable(organization_id, deputy.member_id)
    if not is_super_admin(member):
        raise NotUsable
    return member


def pass_on(owner: Ownership, to: Membership, *, by: Actor, event: str) -> None:
    """End one ownership and begin the next, in this transaction; a deputy who becomes owner is deputy no more."""
    before = database.session().get_one(Membership, owner.member_id)
    owner.end()
    database.session().flush()
    database.session().add(Ownership(organization_id=to.organization_id, member_id=to.id))
    deputy = deputy_of(to.organization_id)
    if deputy is not None and deputy.member_id == to.id:
        _set_deputy(to.organization_id, deputy, None)
    losses.record("grant", sub=before.user_id, org_id=to.organization_id)
    trail.record(
        event, by=by, subject=to.organization_id, organization=to.organization_id, before=before.id, after=to.id
    )


def end_deputy(member: Membership, *, by: Actor) -> None:
    """Forget that `member` is deputy, if so: they can follow no more."""
    deputy, organization_id = deputy_of(member.organization_id), member.organization_id
    if deputy is not None and deputy.member_id == member.id:
        deputy.end()
        event = "organization.deputy.removed"
        trail.record(event, by=by, subject=organization_id, organization=organization_id, before=member.id)


def super_admins(organization_id: str) -> list[str]:
    """The ids of the people who are super admins on the organization now: its owner, and by grants to them or to a
    team of theirs.
    """
    granted = select(RoleGrant.grantee).where(
        RoleGrant.organization_id == organization_id,
        RoleGrant.scope == organization_id,
        RoleGrant.role_key == OWNER_ROLE,
        is_open(RoleGrant),
        counts(RoleGrant),
    )
    in_teams = select(TeamMember.member_id).where(TeamMember.team_id.in_(granted), is_open(TeamMember))
    owning = select(Ownership.member_id).where(Ownership.organization_id == organization_id, is_open(Ownership))
    holding = or_(Membership.id.in_(granted), Membership.id.in_(in_teams), Membership.id.in_(owning))
    active = select(Membership.user_id).where(
        Membership.organization_id == organization_id,
        is_open(Membership),
        is_active(Membership.id),
        user_enabled(Membership.user_id),
        holding,
    )
    values = {"at": clock.FOREVER, "clock": clock.now(), "spare": 0}
    return list(database.session().scalars(active.order_by(Membership.user_id), values))


def is_super_admin(member: Membership) -> bool:
    """Whether the member holds `super_admin` on the organization now."""
    held = effective_roles(Holder(user_id=member.user_id), Context(member.organization_id))
    return OWNER_ROLE in held.organization_roles


def _set_deputy(organization_id: str, before: Deputy | None, member_id: str | None) -> None:
    if before is not None:
        before.end()
        database.session().flush()
    if member_id is not None:
        database.session().add(Deputy(organization_id=organization_id, member_id=member_id))


def _require_owner(owner: Ownership, by: Actor) -> None:
    if authority.is_unlimited(by):
        return
    member = database.session().get_one(Membership, owner.member_id)
    if by.kind != "user" or by.id != member.user_id:
        raise OwnerOnly


def _usable(organization_id: str, member_id: str) -> Membership:
    """The member, able to act here; the person's row is locked, so that nobody disables them meanwhile."""
    session = database.session()
    statement = select(Membership).where(Membership.organization_id == organization_id, Membership.id == member_id)
    member = session.scalars(statement).first()
    if member is None:
        raise NotFound("There is no such member.")
    session.execute(select(User.id).where(User.id == member.user_id).with_for_update(key_share=True))
    if effective_roles(Holder(user_id=member.user_id), Context(organization_id)).member_id != member.id:
        raise NotUsable
    return member
