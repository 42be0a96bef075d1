"""Carrying out what concerns organizations and whatever is in them."""

from collections.abc import Sequence

from idp.cli.apply import steps
from idp.cli.apply.hands import Hands
from idp.cli.apply.plan_holdings import SOURCE
from idp.cli.apply.steps import Inside, Step
from idp.organizations import (
    account_groups,
    accounts,
    domains,
    grants,
    memberships,
    organizations,
    ownership,
    policies,
    roles,
    teams,
)
from idp.organizations.accounts import NewAccount
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember


def act(hands: Hands, step: Step) -> None:
    """Do one step upon an organization itself."""
    by = hands.by
    match step:
        case steps.FoundOrganization():
            _found(hands, step)
        case steps.ChangeOrganization():
            organizations.reconfigure(hands.id(step.subject), step.wanted, by=by)
        case steps.ResumeOrganization():
            organizations.resume(hands.id(step.subject), by=by)
        case steps.SuspendOrganization():
            organizations.suspend(hands.id(step.subject), by=by)
        case steps.CloseOrganization():
            organizations.close(hands.id(step.subject), by=by)
        case steps.ChangePolicies():
            policies.change(hands.id(step.subject), step.wanted, by=by)
        case Inside():
            _act_inside(hands, step, hands.id(step.organization))
        case _:
            raise TypeError(f"nobody knows how to {step.words()}")


def _found(hands: Hands, step: steps.FoundOrganization) -> None:
    owner_id = hands.id(step.owner)
    founded = organizations.found(step.wanted, owner_id, by=hands.by, id=step.id, member_id=step.member_id)
    hands.made(step.subject, founded.id)
    hands.joined(step.subject, step.owner, memberships.of_user(founded.id, owner_id).id)


def _act_inside(hands: Hands, step: Inside, organization_id: str) -> None:
    by = hands.by
    match step:
        case steps.TransferOwnership():
            ownership.transfer(organization_id, hands.member(step.organization, step.subject), by=by)
        case steps.NameDeputy():
            member = hands.member(step.organization, step.deputy) if step.deputy else None
            ownership.name_deputy(organization_id, member, by=by)
        case steps.ActivateMember():
            memberships.reactivate(organization_id, hands.member(step.organization, step.subject), by=by)
        case steps.SuspendMember():
            memberships.suspend(organization_id, hands.member(step.organization, step.subject), by=by)
        case steps.RemoveMember():
            memberships.remove(organization_id, hands.member(step.organization, step.subject), by=by)
        case steps.EndGrant():
            grants.end(organization_id, step.grant_id, by=by)
        case steps.ClaimDomain():
            domains.claim(organization_id, step.subject.name, by=by, id=step.id)
        case steps.ConfirmDomain():
            domains.confirm(organization_id, domains.find(organization_id, step.subject.name).id, by=by)
        case steps.ReleaseDomain():
            domains.release(organization_id, step.subject.id, by=by)
        case _:
            _act_on_thing(hands, step, organization_id)


def _act_on_thing(hands: Hands, step: Inside, organization_id: str) -> None:
    """An account, a group, a role or a team."""
    by = hands.by
    match step:
        case steps.ChangeAccount():
            accounts.reconfigure(organization_id, step.subject.id, step.wanted, by=by)
        case steps.ResumeAccount():
            accounts.resume(organization_id, step.subject.id, by=by)
        case steps.SuspendAccount():
            accounts.suspend(organization_id, hands.id(step.subject), by=by)
        case steps.CloseAccount():
            accounts.close(organization_id, step.subject.id, by=by)
        case steps.CreateGroup():
            hands.made(step.subject, account_groups.create(organization_id, step.wanted, by=by, id=step.id).id)
        case steps.ChangeGroup():
            account_groups.reconfigure(organization_id, step.subject.id, step.wanted, by=by)
        case steps.DeleteGroup():
            account_groups.delete(organization_id, step.subject.id, by=by)
        case steps.CreateRole():
            hands.made(step.subject, roles.create(organization_id, step.wanted, by=by, id=step.id).id)
        case steps.ChangeRole():
            roles.change(organization_id, step.subject.id, step.wanted, by=by)
        case steps.DeleteRole():
            roles.delete(organization_id, step.subject.id, by=by)
        case steps.CreateTeam():
            hands.made(step.subject, teams.create(organization_id, step.wanted, by=by, id=step.id).id)
        case steps.ChangeTeam():
            teams.reconfigure(organization_id, step.subject.id, step.wanted, by=by)
        case steps.DeleteTeam():
            teams.delete(organization_id, step.subject.id, by=by)
        case _:
            raise TypeError(f"nobody knows how to {step.words()}")


# Many at a time, all in one organization (and group or team)


def open_accounts(hands: Hands, some: Sequence[steps.OpenAccount]) -> None:
    """Open accounts."""
    wanted = [NewAccount(one.wanted, one.livemode, one.id) for one in some]
    ids = accounts.open_many(hands.id(some[0].organization), wanted, by=hands.by)
    for step in some:
        hands.made(step.subject, ids[step.wanted.key])


def add_members(hands: Hands, some: Sequence[steps.AddMember]) -> None:
    """Take people in."""
    organization = some[0].organization
    wanted = [NewMember(hands.id(one.user), one.status, one.id) for one in some]
    ids = memberships.add_many(hands.id(organization), wanted, by=hands.by, source=SOURCE)
    for step in some:
        hands.joined(organization, step.user, ids[hands.id(step.user)])


def fill_group(hands: Hands, some: Sequence[steps.FillGroup]) -> None:
    """Put accounts into a group."""
    found = [hands.id(one.account) for one in some]
    account_groups.add(hands.id(some[0].organization), hands.id(some[0].subject), found, by=hands.by)


def empty_group(hands: Hands, some: Sequence[steps.EmptyGroup]) -> None:
    """Take accounts out of a group."""
    found = [hands.id(one.account) for one in some]
    account_groups.remove_many(hands.id(some[0].organization), hands.id(some[0].subject), found, by=hands.by)


def join_team(hands: Hands, some: Sequence[steps.JoinTeam]) -> None:
    """Put members into a team."""
    found = [hands.member(one.organization, one.member) for one in some]
    teams.add(hands.id(some[0].organization), hands.id(some[0].subject), found, by=hands.by)


def leave_team(hands: Hands, some: Sequence[steps.LeaveTeam]) -> None:
    """Take members out of a team."""
    found = [hands.member(one.organization, one.member) for one in some]
    teams.remove_many(hands.id(some[0].organization), hands.id(some[0].subject), found, by=hands.by)


def grant_roles(hands: Hands, some: Sequence[steps.GrantRole]) -> None:
    """Make grants."""
    organization = some[0].organization
    scopes = hands.scopes(organization, (one.scope for one in some))
    wanted = [Wanted(_grantee(hands, one), one.role, scopes[one.scope], expires_at=one.until) for one in some]
    grants.grant_many(wanted, by=hands.by, source=SOURCE)


def _grantee(hands: Hands, step: steps.GrantRole) -> Grantee:
    if step.subject.kind == "member":
        return Grantee("member", hands.member(step.organization, step.subject))
    return Grantee(step.subject.kind, hands.id(step.subject))
