"""Random acts: whatever a token says that is true no longer is hit by an entry that the act wrote to the feed."""

import contextlib
import json
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test
from sqlalchemy import select

from idp.app import start
from idp.audit.trail import SYSTEM, Actor
from idp.clients import apis, clients
from idp.clients.apis import ApiSettings
from idp.clients.clients import ClientSettings
from idp.feed import positions
from idp.feed.models import Change
from idp.organizations import (
    account_groups,
    accounts,
    grants,
    memberships,
    moves,
    organizations,
    ownership,
    roles,
    succession,
    teams,
)
from idp.organizations.account_groups import GroupSettings
from idp.organizations.effective import Context, Holder, effective_roles, held_permissions, permissions_in
from idp.organizations.memberships import NewMember
from idp.organizations.models import Placement, RoleGrant
from idp.organizations.roles import Permitted, RoleSettings
from idp.organizations.teams import TeamSettings
from idp.platform import clock, database
from idp.platform.errors import Refusal
from idp.platform.settings import settings as platform_settings
from idp.users import lifecycle, users
from tests.organizations.test_model import STEP, Worlds
from tests.organizations.world import Grant

PAY = "https://pay.example"
LISTED = [Permitted("refunds.write"), Permitted("pay.out"), Permitted("pay.in", audience=PAY)]
NARROWER = [
    LISTED[:2],
    LISTED[1:],
    [*LISTED[:2], Permitted("pay.in", audience=PAY, live=False)],
    [Permitted("refunds.write", audience=PAY), *LISTED[1:]],
]
"""What a custom role may come to allow, after `LISTED`."""

MACHINE = ClientSettings({"client_name": "Machine", "grant_types": ["client_credentials"]})

Declared = Mapping[str, tuple[str, ...] | None]
MOST: Declared = {"pay.in": ("developer",), "pay.out": ("view_only",), "refunds.write": None}
LESS: list[Declared] = [{**MOST, "pay.in": ()}, {**MOST, "pay.out": ("developer",)}, {"refunds.write": None}, {}]
"""What the API may come to declare, after `MOST`."""


@dataclass(frozen=True)
class Said:
    """What a token says: the pairs that entries are compared with, its roles, and what they allow."""

    claims: Mapping[str, str]
    roles: frozenset[str]
    permissions: frozenset[str]

    def is_hit(self, match: Mapping[str, str]) -> bool:
        return all(
            value in self.roles if key == "role" else self.claims.get(key) == value for key, value in match.items()
        )


