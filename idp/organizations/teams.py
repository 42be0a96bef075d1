"""Teams: named sets of members. A role granted to a team reaches whoever is in it, so adding somebody is a grant."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.feed import losses
from idp.organizations import authority, gains, grants, locking, names
from idp.organizations.effective import Context
from idp.organizations.models import Membership, Role, Team, TeamMember
from idp.platform import bulk, clock, database, identifiers
from idp.platform.errors import Conflict, NotFound


@dataclass(frozen=True)
class TeamSettings:
    """What a team is called: `key` among programs, `name` among people."""

    key: str
    name: str


def create(organization_id: str, wanted: TeamSettings, *, by: Actor, id: str = "") -> Team:
    """Make a team without members. Takes `members.write` on the organization."""
    locking.lock_open(organization_id)
    authority.require(by, "members.write", Context(organization_id))
    _require_free(organization_id, names.key(wanted.key, "team"))
    team = Team(
        id=names.given_id("team", id, Team),
        organization_id=organization_id,
        key=wanted.key,
        name=names.shown(wanted.name),
    )
    database.session().add(team)
    database.session().flush()
    trail.record("team.created", by=by, subject=team.id, organization=organization_id, after=wanted)
    return team


def reconfigure(organization_id: str, team_id: str, wanted: TeamSettings, *, by: Actor) -> bool:
    """Rename a team; whether that changed anything. Takes `members.write` on the organization."""
    locking.lock_open(organization_id)
    authority.require(by, "members.write", Context(organization_id))
    team = find(organization_id, team_id)
    before = TeamSettings(team.key, team.name)
    if before == wanted:
        return False
    if wanted.key != before.key:
        _require_free(organization_id, names.key(wanted.key, "team"))
    team.key, team.name = wanted.key, names.shown(wanted.name)
    trail.record("team.changed", by=by, subject=team.id, organization=organization_id, before=before, after=wanted)
    return True


def delete(organization_id: str, team_id: str, *, by: Actor) -> None:
    """End a team, its members' places and its grants. Takes `members.write` on the organization."""
    locking.lock(organization_id)
    authority.require(by, "members.write", Context(organization_id))
    team = find(organization_id, team_id)
    grants.end_all(grants.of_grantee(organization_id, team.id), by=by)
    for place in _places(team):
        place.end()
    team.end()
    trail.record("team.deleted", by=by, subject=team.id, organization=organization_id, before=team.key)


def add(organization_id: str, team_id: str, member_ids: Collection[str], *, by: Actor) -> int:
    """Put members into a team; how many were not in it yet.

    `by` must be able to give every role of the team, and gains nothing by it.
    """
    locking.lock_open(organization_id)
    authority.require(by, "members.write", Context(organization_id))
    team = find(organization_id, team_id)
    new = sorted(set(member_ids) - {place.member_id for place in _places(team)})
    _require_members(organization_id, new)
    if not new:
        return 0
    for one in grants.of_grantee(organization_id, team.id):
        role = database.session().get_one(Role, one.role_id)
        authority.require_may_grant(by, role, grants.scope_of(one))
    with gains.refused(by, organization_id):
        _put_in(team, new)
    for member_id in new:
        trail.record("team.member.added", by=by, subject=member_id, organization=organization_id, after=team.id)
    return len(new)


def remove(organization_id: str, team_id: str, member_id: str, *, by: Actor) -> None:
    """Take one member out of a team; see `remove_many`."""
    remove_many(organization_id, team_id, [member_id], by=by)


def remove_many(organization_id: str, team_id: str, member_ids: Collection[str], *, by: Actor) -> None:
    """Take members out of a team; those who are not in it do not matter. Takes `members.write`."""
    locking.lock(organization_id)
    authority.require(by, "members.write", Context(organization_id))
    team = find(organization_id, team_id)
    leaving = set(member_ids)
    for place in _places(team):
        if place.member_id in leaving:
            place.end()
            member = database.session().get_one(Membership, place.member_id)
            losses.record("grant", sub=member.user_id, org_id=organization_id)
            trail.record("team.member.removed", by=by, subject=member.id, organization=organization_id, before=team.id)


def find(organization_id: str, name: str) -> Team:
    """The live team of this organization with that id or key. Raises `NotFound`."""
    statement = select(Team).where(
        Team.organization_id == organization_id, (Team.id == name) | (Team.key == name), Team.ended_at.is_(None)
    )
    found = database.session().scalars(statement).first()
    if found is None:
        raise NotFound(f"There is no team {name!r} in this organization.")
    return found


def members_of(team: Team) -> list[str]:
    """The ids of the members who are in the team now."""
    return [place.member_id for place in _places(team)]


def _places(team: Team) -> list[TeamMember]:
    statement = select(TeamMember).where(TeamMember.team_id == team.id, TeamMember.ended_at.is_(None))
    return list(database.session().scalars(statement))


def _put_in(team: Team, member_ids: list[str]) -> None:
    edge: dict[str, str | int] = {
        "organization_id": team.organization_id,
        "team_id": team.id,
        "started_at": clock.now(),
    }
    bulk.insert_many(
        TeamMember, [edge | {"id": identifiers.edge(), "member_id": member_id} for member_id in member_ids]
    )


def _require_members(organization_id: str, member_ids: list[str]) -> None:
    for some in bulk.chunks(member_ids):
        statement = select(Membership.id).where(
            Membership.organization_id == organization_id, Membership.id.in_(some), Membership.ended_at.is_(None)
        )
        if missing := set(some) - set(database.session().scalars(statement)):
            raise NotFound(f"There is no member {min(missing)!r} in this organization.")


def _require_free(organization_id: str, key: str) -> None:
    taken = select(Team.id).where(Team.organization_id == organization_id, Team.key == key, Team.ended_at.is_(None))
    if database.session().execute(taken).first():
        raise Conflict(f"There is a team {key!r} already.")
