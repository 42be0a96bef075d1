"""Carrying out what concerns clients, APIs and signing keys."""

from idp.cli.apply import steps
from idp.cli.apply.hands import Hands
from idp.cli.apply.steps import ClientPlan, Step
from idp.clients import apis, clients, secrets
from idp.clients.clients import ClientContext, ClientSettings
from idp.clients.models import OPERATOR
from idp.keys import rotation


def act(hands: Hands, step: Step) -> None:
    """Do one step."""
    by = hands.by
    match step:
        case steps.DeclareApi():
            apis.declare(step.wanted, by=by, id=step.id)
        case steps.WithdrawApi():
            apis.withdraw(apis.find(step.subject.id), by=by)
        case steps.CreateClient():
            owner = hands.id(step.owner) if step.owner else OPERATOR
            wanted = _settings(hands, step.wanted)
            created = clients.create(wanted, by=by, owner=owner, id=step.subject.name, sectors=hands.sectors)
            hands.made(step.subject, created.id)
        case steps.ChangeClient():
            client = clients.named(step.subject.id)
            clients.reconfigure(client, _settings(hands, step.wanted), by=by, sectors=hands.sectors)
        case steps.AddSecret():
            _add_secret(hands, step)
        case steps.SwitchClient():
            client = clients.named(hands.id(step.subject))
            clients.switch(client, hands.id(step.organization), on=step.on, by=by)
        case steps.EnableClient():
            clients.enable(clients.named(step.subject.id), by=by)
        case steps.DisableClient():
            clients.disable(clients.named(hands.id(step.subject)), by=by)
        case steps.DeleteClient():
            clients.delete(clients.named(step.subject.id), by=by)
        case steps.BringKey():
            rotation.bring(step.pair, by=by)
        case steps.RetireKey():
            rotation.retire(step.subject.id, by=by)
        case _:
            raise TypeError(f"nobody knows how to {step.words()}")


def _settings(hands: Hands, plan: ClientPlan) -> ClientSettings:
    context = ClientContext(
        plan.kind,
        hands.id(plan.organization) if plan.organization else None,
        hands.id(plan.account) if plan.account else None,
    )
    enabled_for = None if plan.enabled_for is None else frozenset(hands.id(one) for one in plan.enabled_for)
    return ClientSettings(plan.metadata, context, enabled_for, plan.first_party)


def _add_secret(hands: Hands, step: steps.AddSecret) -> None:
    """The secret of the file is used as it is given; of the two that may live, it takes the place of the older one."""
    client = clients.named(hands.id(step.subject))
    live = secrets.of(client.id)
    if len(live) >= secrets.MOST:
        secrets.end(client, live[0].id, by=hands.by)
    secrets.add(client, by=hands.by, given=step.secret)
