"""Memberships: people in organizations, and what they are there: invited, active or suspended."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.feed import losses
from idp.organizations import authority, grants, locking, names, ownership, proven_addresses, scopes
from idp.organizations.effective import OWNER_ROLE, Context
from idp.organizations.models import Membership, MembershipStatus, Role, RoleGrant, TeamMember
from idp.organizations.scopes import Scope
from idp.platform import bulk, clock, database, identifiers
from idp.platform.errors import Conflict, Forbidden, NotFound
from idp.users import locks
from idp.users.models import User

STATUSES = ("invited", "active", "suspended")


@dataclass(frozen=True)
class NewMember:
    """Somebody to be taken in. `id` is for operators who bring one along, else empty."""

    user_id: str
    status: str = "active"
    id: str = ""


def add(organization_id: str, wanted: NewMember, *, by: Actor, source: str = "manual") -> Membership:
    """Take one person in; see `add_many`."""
    return find(organization_id, add_many(organization_id, [wanted], by=by, source=source)[wanted.user_id])


def add_many(organization_id: str, wanted: Sequence[NewMember], *, by: Actor, source: str = "manual") -> dict[str, str]:
    """Take people in; membership ids by user id, also of those who were members already (they stay as they are).

    Takes `members.write` on the organization; only the operator can say `active` for somebody else: everybody else
    invites. Raises `NotFound` for a person who does not exist, `Conflict` for an id that is or was in use.
    """
    locking.lock_open(organization_id)
    authority.require(by, "members.write", Context(organization_id))
    if not authority.is_unlimited(by) and any(one.status != "invited" for one in wanted):
        raise Forbidden("Only an invitation can be made: the person accepts it.")
    members = of_users(organization_id, [one.user_id for one in wanted])
    new = [one for one in {one.user_id: one for one in wanted}.values() if one.user_id not in members]
    names.require_new_ids("mem", [one.id for one in new if one.id], Membership)
    return members | take_in(organization_id, new, by=by, source=source)


def take_in(organization_id: str, new: Sequence[NewMember], *, by: Actor, source: str) -> dict[str, str]:
    """Make memberships without asking who may: for rules that have asked. Membership ids by user id.

    Nobody can be deleted meanwhile. Raises `NotFound` for somebody who does not exist any more.
    """
    if missing := {one.user_id for one in new} - locks.hold([one.user_id for one in new]):
        raise NotFound(f"There is no user {min(missing)!r}.")
    instant = clock.now()
    edge: dict[str, str | int] = {"organization_id": organization_id, "started_at": instant}
    ids = {one.user_id: one.id or identifiers.membership() for one in new}
    bulk.insert_many(
        Membership, [edge | {"id": ids[one.user_id], "user_id": one.user_id, "source": source} for one in new]
    )
    bulk.insert_many(
        MembershipStatus,
        [edge | {"id": identifiers.edge(), "member_id": ids[one.user_id], "status": one.status} for one in new],
    )
    for one in new:
        after = {"user_id": one.user_id, "status": one.status}
        trail.record(
            "member.added",
            by=by,
            subject=ids[one.user_id],
            organization=organization_id,
            after=after,
            source=source,
        )
    return ids


def find(organization_id: str, member_id: str) -> Membership:
    """The live membership of this organization. Raises `NotFound`."""
    statement = select(Membership).where(
        Membership.organization_id == organization_id, Membership.id == member_id, Membership.ended_at.is_(None)
    )
    found = database.session().scalars(statement).first()
    if found is None:
        raise NotFound("There is no such member.")
    return found


def of_user(organization_id: str, user_id: str) -> Membership:
    """The live membership of a person here. Raises `NotFound`."""
    found = of_users(organization_id, [user_id])
    if not found:
        raise NotFound("This person is not a member.")
    return find(organization_id, found[user_id])


def of_users(organization_id: str, user_ids: Collection[str]) -> dict[str, str]:
    """The ids of live memberships by user id, for those of `user_ids` who have one here."""
    found: dict[str, str] = {}
    for some in bulk.chunks(sorted(set(user_ids))):
        statement = select(Membership.user_id, Membership.id).where(
            Membership.organization_id == organization_id,
            Membership.user_id.in_(some),
            Membership.ended_at.is_(None),
        )
        found |= dict(list(database.session().execute(statement)))
    return found


def status_of(member: Membership) -> str:
    """`invited`, `active` or `suspended`."""
    return _status(member).status


def everywhere(user_id: str) -> Sequence[Membership]:
    """The memberships of a person, whatever their status."""
    live = select(Membership).where(Membership.user_id == user_id, Membership.ended_at.is_(None))
    return database.session().scalars(live.order_by(Membership.organization_id)).all()


def holdings(member: Membership) -> list[tuple[Role, Scope]]:
    """The roles that the member holds by a grant, through a team or by ownership, and where; also those that do not
    count yet.
    """
    now = clock.now()
    lasting = (one for one in _granted(member) if one.expires_at is None or one.expires_at > now)
    held = [(database.session().get_one(Role, one.role_id), grants.scope_of(one)) for one in lasting]
    if ownership.is_owner(member):
        everything = grants.roles_of(member.organization_id, [OWNER_ROLE])[OWNER_ROLE]
        held.append((everything, scopes.of_organization(member.organization_id)))
    return held


def accept(organization_id: str, *, by: Actor) -> Membership:
    """The invited person joins. Only they themselves can; accepting twice changes nothing."""
    locking.lock_open(organization_id)
    if by.kind != "user":
        raise Forbidden("Only the invited person can accept.")
    member = of_user(organization_id, by.id)
    if status_of(member) == "suspended":
        raise Conflict("The membership is suspended.")
    _become(member, "active", "member.activated", by=by)
    return member


def suspend(organization_id: str, member_id: str, *, by: Actor) -> None:
    """Let a membership rest: nothing counts meanwhile, and what hung on it ends for good, but the grants.

    Takes `members.write` on the organization. Raises `ownership.OwnerStays` for the owner, and
    `proven_addresses.NoOtherAddress` as `remove`.
    """
    locking.lock(organization_id)
    authority.require(by, "members.write", Context(organization_id))
    member = find(organization_id, member_id)
    ownership.require_not_owner(member)
    if _is_own(member, by):
        locks.lock(member.user_id)
        proven_addresses.require_others(member.user_id, organization_id)
    put_to_rest(member, by=by)


def put_to_rest(member: Membership, *, by: Actor) -> None:
    """Suspend without asking who may: for rules that have asked."""
    if _become(member, "suspended", "member.suspended", by=by):
        losses.record("membership", sub=member.user_id, org_id=member.organization_id)


def reactivate(organization_id: str, member_id: str, *, by: Actor) -> None:
    """End a suspension: the grants count again, so `by` must be able to give each of them.

    Takes `members.write` on the organization. Nobody but the operator makes somebody active who never accepted: they
    are invited again.
    """
    locking.lock_open(organization_id)
    authority.require(by, "members.write", Context(organization_id))
    member = find(organization_id, member_id)
    before = status_of(member)
    if before == "invited" and not authority.is_unlimited(by):
        raise Conflict("The person has not accepted yet.")
    if before != "active":
        _require_may_revive(member, by)
        status = "active" if authority.is_unlimited(by) or _was_active(member) else "invited"
        _become(member, status, "member.reactivated", by=by)


def remove(organization_id: str, member_id: str, *, by: Actor) -> None:
    """End a membership with its team places and grants. Takes `members.write` there, or being that person.

    Raises `ownership.OwnerStays` for the owner, and `proven_addresses.NoOtherAddress` for whoever leaves and has no
    other address by which they recover their password.
    """
    locking.lock(organization_id)
    member = find(organization_id, member_id)
    if _is_own(member, by):
        locks.lock(member.user_id)
        proven_addresses.require_others(member.user_id, organization_id)
    else:
        authority.require(by, "members.write", Context(organization_id))
    ownership.require_not_owner(member)
    take_out(member, by=by)


def _is_own(member: Membership, by: Actor) -> bool:
    return by.kind == "user" and by.id == member.user_id


def lock_homes(user_id: str) -> None:
    """A step of `lifecycle.locks_before_deleting`: take the turn of every organization that the person is in."""
    locking.lock(*(one.organization_id for one in everywhere(user_id)))


def leave_everywhere(user: User, by: Actor) -> None:
    """A step of `lifecycle.before_deleting`: end every membership of a person who is being deleted.

    Raises `Conflict` when the person joined another organization since `lock_homes`.
    """
    live = everywhere(user.id)
    if not locking.holds(*(one.organization_id for one in live)):
        raise Conflict("The person has just joined an organization: try again.")
    for member in live:
        take_out(member, by=by)


def take_out(member: Membership, *, by: Actor) -> None:
    """End a membership without asking who may: for rules that have asked."""
    ownership.end_deputy(member, by=by)
    grants.end_all(grants.of_grantee(member.organization_id, member.id), by=by, silent=True)
    for place in database.session().scalars(
        select(TeamMember).where(TeamMember.member_id == member.id, TeamMember.ended_at.is_(None))
    ):
        place.end()
    _status(member).end()
    member.end()
    losses.record("membership", sub=member.user_id, org_id=member.organization_id)
    trail.record(
        "member.removed",
        by=by,
        subject=member.id,
        organization=member.organization_id,
        before={"user_id": member.user_id},
    )


def _status(member: Membership) -> MembershipStatus:
    statement = select(MembershipStatus).where(
        MembershipStatus.member_id == member.id, MembershipStatus.ended_at.is_(None)
    )
    return database.session().scalars(statement).one()


def _become(member: Membership, status: str, event: str, *, by: Actor) -> bool:
    before = _status(member)
    if before.status == status:
        return False
    before.end()
    database.session().flush()
    database.session().add(
        MembershipStatus(
            organization_id=member.organization_id, member_id=member.id, status=status, started_at=before.ended_at
        )
    )
    trail.record(
        event,
        by=by,
        subject=member.id,
        organization=member.organization_id,
        before={"status": before.status},
        after={"status": status},
    )
    return True


def _was_active(member: Membership) -> bool:
    statement = select(MembershipStatus.id).where(
        MembershipStatus.member_id == member.id, MembershipStatus.status == "active"
    )
    return database.session().execute(statement).first() is not None


def _granted(member: Membership) -> Iterator[RoleGrant]:
    teams = database.session().scalars(
        select(TeamMember.team_id).where(TeamMember.member_id == member.id, TeamMember.ended_at.is_(None))
    )
    for grantee in (member.id, *teams):
        yield from grants.of_grantee(member.organization_id, grantee)


def _require_may_revive(member: Membership, by: Actor) -> None:
    for one in _granted(member):
        role = database.session().get_one(Role, one.role_id)
        authority.require_may_grant(by, role, grants.scope_of(one))