class Losses(Worlds):
    """The random worlds, and in them what else takes away. Of the model only what is to be found where is kept."""

    def act(self, by: int | str, real: Callable[[Actor], Any], model: Callable[[Any], object]) -> None:
        self.watch.shift(STEP / clock.SECOND)
        with contextlib.suppress(Refusal):
            self.carry_out(real, SYSTEM if by == "operator" else Actor("user", self.users[int(by)]))

    def carry_out(self, real: Callable[[Actor], Any], actor: Actor) -> Any:
        before = {place: self.said(*place) for place in self.places()}
        head = positions.head()
        answer = super().carry_out(real, actor)
        entries = [
            json.loads(one) for one in database.session().scalars(select(Change.selector).where(Change.position > head))
        ]
        for place, said in before.items():
            now = self.said(*place)
            if said.roles - now.roles or said.permissions - now.permissions:
                assert any(said.is_hit(match) for match in entries), (said, now, entries)
        database.session().rollback()
        return answer

    def places(self) -> list[tuple[Holder, Context, str]]:
        """Whom a token might speak for, where, and to which API."""
        holders = [*(Holder(user_id=user) for user in self.users), Holder(client_id=self.client)]
        return [
            (holder, Context(organization, account), audience)
            for holder in holders
            for organization, there in self.model.organizations.items()
            for account in ("", *sorted(there.accounts))
            for audience in (platform_settings().issuer, PAY)
        ]

    def said(self, holder: Holder, context: Context, audience: str) -> Said:
        held = effective_roles(holder, context)
        allowed = permissions_in(held_permissions(holder, context, audience=audience), livemode=held.livemode)
        claims = {"sub": holder.user_id or holder.client_id, "org_id": context.organization_id, "aud": audience}
        claims |= {"account_id": context.account_id} if context.account_id else {}
        claims |= {"client_id": holder.client_id} if holder.client_id else {}
        return Said(claims, held.roles, allowed)

    # What takes away, from a world that has something to take

    @initialize(order=st.randoms(use_true_random=False))
    def found(self, order: random.Random) -> None:
        """Every kind of act that takes something away, in some order; each from a world that was made whole before."""
        super().found()
        self.mend()
        kinds = sorted(self.takings())
        order.shuffle(kinds)
        for kind in kinds:
            self.mend()
            self.act("operator", order.choice(self.takings()[kind]), lambda _: None)

    def takings(self) -> dict[str, list[Callable[[Actor], Any]]]:
        """By kind: what would take something away."""
        client = clients.named(self.client)
        found: dict[str, list[Callable[[Actor], Any]]] = defaultdict(list)
        for here, there in self.model.organizations.items():
            people = {user: memberships.of_user(here, user).id for user in there.members}
            others = [people[user] for user in self.users[2:]]
            found["team place"] += [
                _later(teams.remove, here, teams.find(here, name).id, people[user])
                for name, held in there.teams.items()
                for user in sorted(held)
            ]
            found["group place"] += [
                _later(account_groups.remove, here, account_groups.find(here, name).id, account)
                for name, held in there.groups.items()
                for account in sorted(held)
            ]
            live = select(RoleGrant.id).where(RoleGrant.organization_id == here, RoleGrant.ended_at.is_(None))
            found["grant"] += [
                _later(grants.end, here, one) for one in database.session().scalars(live.order_by(RoleGrant.id))
            ]
            found["member suspended"] += [_later(memberships.suspend, here, one) for one in others]
            found["member removed"] += [_later(memberships.remove, here, one) for one in others]
            found["account"] += [_later(accounts.suspend, here, one) for one in sorted(there.accounts)]
            found["team"] += [_later(teams.delete, here, "one")]
            found["group"] += [_later(account_groups.delete, here, "one")]
            found["ownership"] += [_later(ownership.transfer, here, one) for one in people.values()]
            found["succession"] += [_later(_succeed, here, one) for one in people.values()]
            found["organization"] += [_later(organizations.suspend, here)]
            role = roles.find(here, "x_one")
            found["role"] += [_later(roles.delete, here, role.id)]
            found["narrowed"] += [_later(roles.change, here, role.id, _role(*listed)) for listed in NARROWER]
            found["switch"] += [_later(clients.switch, client, here, on=False)]
            offered = replace(MACHINE, enabled_for=frozenset([here]))
            found["offer"] += [_later(clients.reconfigure, client, offered)]
        found["person"] += [_later(lifecycle.disable, users.find(one)) for one in self.users[2:]]
        found["client"] += [_later(clients.disable, client)]
        found["api"] += [_later(apis.withdraw, apis.find(PAY)), *(_later(apis.declare, _pay(one)) for one in LESS)]
        found["move"] += [_later(_move, *places) for places in self.moves()]
        return found

    def moves(self) -> list[tuple[str, str, str]]:
        one, other = self.organizations
        return [
            (source, account, target)
            for source, target in ((one, other), (other, one))
            for account in sorted(self.model.organizations[source].accounts)[1:]
        ]

    def mend(self) -> None:
        """Let there be something to take again: everybody and everything in good standing, and a role along each path.

        The model is made to say what there is, so that acts find something to act upon.
        """
        for user in self.users:
            _try(lifecycle.enable, users.find(user))
        client = clients.named(self.client)
        _try(clients.enable, client)
        _try(clients.reconfigure, client, MACHINE)
        _try(apis.declare, _pay(MOST))
        for number, here in enumerate(self.organizations):
            _try(organizations.resume, here)
            self.mend_inside(number, here)
        for here in self.organizations:
            _try(clients.switch, client, here, on=True)

    def mend_inside(self, number: int, here: str) -> None:
        there = self.model.organizations[here]
        there.suspended, there.custom = False, {"x_one": frozenset()}
        live = select(Placement.account_id).where(Placement.organization_id == here, Placement.ended_at.is_(None))
        there.accounts = set(database.session().scalars(live))
        for user in self.users:
            _try(memberships.add, here, NewMember(user))
            _try(memberships.reactivate, here, memberships.of_user(here, user).id)
            there.members[user] = "active"
        for account in there.accounts:
            _try(accounts.resume, here, account)
        for name in ("one", "two"):
            _try(teams.create, here, TeamSettings(name, name))
            _try(account_groups.create, here, GroupSettings(name, name))
        _try(roles.create, here, _role(*LISTED))
        _try(roles.change, here, roles.find(here, "x_one").id, _role(*LISTED))
        first = sorted(there.accounts)[0]
        people = [memberships.of_user(here, user).id for user in self.users]
        _try(teams.add, here, teams.find(here, "one").id, [people[2]])
        _try(account_groups.add, here, account_groups.find(here, "one").id, [first])
        there.teams, there.groups = {"one": {self.users[2]}, "two": set()}, {"one": {first}, "two": set()}
        for who, role, where in (
            ("team:one", "developer", ("organization", here)),
            (f"user:{self.users[0]}", "super_admin", ("organization", here)),
            (f"user:{self.users[1]}", "super_admin", ("organization", here)),
            (f"user:{self.users[3]}", "view_only", ("group", "one")),
            (f"user:{self.users[4]}", "x_one", ("account", first)),
            (f"client:{self.client}", "developer", ("account", first)),
            (f"client:{self.client}", "view_only", ("group", "one")),
            ("team:one", "x_one", ("group", "one")),
        ):
            _try(grants.grant, self.wanted(here, Grant(who, role, where)))

    # Nothing is compared with the model

    def an_owner_always_remains(self) -> None:
        pass

    def everybody_holds_what_the_model_says(self) -> None:
        pass

    def look_back(self, back: int) -> None:
        pass


