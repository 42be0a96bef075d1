"""Random worlds: `effective_roles` and `explain` agree with a plain model, now and in the past, whatever people try."""

import copy
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from idp.app import start
from idp.audit.trail import SYSTEM, Actor
from idp.clients import declaration
from idp.clients.models import Client
from idp.organizations import (
    account_groups,
    accounts,
    effective,
    explain,
    grants,
    memberships,
    moves,
    organizations,
    ownership,
    roles,
    scopes,
    teams,
)
from idp.organizations.account_groups import GroupSettings
from idp.organizations.accounts import AccountSettings, NewAccount
from idp.organizations.effective import Context, Holder
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.roles import Permitted, RoleSettings
from idp.organizations.teams import TeamSettings
from idp.platform import clock, database, identifiers
from idp.platform.errors import Refusal
from idp.users import lifecycle, users
from idp.users.users import UserSettings
from tests.organizations.world import Grant, Organization, Scope, World

BUILT_IN = ["super_admin", "admin", "iam_admin", "developer", "view_only", "sandbox_admin"]
PERMISSIONS = ["refunds.write", "members.write", "sandboxes.read", "accounts.move"]
PEOPLE = st.integers(0, 4)
ORGANIZATIONS = st.integers(0, 1)
ACCOUNTS = st.integers(0, 3)
NAMES = st.sampled_from(["one", "two"])
ROLES = st.sampled_from([*BUILT_IN, "x_one"])
ACTORS = st.sampled_from(["operator", 0, 0, 1, 1, 2, 3, 4])
"""0 and 1 own the organizations and begin as administrators of each other's; the others begin as plain members."""
SELDOM = st.sampled_from([False, False, False, True])
"""What would stop everybody from doing anything happens, but not for long."""
STEP = clock.HOUR


