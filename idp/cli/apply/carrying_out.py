"""Carrying a plan out: each step by the rule of its room, many of a kind together, all in the caller's transaction."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from types import MappingProxyType
from typing import Any

from idp.audit import trail
from idp.audit.trail import Actor
from idp.cli.apply import acts_organizations, acts_people, acts_programs, steps
from idp.cli.apply.hands import Hands
from idp.cli.apply.places import Fault, FileRefused
from idp.cli.apply.plan import Plan
from idp.cli.apply.steps import Step
from idp.clients import sectors
from idp.clients.sectors import Sectors
from idp.organizations.models import (
    Account,
    GroupAccount,
    Membership,
    MembershipStatus,
    Placement,
    RoleGrant,
    TeamMember,
)
from idp.platform import bulk
from idp.platform.database import Model
from idp.platform.errors import Refusal, Unavailable
from idp.users.models import Address, User

AT_ONCE = 10_000
"""Steps that are handed to one rule at a time: enough to be quick, few enough to show progress."""

_ONE: Mapping[str, Callable[[Hands, Step], None]] = {
    **dict.fromkeys(("user", "operator"), acts_people.act),
    **dict.fromkeys(
        ("organization", "account", "group", "role", "team", "domain", "member", "grant"), acts_organizations.act
    ),
    **dict.fromkeys(("api", "client", "key"), acts_programs.act),
}
"""Who does a step, by the first word of its act."""

_MANY: Mapping[type[Step], tuple[Callable[[Any], Hashable], Callable[[Hands, Any], None]]] = {
    steps.CreateUser: (lambda step: None, acts_people.create),
    steps.OpenAccount: (lambda step: step.organization, acts_organizations.open_accounts),
    steps.AddMember: (lambda step: step.organization, acts_organizations.add_members),
    steps.GrantRole: (lambda step: step.organization, acts_organizations.grant_roles),
    steps.FillGroup: (lambda step: step.subject, acts_organizations.fill_group),
    steps.EmptyGroup: (lambda step: step.subject, acts_organizations.empty_group),
    steps.JoinTeam: (lambda step: step.subject, acts_organizations.join_team),
    steps.LeaveTeam: (lambda step: step.subject, acts_organizations.leave_team),
}
"""Which steps are done together (those of which the first function says the same), and by whom."""


_WRITES: Mapping[type[Step], tuple[type[Model], ...]] = {
    steps.CreateUser: (User, Address),
    steps.OpenAccount: (Account, Placement),
    steps.AddMember: (Membership, MembershipStatus),
    steps.GrantRole: (RoleGrant,),
    steps.FillGroup: (GroupAccount,),
    steps.JoinTeam: (TeamMember,),
}
"""Tables that grow by steps that come in thousands, and are asked by those that follow."""


def look(plan: Plan, *, file: str) -> Sectors:
    """What lies elsewhere about the clients that will be made or changed. Not inside `database.writing()`.

    Raises `FileRefused` as `carry_out` does.
    """
    seen: dict[str, frozenset[str]] = {}
    for step in plan.steps:
        if isinstance(step, steps.CreateClient | steps.ChangeClient):
            before = plan.outlook.present.clients.get(step.subject.name)
            with _refused_at(step, file):
                seen |= sectors.look(step.wanted.metadata, before.settings.metadata if before else {})
    return seen


def carry_out(
    plan: Plan, *, file: str, by: Actor, told: Callable[[int, int], None], seen: Sectors = MappingProxyType({})
) -> None:
    """Do every step; `told` how many are done, of how many. Called inside `database.writing()`.

    `seen`: what `look` saw.

    Raises `FileRefused`, naming the place in `file`, when a rule refuses: then nothing may stay.
    """
    hands, done = Hands(by, seen), 0
    with trail.together():
        for kind, same in groupby(plan.steps, key=type):
            grown, analyzed = 0, bulk.CHUNK
            for some in _batches(kind, list(same)):
                _do(hands, kind, some, file)
                grown += len(some)
                if kind in _WRITES and grown >= 2 * analyzed:
                    bulk.analyze(*_WRITES[kind])
                    analyzed = grown
                told(done + grown, len(plan.steps))
            done += grown


def _batches(kind: type[Step], same: Sequence[Step]) -> Iterator[Sequence[Step]]:
    if kind not in _MANY:
        yield from ([step] for step in same)
        return
    together: dict[Hashable, list[Step]] = defaultdict(list)
    for step in same:
        together[_MANY[kind][0](step)].append(step)
    for some in together.values():
        for start in range(0, len(some), AT_ONCE):
            yield some[start : start + AT_ONCE]


def _do(hands: Hands, kind: type[Step], some: Sequence[Step], file: str) -> None:
    first = some[0]
    with _refused_at(first, file):
        if kind in _MANY:
            _MANY[kind][1](hands, some)
        else:
            _ONE[first.ACT.partition(".")[0]](hands, first)


@contextmanager
def _refused_at(step: Step, file: str) -> Iterator[None]:
    """What a rule refuses is told with the place in the file that asked for it."""
    try:
        yield
    except Unavailable:
        raise
    except Refusal as refusal:
        said = f"cannot {step.words()}: {refusal.message}"
        raise FileRefused(file, [Fault(step.place.line, step.place.path, said)]) from None