def _role(*listed: Permitted) -> RoleSettings:
    return RoleSettings("x_one", "One", frozenset(listed))


def _later(act: Callable[..., Any], *arguments: Any, **more: Any) -> Callable[[Actor], Any]:
    return lambda actor: act(*arguments, by=actor, **more)


def _pay(declared: Declared) -> ApiSettings:
    return ApiSettings(PAY, "Pay", permissions=declared)


def _succeed(here: str, member_id: str, *, by: Actor) -> None:
    """A directory deactivates somebody; if the owner, then a deputy follows."""
    owner = ownership.owner_of(here).member_id
    held = select(RoleGrant.member_id).where(
        RoleGrant.scope == here, RoleGrant.role_key == "super_admin", RoleGrant.member_id.not_in([owner, member_id])
    )
    ownership.name_deputy(here, database.session().scalars(held).first(), by=by)
    succession.deactivated_upstream(here, member_id, by=Actor("directory", "dir_1"))


def _move(source: str, account: str, target: str, *, by: Actor) -> None:
    moves.accept(target, moves.offer(source, account, target, by=by).id, by=by)


def _try(act: Callable[..., Any], *arguments: Any, **more: Any) -> None:
    with contextlib.suppress(Refusal), database.writing():
        act(*arguments, by=SYSTEM, **more)


@pytest.mark.rule("ORG-06")
def test_whatever_a_token_says_no_longer_is_hit_by_what_the_act_wrote(app: Flask) -> None:
    start()
    run_state_machine_as_test(
        Losses,
        settings=settings(
            max_examples=2,
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
