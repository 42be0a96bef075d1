"""The difference for organizations, their accounts, groups, roles, teams and domains."""

from collections.abc import Collection
from dataclasses import asdict, replace
from typing import Any

from idp.cli.apply import plan_holdings, steps
from idp.cli.apply.drawing import Drawing, difference
from idp.cli.apply.outlook import OrganizationOutlook, Outlook
from idp.cli.apply.places import Place
from idp.cli.apply.present import Account, Group, Role, Team
from idp.cli.apply.shelves import Pair
from idp.cli.apply.steps import Ref
from idp.cli.apply.wanted import (
    WantedAccount,
    WantedDomain,
    WantedGroup,
    WantedOrganization,
    WantedRole,
    WantedTeam,
)
from idp.organizations import domains, names
from idp.organizations.account_groups import GroupSettings
from idp.organizations.accounts import AccountSettings
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.policies import PolicySettings
from idp.organizations.roles import Permitted, RoleSettings
from idp.organizations.teams import TeamSettings


def draw(one: OrganizationOutlook, outlook: Outlook, drawing: Drawing) -> None:
    """What is to be done for the organization and all that stands under it, but for memberships."""
    wanted = one.wanted
    if wanted is None:
        return
    if one.before.is_closed:
        if not wanted.is_absent:
            drawing.faults.add(wanted.place, "expected an organization that is open: this one is closed for good")
        return
    if wanted.is_absent:
        _close(one, wanted, drawing)
        return
    _organization(one, wanted, outlook, drawing)
    for account in one.accounts.pairs:
        _account(one, account, drawing)
    for group in one.groups.pairs:
        _group(one, group, drawing)
    for role in one.roles.pairs:
        _role(one, role, outlook, drawing)
    for team in one.teams.pairs:
        _team(one, team, outlook, drawing)
    _domains(one, wanted, drawing)


# The organization itself


def _organization(one: OrganizationOutlook, wanted: WantedOrganization, outlook: Outlook, drawing: Drawing) -> None:
    place, before = wanted.place, one.before
    owner = outlook.people.find(wanted.owner) if wanted.owner else None
    if not before.id and not (drawing.need(place, "owner", wanted.owner) & drawing.need(place, "name", wanted.name)):
        return
    settings = drawing.made(place, lambda: _settings(wanted, before.name))
    if settings is None:
        return
    if not before.id:
        if owner is not None:
            membership = one.memberships.get(owner)
            member_id = membership.id if membership else ""
            drawing.add(steps.FoundOrganization(place, one.ref, settings, owner, wanted.id, member_id))
    elif settings != OrganizationSettings(before.slug, before.name):
        drawing.add(steps.ChangeOrganization(place, one.ref, settings, before.slug))
    _policies(one, wanted, drawing)
    if wanted.status == "suspended" and not before.is_suspended:
        drawing.add(steps.SuspendOrganization(place.of("status"), one.ref))
    if wanted.status == "active" and before.is_suspended:
        drawing.add(steps.ResumeOrganization(place.of("status"), one.ref))
    if owner is not None and before.id:
        _transfer(one, owner, place.of("owner"), drawing)
    if wanted.deputy is not None:
        _deputy(one, wanted, outlook, drawing)


def _settings(wanted: WantedOrganization, name: str) -> OrganizationSettings:
    return OrganizationSettings(wanted.slug, names.shown(wanted.name if wanted.name is not None else name))


def _policies(one: OrganizationOutlook, wanted: WantedOrganization, drawing: Drawing) -> None:
    if wanted.policies is None:
        return
    place, before = wanted.policies.place, one.before.policy
    said: dict[str, Any] = {**asdict(before), **wanted.policies.said}
    after = drawing.made(place, lambda: _reachable(PolicySettings(**said)))
    if after is not None and after != before:
        drawing.add(steps.ChangePolicies(place, one.ref, after, difference(before, after)))


def _reachable(policy: PolicySettings) -> PolicySettings:
    policy.require_reachable()
    return policy


