"""Who holds which role where in one organization, in memory: as it is, and as it will be once steps are done.

A plain model of what `effective_roles` answers, for people to read before anything is done. It follows teams and
groups to the people they reach; what is suspended, disabled, invited, expired or cooling off does not count.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from idp.cli.apply import steps
from idp.cli.apply.outlook import OrganizationOutlook, Outlook
from idp.cli.apply.steps import Ref, Step
from idp.organizations.effective import OWNER_ROLE

Holds: TypeAlias = Mapping[Ref, Mapping[str, frozenset[Ref]]]
"""Holder (a member, or a client) → role → scopes."""


@dataclass
class Standing:
    """What decides who holds what. `active`: members whose membership and person are in good standing."""

    organization: Ref
    is_open: bool = True
    owner: Ref | None = None
    active: set[Ref] = field(default_factory=set)
    disabled: set[Ref] = field(default_factory=set)
    idle_clients: set[Ref] = field(default_factory=set)
    suspended: set[Ref] = field(default_factory=set)
    teams: dict[Ref, set[Ref]] = field(default_factory=dict)
    groups: dict[Ref, set[Ref]] = field(default_factory=dict)
    grants: dict[str, tuple[Ref, str, Ref]] = field(default_factory=dict)

    def copy(self) -> "Standing":
        """Another one that says the same, and can be changed."""
        return replace(
            self,
            active=set(self.active),
            disabled=set(self.disabled),
            idle_clients=set(self.idle_clients),
            suspended=set(self.suspended),
            teams={team: set(members) for team, members in self.teams.items()},
            groups={group: set(accounts) for group, accounts in self.groups.items()},
            grants=dict(self.grants),
        )

    def inside(self, group: Ref) -> set[Ref]:
        """The accounts that roles on the group reach."""
        return self.groups.get(group, set()) - self.suspended

    def holds(self) -> Holds:
        """Who holds what; nobody holds anything in an organization that rests."""
        found: dict[Ref, dict[str, set[Ref]]] = defaultdict(lambda: defaultdict(set))
        counting = self.active - self.disabled
        for grantee, role, scope in self.grants.values() if self.is_open else ():
            if scope not in self.suspended:
                for holder in self._reached(grantee, counting):
                    found[holder][role].add(scope)
        if self.is_open and self.owner in counting and self.owner is not None:
            found[self.owner][OWNER_ROLE].add(self.organization)
        return {who: {role: frozenset(scopes) for role, scopes in what.items()} for who, what in found.items()}

    def _reached(self, grantee: Ref, counting: set[Ref]) -> Iterable[Ref]:
        if grantee.kind == "member":
            return {grantee} & counting
        if grantee.kind == "team":
            return self.teams.get(grantee, set()) & counting
        return {grantee} - self.idle_clients


def present(one: OrganizationOutlook, outlook: Outlook) -> Standing:
    """As it is."""
    before = one.before
    members = {ref.id: ref for ref in one.members.values() if ref.id}
    disabled = {
        members[member.id]
        for member in before.members.values()
        if (person := outlook.present.people.get(member.user_id)) is not None and person.is_disabled
    }
    clients = outlook.present.clients.values()
    idle = {
        Ref("client", client.id, client.id)
        for client in clients
        if client.is_disabled or before.id in client.switched_off
    }
    standing = Standing(
        organization=one.ref,
        is_open=bool(before.id) and not before.is_suspended,
        owner=members.get(before.owner),
        active={members[member.id] for member in before.members.values() if member.status == "active"},
        disabled=disabled,
        idle_clients=idle,
        suspended={one.accounts.of_id(account.id) for account in before.accounts.values() if account.is_suspended},
    )
    for team in before.teams.values():
        standing.teams[one.teams.of_id(team.id)] = {members[member] for member in team.members if member in members}
    for group in before.groups.values():
        standing.groups[one.groups.of_id(group.id)] = {one.scopes[placement] for placement in group.placements}
    for grant in before.grants:
        scope = one.scopes.get(grant.scope)
        if grant.counts and scope is not None:
            standing.grants[grant.id] = (_grantee(one, grant.kind, grant.grantee, members), grant.role, scope)
    return standing


def _grantee(one: OrganizationOutlook, kind: str, id: str, members: Mapping[str, Ref]) -> Ref:
    if kind == "member":
        return members.get(id, Ref("member", id, id))
    return one.teams.of_id(id) if kind == "team" else Ref("client", id, id)


def follow(standing: Standing, one: OrganizationOutlook, done: Iterable[Step]) -> None:
    """Change `standing` as the steps would, in their order."""
    for number, step in enumerate(done):
        if isinstance(step, steps.Inside):
            if step.organization == one.ref:
                _follow_inside(standing, step, number)
        elif step.subject == one.ref:
            _follow_organization(standing, one, step)
        elif step.subject.kind == "user":
            _follow_user(standing, one.members.get(step.subject), step)
        elif step.subject.kind == "client":
            _follow_client(standing, step)


def _follow_organization(standing: Standing, one: OrganizationOutlook, step: Step) -> None:
    match step:
        case steps.FoundOrganization():
            standing.is_open, standing.owner = True, one.members[step.owner]
            standing.active.add(one.members[step.owner])
        case steps.ResumeOrganization():
            standing.is_open = True
        case steps.SuspendOrganization() | steps.CloseOrganization():
            standing.is_open = False
        case _:
            pass


def _follow_user(standing: Standing, member: Ref | None, step: Step) -> None:
    if member is None:
        return
    match step:
        case steps.EnableUser():
            standing.disabled.discard(member)
        case steps.DisableUser() | steps.DeleteUser():
            standing.disabled.add(member)
        case _:
            pass


def _follow_client(standing: Standing, step: Step) -> None:
    match step:
        case steps.EnableClient():
            standing.idle_clients.discard(step.subject)
        case steps.DisableClient() | steps.DeleteClient():
            standing.idle_clients.add(step.subject)
        case steps.SwitchClient():
            if step.organization == standing.organization:
                change = standing.idle_clients.discard if step.on else standing.idle_clients.add
                change(step.subject)
        case _:
            pass


def _follow_inside(standing: Standing, step: steps.Inside, number: int) -> None:
    match step:
        case steps.AddMember():
            if step.status == "active":
                standing.active.add(step.subject)
        case steps.ActivateMember():
            standing.active.add(step.subject)
        case steps.SuspendMember() | steps.RemoveMember():
            standing.active.discard(step.subject)
        case steps.TransferOwnership():
            standing.owner = step.subject
        case steps.JoinTeam():
            standing.teams.setdefault(step.subject, set()).add(step.member)
        case steps.LeaveTeam():
            standing.teams[step.subject].discard(step.member)
        case steps.FillGroup():
            standing.groups.setdefault(step.subject, set()).add(step.account)
        case steps.EmptyGroup():
            standing.groups[step.subject].discard(step.account)
        case steps.SuspendAccount() | steps.CloseAccount():
            standing.suspended.add(step.subject)
        case steps.ResumeAccount():
            standing.suspended.discard(step.subject)
        case steps.GrantRole():
            standing.grants[f"new {number}"] = (step.subject, step.role, step.scope)
        case steps.EndGrant():
            standing.grants.pop(step.grant_id, None)
        case steps.DeleteTeam() | steps.DeleteGroup() | steps.DeleteRole():
            _forget(standing, step.subject)
        case _:
            pass


def _forget(standing: Standing, gone: Ref) -> None:
    """A team, group or role is deleted, and with it every grant to it, on it or of it."""
    key = gone.name.rpartition("/")[2]
    standing.teams.pop(gone, None)
    standing.groups.pop(gone, None)
    standing.grants = {
        id: (grantee, role, scope)
        for id, (grantee, role, scope) in standing.grants.items()
        if gone not in (grantee, scope) and not (gone.kind == "role" and role == key)
    }