class Worlds(RuleBasedStateMachine):
    """The world under test beside the model. Every step is an act that somebody tries; time passes between steps."""

    def __init__(self) -> None:
        super().__init__()
        self.traveller = time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC), tick=False)
        self.watch = self.traveller.start()
        self.model = World()
        self.past: list[tuple[int, World]] = []
        declared = declaration.shipped()
        self.built_in = {role.key: (set(role.live), set(role.sandbox)) for role in declared.roles}

    def teardown(self) -> None:
        self.traveller.stop()
        database.session().rollback()

    @initialize()
    def found(self) -> None:
        with database.writing():
            self.users = [users.create(UserSettings(username=_name()), by=SYSTEM).id for _ in range(5)]
            client = Client(id=identifiers.client(), name="machine")
            database.session().add(client)
            self.client = client.id
            self.organizations = []
            self.accounts = []
            for number in (0, 1):
                owner = self.users[number]
                here = organizations.found(OrganizationSettings(_name(), "O"), owner, by=SYSTEM).id
                self.organizations.append(here)
                self.model.organizations[here] = Organization(owner, {owner: "active"})
                for live in (True, False):
                    key = _name()
                    account = accounts.open_account(here, NewAccount(AccountSettings(key, "A", "DE"), live), by=SYSTEM)
                    self.accounts.append(account)
                    self.model.organizations[here].accounts.add(account)
                    self.model.live[account] = live
                for name in ("one", "two"):
                    account_groups.create(here, GroupSettings(name, name), by=SYSTEM)
                    teams.create(here, TeamSettings(name, name), by=SYSTEM)
                    self.model.organizations[here].groups[name] = set()
                    self.model.organizations[here].teams[name] = set()
            for here in self.organizations:
                there = self.model.organizations[here]
                for user in self.users:
                    if user not in there.members:
                        memberships.add(here, NewMember(user), by=SYSTEM)
                        there.members[user] = "active"
            for o, here in enumerate(self.organizations):
                self.populate(o, here)
            self.begin(0, f"user:{self.users[1]}", "admin", ("organization", self.organizations[0]))
            self.begin(1, f"user:{self.users[0]}", "iam_admin", ("organization", self.organizations[1]))

    def populate(self, o: int, here: str) -> None:
        """Somebody holds something along each path that there is, one of them not for long."""
        there = self.model.organizations[here]
        live, sandbox = self.accounts[2 * o], self.accounts[2 * o + 1]
        account_groups.add(here, "one", [live], by=SYSTEM)
        there.groups["one"].add(live)
        teams.add(here, "one", [memberships.of_user(here, self.users[2]).id], by=SYSTEM)
        there.teams["one"].add(self.users[2])
        self.begin(o, "team:one", "developer", ("organization", here))
        self.begin(o, f"user:{self.users[3]}", "view_only", ("group", "one"))
        self.begin(o, f"user:{self.users[4]}", "sandbox_admin", ("account", sandbox), clock.now() + 5 * STEP + 1)
        self.begin(o, f"client:{self.client}", "developer", ("account", live))

    def begin(self, o: int, grantee: str, role: str, scope: Scope, ends: int | None = None) -> None:
        here = self.organizations[o]
        wanted = self.wanted(here, Grant(grantee, role, scope, ends=ends))
        grants.grant(wanted, by=SYSTEM)
        self.model.organizations[here].grants[f"{grantee}/{role}/{scope[0]}:{scope[1]}"] = Grant(
            grantee, role, scope, clock.now(), ends
        )

    # Acts

    def act(self, by: int | str, real: Callable[[Actor], Any], model: Callable[[Any], object]) -> None:
        """Try `real`; if it was allowed, let `model` happen too. Whoever acted may hold nothing that they lacked."""
        self.watch.shift(STEP / clock.SECOND)
        actor = SYSTEM if by == "operator" else Actor("user", self.users[int(by)])
        who = f"user:{actor.id}"
        at = clock.now()
        places = [(o, a) for o, there in self.model.organizations.items() for a in ("", *there.accounts)]
        before = {(o, a, r) for o, a in places for r in self.model.roles(who, o, a, at)}
        could = {(o, a): self.allowed(who, o, a) for o, a in places}
        try:
            answer = self.carry_out(real, actor)
        except Refusal:
            return
        model(answer)
        if by != "operator":
            assert self.model.held(who, at) & {(o, a, r) for o, a in places for r in self.all_roles()} <= before
            for place in places:
                if place[1] in ("", *self.model.organizations[place[0]].accounts):
                    assert self.allowed(who, *place) <= could[place]

    def carry_out(self, real: Callable[[Actor], Any], actor: Actor) -> Any:
        with database.writing():
            return real(actor)

    def allowed(self, who: str, organization: str, account: str) -> set[str]:
        return self.model.permissions(who, organization, account, clock.now(), self.built_in)

    def all_roles(self) -> list[str]:
        return [*BUILT_IN, "x_one"]

    @rule(o=ORGANIZATIONS, p=PEOPLE, status=st.sampled_from(["invited", "active"]), by=ACTORS)
    def take_in(self, o: int, p: int, status: str, by: Any) -> None:
        here, user = self.organizations[o], self.users[p]
        self.act(
            by,
            lambda actor: memberships.add(here, NewMember(user, status), by=actor),
            lambda _: self.model.organizations[here].members.setdefault(user, status),
        )

    @rule(
        o=ORGANIZATIONS,
        p=PEOPLE,
        how=st.sampled_from(["suspend", "reactivate", "reactivate", "accept", "remove"]),
        by=ACTORS,
    )
    def change_membership(self, o: int, p: int, how: str, by: Any) -> None:
        here, user = self.organizations[o], self.users[p]
        there = self.model.organizations[here]

        def model(_: Any) -> None:
            if how == "remove":
                del there.members[user]
                there.teams = {name: people - {user} for name, people in there.teams.items()}
                there.grants = {k: g for k, g in there.grants.items() if g.grantee != f"user:{user}"}
            elif how == "accept":
                there.members[self.users[int(by)]] = "active"
            else:
                there.members[user] = "suspended" if how == "suspend" else "active"

        def real(actor: Actor) -> None:
            if how == "accept":
                memberships.accept(here, by=actor)
            else:
                getattr(memberships, how)(here, memberships.of_user(here, user).id, by=actor)

        self.act(by, real, model)

    @rule(
        o=ORGANIZATIONS,
        role=ROLES,
        to=st.sampled_from(["user", "team", "client"]),
        p=PEOPLE,
        name=NAMES,
        where=st.sampled_from(["organization", "account", "group"]),
        a=ACCOUNTS,
        ends=st.sampled_from([None, 3]),
        mine=st.booleans(),
        by=ACTORS,
    )
    def grant(
        self, o: int, role: str, to: str, p: int, name: str, where: str, a: int, ends: int | None, mine: bool, by: Any
    ) -> None:
        here = self.organizations[o]
        p = by if mine and by != "operator" else p
        expires = None if ends is None else clock.now() + STEP + ends * STEP + 1
        scope = {"organization": here, "account": self.accounts[a], "group": name}[where]
        grantee = {"user": self.users[p], "team": name, "client": self.client}[to]
        who = "operator" if by == "operator" else f"user:{self.users[int(by)]}"

        def real(actor: Actor) -> Any:
            wanted = self.wanted(here, Grant(f"{to}:{grantee}", role, (where, scope), ends=expires))
            if by != "operator":
                self.could_grant = self.model.may_grant(who, here, (where, scope), role, clock.now())
            made = grants.grant(wanted, by=actor)
            return made.id, made.effective_from

        def model(answer: tuple[str, int]) -> None:
            assert by == "operator" or self.could_grant
            key = f"{to}:{grantee}/{role}/{where}:{scope}"
            self.model.organizations[here].grants[key] = Grant(
                f"{to}:{grantee}", role, (where, scope), answer[1], expires
            )

        self.act(by, real, model)

    @rule(o=ORGANIZATIONS, pick=st.integers(0, 20), by=ACTORS)
    def end_grant(self, o: int, pick: int, by: Any) -> None:
        here = self.organizations[o]
        held = self.model.organizations[here].grants
        if not held:
            return
        key = sorted(held)[pick % len(held)]
        wanted = held[key]

        def real(actor: Actor) -> None:
            grants.end(here, grants.live(self.wanted(here, wanted), "manual").id, by=actor)

        self.act(by, real, lambda _: held.pop(key))

    def wanted(self, here: str, one: Grant) -> Wanted:
        """The grant as the rules want it."""
        kind, _, name = one.grantee.partition(":")
        grantee = {
            "user": lambda: Grantee("member", memberships.of_user(here, name).id),
            "team": lambda: Grantee("team", teams.find(here, name).id),
            "client": lambda: Grantee("client", name),
        }[kind]()
        where, scope = one.scope
        place = {
            "organization": lambda: scopes.of_organization(here),
            "account": lambda: scopes.of_account(here, scope),
            "group": lambda: scopes.of_group(here, scope),
        }[where]()
        return Wanted(grantee, one.role, place, expires_at=one.ends)

    @rule(o=ORGANIZATIONS, name=NAMES, p=PEOPLE, into=st.booleans(), mine=st.booleans(), by=ACTORS)
    def change_team(self, o: int, name: str, p: int, into: bool, mine: bool, by: Any) -> None:
        here, user = self.organizations[o], self.users[by if mine and by != "operator" else p]
        there = self.model.organizations[here]

        def real(actor: Actor) -> None:
            member_id, team_id = memberships.of_user(here, user).id, teams.find(here, name).id
            if into:
                teams.add(here, team_id, [member_id], by=actor)
            else:
                teams.remove(here, team_id, member_id, by=actor)

        self.act(by, real, lambda _: there.teams[name].add(user) if into else there.teams[name].discard(user))

    @rule(o=ORGANIZATIONS, name=NAMES, a=ACCOUNTS, into=st.booleans(), by=ACTORS)
    def change_group(self, o: int, name: str, a: int, into: bool, by: Any) -> None:
        here, account = self.organizations[o], self.accounts[a]
        there = self.model.organizations[here]

        def real(actor: Actor) -> None:
            group_id = account_groups.find(here, name).id
            if into:
                account_groups.add(here, group_id, [account], by=actor)
            else:
                account_groups.remove(here, group_id, account, by=actor)

        self.act(by, real, lambda _: there.groups[name].add(account) if into else there.groups[name].discard(account))

    @rule(o=ORGANIZATIONS, a=ACCOUNTS, how=SELDOM.map(lambda seldom: "suspend" if seldom else "resume"), by=ACTORS)
    def change_account(self, o: int, a: int, how: str, by: Any) -> None:
        here, account = self.organizations[o], self.accounts[a]
        after = self.model.suspended_accounts
        before = copy.copy(after)

        def model(_: Any) -> None:
            after.add(account) if how == "suspend" else after.discard(account)

        if how == "resume" and account in before:
            by = "operator"  # the grants count again that others gave: nothing that the act itself gives
        self.act(by, lambda actor: getattr(accounts, how)(here, account, by=actor), model)

    @rule(a=ACCOUNTS, by=ACTORS, at=ACTORS)
    def move(self, a: int, by: Any, at: Any) -> None:
        account = self.accounts[a]
        source = next(o for o, there in self.model.organizations.items() if account in there.accounts)
        target = next(o for o in self.organizations if o != source)
        key = _name()

        def real(actor: Actor) -> None:
            offered = moves.offer(source, account, target, by=actor)
            other = SYSTEM if at == "operator" else Actor("user", self.users[int(at)])
            moves.accept(target, offered.id, key=key, by=other)

        def model(_: Any) -> None:
            old, new = self.model.organizations[source], self.model.organizations[target]
            old.accounts.remove(account)
            old.groups = {name: held - {account} for name, held in old.groups.items()}
            old.grants = {k: g for k, g in old.grants.items() if g.scope != ("account", account)}
            new.accounts.add(account)

        self.act(by, real, model)

    @rule(o=ORGANIZATIONS, by=ACTORS, allowed=st.frozensets(st.sampled_from(PERMISSIONS)))
    def change_custom_role(self, o: int, by: Any, allowed: frozenset[str]) -> None:
        here = self.organizations[o]
        there = self.model.organizations[here]
        wanted = RoleSettings("x_one", "One", frozenset(Permitted(name) for name in allowed))

        def real(actor: Actor) -> None:
            if "x_one" in there.custom:
                roles.change(here, roles.find(here, "x_one").id, wanted, by=actor)
            else:
                roles.create(here, wanted, by=actor)

        self.act(by, real, lambda _: there.custom.update({"x_one": allowed}))

    @rule(o=ORGANIZATIONS, by=ACTORS)
    def delete_custom_role(self, o: int, by: Any) -> None:
        here = self.organizations[o]
        there = self.model.organizations[here]

        def model(_: Any) -> None:
            there.grants = {k: g for k, g in there.grants.items() if g.role != "x_one"}
            del there.custom["x_one"]

        self.act(by, lambda actor: roles.delete(here, roles.find(here, "x_one").id, by=actor), model)

    @rule(o=ORGANIZATIONS, p=PEOPLE, by=ACTORS)
    def transfer(self, o: int, p: int, by: Any) -> None:
        here, user = self.organizations[o], self.users[p]

        def real(actor: Actor) -> None:
            ownership.transfer(here, memberships.of_user(here, user).id, by=actor)

        self.act(by, real, lambda _: setattr(self.model.organizations[here], "owner", user))

    @rule(
        by=st.integers(0, 1), o=ORGANIZATIONS, role=ROLES, a=ACCOUNTS, way=st.sampled_from(["grant", "team", "group"])
    )
    def serve_oneself(self, by: int, o: int, role: str, a: int, way: str) -> None:
        """An administrator tries to gain by an act of their own along every path, or to give what is beyond them."""
        grant = {"o": o, "role": role, "p": by, "name": "one", "a": a, "ends": None, "mine": False}
        if way == "grant":
            self.grant(to="user", where="organization", by=by, **grant)
        elif way == "beyond":
            self.grant(to="user", where="organization", by=by, **grant | {"p": 2 + a % 3})
        elif way == "team":
            self.grant(to="team", where="organization", by="operator", **grant)
            self.change_team(o=o, name="one", p=by, into=True, mine=True, by=by)
        else:
            self.grant(to="user", where="group", by="operator", **grant)
            self.change_group(o=o, name="one", a=a, into=True, by=by)

    @rule(o=ORGANIZATIONS, how=SELDOM.map(lambda seldom: "suspend" if seldom else "resume"))
    def change_organization(self, o: int, how: str) -> None:
        here = self.organizations[o]
        self.act(
            "operator",
            lambda actor: getattr(organizations, how)(here, by=actor),
            lambda _: setattr(self.model.organizations[here], "suspended", how == "suspend"),
        )

    @rule(p=PEOPLE, how=SELDOM.map(lambda seldom: "disable" if seldom else "enable"))
    def change_person(self, p: int, how: str) -> None:
        user = self.users[p]

        def model(_: Any) -> None:
            self.model.disabled.add(user) if how == "disable" else self.model.disabled.discard(user)

        self.act("operator", lambda actor: getattr(lifecycle, how)(users.find(user), by=actor), model)

    # What must hold after every step

    @invariant()
    def an_owner_always_remains(self) -> None:
        for here, there in self.model.organizations.items():
            owner = ownership.owner_of(here)
            member = memberships.find(here, owner.member_id)
            assert member.user_id == there.owner
            assert memberships.status_of(member) == "active"
            assert not lifecycle.is_disabled(member.user_id)

    @invariant()
    def everybody_holds_what_the_model_says(self) -> None:
        if self.model.organizations:
            self.past.append((clock.now(), copy.deepcopy(self.model)))
            self.compare(self.model, clock.now(), None)

    @precondition(lambda self: len(self.past) > 1)
    @rule(back=st.integers(1, 30))
    def look_back(self, back: int) -> None:
        instant, then = self.past[-min(back, len(self.past))]
        self.compare(then, instant + STEP // 2, effective.past(instant + STEP // 2))

    def compare(self, then: World, instant: int, when: effective.Moment | None) -> None:
        people = [(f"user:{user}", Holder(user_id=user)) for user in self.users]
        people.append((f"client:{self.client}", Holder(client_id=self.client)))
        turn = len(self.past) % 3
        for who, holder in people[turn::3]:
            for here in self.organizations:
                for account in ("", *self.accounts):
                    context = Context(here, account)
                    found = effective.effective_roles(holder, context, when)
                    assert found.roles == then.roles(who, here, account, instant), (who, here, account)
                    if found.roles and account in ("", *then.organizations[here].accounts):
                        self.compare_permissions(then, who, holder, context, instant, when)
        self.compare_explanations(then, instant, when)

    def compare_permissions(
        self, then: World, who: str, holder: Holder, context: Context, instant: int, when: effective.Moment | None
    ) -> None:
        live = then.live[context.account_id] if context.account_id else True
        held = effective.held_permissions(holder, context, when)
        expected = then.permissions(who, context.organization_id, context.account_id, instant, self.built_in)
        every_member = EVERY_MEMBER if who.startswith("user:") else set()
        assert effective.permissions_in(held, livemode=live) == expected | every_member

    def compare_explanations(self, then: World, instant: int, when: effective.Moment | None) -> None:
        """One person a step, at one place, for a role and a permission: `explain` itself compares with `effective`."""
        turn = len(self.past)
        user, here = self.users[turn % 5], self.organizations[turn % 2]
        accounts_here = sorted(self.model.organizations[here].accounts)
        scope = scopes.of_organization(here)
        if accounts_here:
            scope = scopes.of_account(here, accounts_here[turn % len(accounts_here)])
        for asked in (self.all_roles()[turn % 7], PERMISSIONS[turn % 4]):
            answer = explain.explain(Holder(user_id=user), asked, scope, when)
            if asked in self.all_roles():
                assert answer.allowed == (asked in then.roles(f"user:{user}", here, scope.account_id, instant))


EVERY_MEMBER = {"organization.read", "accounts.read"}


def _name() -> str:
    return identifiers.mint("x").replace("_", "-")


EXAMPLES = int(os.environ.get("CANOPY_MODEL_EXAMPLES", "15"))


@pytest.mark.rule("ORG-03")
@pytest.mark.rule("ORG-04")
@pytest.mark.rule("ORG-06")
def test_random_worlds_agree_with_the_model(app: Flask) -> None:
    start()
    run_state_machine_as_test(
        Worlds,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