def _transfer(one: OrganizationOutlook, owner: Ref, place: Place, drawing: Drawing) -> None:
    member = one.members.get(owner)
    if member is None or member in one.leaving:
        drawing.faults.add(place, f"expected a member of {one.slug}: give {owner.name} a membership there")
    elif member.id != one.before.owner:
        drawing.add(steps.TransferOwnership(place, member, one.ref))


def _deputy(one: OrganizationOutlook, wanted: WantedOrganization, outlook: Outlook, drawing: Drawing) -> None:
    said = wanted.deputy
    if said is None:
        return
    if not said.text:
        if one.before.deputy:
            drawing.add(steps.NameDeputy(said.place, one.ref, one.ref, None))
        return
    user = outlook.people.find(said)
    member = one.members.get(user) if user is not None else None
    if user is None:
        return
    if member is None or member in one.leaving:
        drawing.faults.add(said.place, f"expected a member of {one.slug}: give {user.name} a membership there")
    elif not member.id or member.id != one.before.deputy:
        drawing.add(steps.NameDeputy(said.place, one.ref, one.ref, member))


def _close(one: OrganizationOutlook, wanted: WantedOrganization, drawing: Drawing) -> None:
    """For good, and only once its accounts are closed, each in so many words."""
    if not one.before.id:
        return
    gone = {pair.ref.id for pair in one.accounts.pairs if pair.wanted.is_absent}
    open_still = [account.key for account in one.before.accounts.values() if account.id not in gone]
    if open_still:
        keys = ", ".join(sorted(open_still)[:10])
        drawing.faults.add(wanted.place.of("state"), f"expected its accounts to be absent as well; open are: {keys}")
        return
    for pair in one.accounts.pairs:
        _account(one, pair, drawing)
    drawing.add(steps.CloseOrganization(wanted.place.of("state"), one.ref))


# Accounts and groups


def _account(one: OrganizationOutlook, pair: Pair[WantedAccount, Account], drawing: Drawing) -> None:
    wanted, before, place = pair.wanted, pair.before, pair.wanted.place
    if wanted.is_absent:
        if before is not None:
            drawing.add(steps.CloseAccount(place, pair.ref, one.ref))
        return
    if before is None and not (
        drawing.need(place, "name", wanted.name) & drawing.need(place, "country", wanted.country)
    ):
        return
    settings = drawing.made(place, lambda: _account_settings(wanted, before))
    if settings is None:
        return
    if before is None:
        livemode = wanted.livemode is not False
        drawing.add(steps.OpenAccount(place, pair.ref, one.ref, settings, livemode, wanted.id))
    else:
        _change_account(one, pair, before, settings, drawing)
    is_suspended = before is not None and before.is_suspended
    if wanted.status == "suspended" and not is_suspended:
        drawing.add(steps.SuspendAccount(place.of("status"), pair.ref, one.ref))
    if wanted.status == "active" and is_suspended:
        drawing.add(steps.ResumeAccount(place.of("status"), pair.ref, one.ref))


def _account_settings(wanted: WantedAccount, before: Account | None) -> AccountSettings:
    name = wanted.name if wanted.name is not None else before.name if before else ""
    country = wanted.country if wanted.country is not None else before.country if before else ""
    return AccountSettings(wanted.key, names.shown(name), country)


def _change_account(
    one: OrganizationOutlook,
    pair: Pair[WantedAccount, Account],
    before: Account,
    settings: AccountSettings,
    drawing: Drawing,
) -> None:
    place = pair.wanted.place
    if pair.wanted.livemode not in (None, before.livemode):
        kind = "live account" if before.livemode else "sandbox"
        drawing.faults.add(place.of("livemode"), f"expected {str(before.livemode).lower()}: it is a {kind} for good")
    was = AccountSettings(before.key, before.name, before.country)
    if settings != was:
        drawing.add(steps.ChangeAccount(place, pair.ref, one.ref, settings, difference(was, settings)))


