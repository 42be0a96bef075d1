"""Power over others that an entry of the trail gives: to a person, to a team, or to whoever is put into one."""

from collections.abc import Iterator

from sqlalchemy import select

from idp.audit.search import Found
from idp.notices import readers
from idp.notices.readers import Reader
from idp.organizations import permissions
from idp.organizations.effective import OWNER_ROLE
from idp.organizations.models import Membership, Role, RoleGrant, Team, TeamMember
from idp.platform import database

JOINED = "team.member.added"
"""The event of a person who has what a team has."""


def roles(entry: Found) -> list[Role]:
    """The roles that give or remove access which people have by this entry, other than by an invitation of theirs."""
    if entry.source.startswith("invitation"):
        return []
    found = dict.fromkeys(database.session().get_one(Role, grant.role_id) for grant in _grants(entry))
    return [role for role in found if permissions.is_privileged(permissions.of_role(role))]


def makes_super_admins(entry: Found) -> bool:
    """Whether people are super admins of the whole organization by this entry."""
    return any(one.role_key == OWNER_ROLE and one.scope == entry.organization_id for one in _grants(entry))


def people(entry: Found) -> Iterator[Reader]:
    """Whoever has these roles by this entry."""
    if readers.person_of(entry):
        yield from readers.the_person(entry)
    for user_id in _in_team(entry):
        yield from readers.told(user_id)


def other_super_admins(entry: Found) -> Iterator[Reader]:
    """Every super admin of the organization but those who are it by this entry."""
    new = {readers.person_of(entry), *_in_team(entry)}
    return (reader for reader in readers.super_admins(entry) if reader.user.id not in new)


def name(entry: Found) -> str:
    """What the person or the team who has these roles is called."""
    if user_id := readers.person_of(entry):
        return readers.name_of(user_id)
    team = database.session().get(Team, _grants(entry)[0].team_id)
    return team.name if team else ""


def _grants(entry: Found) -> list[RoleGrant]:
    if entry.event == JOINED:
        of_team = select(RoleGrant).where(
            RoleGrant.team_id == entry.after, RoleGrant.started_at <= entry.at, RoleGrant.ended_at.is_(None)
        )
        return list(database.session().scalars(of_team.order_by(RoleGrant.id)))
    made = database.session().get(RoleGrant, entry.subject)
    return [made] if made and made.client_id is None else []


def _in_team(entry: Found) -> list[str]:
    """The ids of the people in the team to which this entry gave a role."""
    teams = [grant.team_id for grant in _grants(entry) if grant.team_id and entry.event != JOINED]
    members = (
        select(Membership.user_id)
        .join(TeamMember, TeamMember.member_id == Membership.id)
        .where(TeamMember.team_id.in_(teams), TeamMember.started_at <= entry.at)
        .where(TeamMember.ended_at.is_(None), Membership.ended_at.is_(None))
    )
    return list(database.session().scalars(members.order_by(Membership.user_id))) if teams else []