def _group(one: OrganizationOutlook, pair: Pair[WantedGroup, Group], drawing: Drawing) -> None:
    wanted, before, place = pair.wanted, pair.before, pair.wanted.place
    if wanted.is_absent:
        if before is not None:
            drawing.add(steps.DeleteGroup(place, pair.ref, one.ref))
        return
    name = wanted.name if wanted.name is not None else before.name if before else wanted.key
    settings = drawing.made(place, lambda: GroupSettings(names.key(wanted.key, "agrp"), names.shown(name)))
    if settings is None:
        return
    if before is None:
        drawing.add(steps.CreateGroup(place, pair.ref, one.ref, settings, wanted.id))
    elif settings != (was := GroupSettings(before.key, before.name)):
        drawing.add(steps.ChangeGroup(place, pair.ref, one.ref, settings, difference(was, settings)))
    _fill_group(one, pair, drawing)


def _fill_group(one: OrganizationOutlook, pair: Pair[WantedGroup, Group], drawing: Drawing) -> None:
    """A group holds the accounts that are named, and no others; unless none are spoken of."""
    if pair.wanted.accounts is None:
        return
    there = {one.scopes[placement] for placement in pair.before.placements} if pair.before else set()
    wanted: set[Ref] = set()
    for said in pair.wanted.accounts:
        account = one.accounts.find(said)
        if account is not None and account not in wanted | there:
            drawing.add(steps.FillGroup(said.place, pair.ref, one.ref, account))
        wanted |= {account} if account is not None else set()
    place = pair.wanted.place.of("accounts")
    for account in sorted(there - wanted - one.accounts.leaving, key=_by_name):
        drawing.add(steps.EmptyGroup(place, pair.ref, one.ref, account))


# Roles


def _role(one: OrganizationOutlook, pair: Pair[WantedRole, Role], outlook: Outlook, drawing: Drawing) -> None:
    wanted, before, place = pair.wanted, pair.before, pair.wanted.place
    if wanted.is_absent:
        if before is not None:
            drawing.add(steps.DeleteRole(place, pair.ref, one.ref))
        return
    was = before.settings if before is not None else None
    settings = drawing.made(place, lambda: _role_settings(wanted, was))
    if settings is None:
        return
    added = settings.permissions - (was.permissions if was is not None else frozenset())
    _require_declared(added, place.of("permissions"), outlook, drawing)
    if was is None:
        blank = replace(settings, permissions=frozenset())
        drawing.add(steps.CreateRole(place, pair.ref, one.ref, settings, wanted.id, _role_difference(blank, settings)))
    elif settings != was:
        if settings.key != was.key:
            drawing.faults.add(place.of("key"), f"expected {was.key}: the key of a role never changes")
        drawing.add(steps.ChangeRole(place, pair.ref, one.ref, settings, _role_difference(was, settings)))


def _role_settings(wanted: WantedRole, was: RoleSettings | None) -> RoleSettings:
    """What the file says, over what the role is, over what a new one is without being told."""
    base = was or RoleSettings(wanted.key, wanted.name or wanted.key, frozenset())
    levels = wanted.levels
    return RoleSettings(
        key=wanted.key,
        name=names.shown(wanted.name) if wanted.name is not None else base.name,
        permissions=wanted.permissions if wanted.permissions is not None else base.permissions,
        at_organization=base.at_organization if levels is None else "organization" in levels,
        at_account=base.at_account if levels is None else "account" in levels,
        demands=base.demands if wanted.demands is None else wanted.demands.replace("none", ""),
        sensitive=base.sensitive if wanted.is_sensitive is None else wanted.is_sensitive,
    )


def _role_difference(was: RoleSettings, becomes: RoleSettings) -> str:
    """Which permissions come and go, and what else differs."""
    gained = [f"+{one.name}" for one in sorted(becomes.permissions - was.permissions)]
    lost = [f"-{one.name}" for one in sorted(was.permissions - becomes.permissions)]
    rest = difference(replace(was, permissions=frozenset()), replace(becomes, permissions=frozenset()))
    return ", ".join([*gained, *lost, *([rest] if rest else [])]) or "without permissions"


def _require_declared(added: Collection[Permitted], place: Place, outlook: Outlook, drawing: Drawing) -> None:
    """As `roles` does, before anything is done: what comes into a role is declared by some API."""
    for one in sorted(added):
        if not outlook.declares(one.audience, one.name):
            drawing.faults.add(place, f"expected permissions that some API declares: {one.name!a} is none")


# Teams


def _team(one: OrganizationOutlook, pair: Pair[WantedTeam, Team], outlook: Outlook, drawing: Drawing) -> None:
    wanted, before, place = pair.wanted, pair.before, pair.wanted.place
    if wanted.is_absent:
        if before is not None:
            drawing.add(steps.DeleteTeam(place, pair.ref, one.ref))
        return
    name = wanted.name if wanted.name is not None else before.name if before else wanted.key
    settings = drawing.made(place, lambda: TeamSettings(names.key(wanted.key, "team"), names.shown(name)))
    if settings is None:
        return
    if before is None:
        drawing.add(steps.CreateTeam(place, pair.ref, one.ref, settings, wanted.id))
    elif settings != (was := TeamSettings(before.key, before.name)):
        drawing.add(steps.ChangeTeam(place, pair.ref, one.ref, settings, difference(was, settings)))
    _fill_team(one, pair, outlook, drawing)
    plan_holdings.draw(one, pair.ref, wanted.holdings, outlook, drawing)


def _fill_team(one: OrganizationOutlook, pair: Pair[WantedTeam, Team], outlook: Outlook, drawing: Drawing) -> None:
    """A team has the members that are named, and no others; unless none are spoken of."""
    if pair.wanted.members is None:
        return
    there = pair.before.members if pair.before is not None else frozenset()
    wanted: set[Ref] = set()
    for said in pair.wanted.members:
        user = outlook.people.find(said)
        member = one.members.get(user) if user is not None else None
        if user is None:
            continue
        if member is None or member in one.leaving:
            drawing.faults.add(said.place, f"expected a member of {one.slug}: give {user.name} a membership there")
            continue
        if member not in wanted and member.id not in there:
            drawing.add(steps.JoinTeam(said.place, pair.ref, one.ref, member))
        wanted.add(member)
    place, kept = pair.wanted.place.of("members"), {member.id for member in wanted}
    if there <= kept:
        return
    known = {member.id: member for member in one.members.values() if member not in one.leaving}
    for member_id in sorted(there - kept, key=lambda member_id: known[member_id].name if member_id in known else ""):
        if member_id in known:
            drawing.add(steps.LeaveTeam(place, pair.ref, one.ref, known[member_id]))


# Domains


def _domains(one: OrganizationOutlook, wanted: WantedOrganization, drawing: Drawing) -> None:
    seen: set[str] = set()
    for said in wanted.domains:
        name = drawing.made(said.place, lambda said=said: domains.parse(said.name))  # type: ignore[misc]
        if name in seen:
            drawing.faults.add(said.place, f"expected once: {name!a} stands in this list already")
        elif name is not None:
            _domain(one, said, name, drawing)
        seen |= {name} if name else set()


def _domain(one: OrganizationOutlook, wanted: WantedDomain, name: str, drawing: Drawing) -> None:
    before, place = one.before.domains.get(name), wanted.place
    ref = Ref("domain", name, before.id if before else "")
    if wanted.is_absent:
        if before is not None:
            drawing.add(steps.ReleaseDomain(place, ref, one.ref))
        return
    if before is None:
        drawing.add(steps.ClaimDomain(place, ref, one.ref, wanted.id))
    is_verified = before is not None and before.is_verified
    if wanted.is_verified and not is_verified:
        drawing.add(steps.ConfirmDomain(place.of("verified"), ref, one.ref))
    if wanted.is_verified is False and is_verified:
        drawing.faults.add(place.of("verified"), "expected true: it is proven; `state: absent` releases it")


def _by_name(ref: Ref) -> str:
    return ref.name
