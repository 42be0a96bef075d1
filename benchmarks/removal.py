"""From a role that is taken away to its refusal by the last of twenty services that follow the change feed."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks import load, world
from benchmarks.load import Sample
from benchmarks.node import Node
from benchmarks.provider import Provider
from benchmarks.requests import Person
from idp_verifier import InvalidToken, Unavailable, Verifier
from idp_verifier.follower import EVERY as POLLED_EVERY

VERIFIERS = 20
EVERY = 0.01
"""Seconds of rest between two rounds of looks, of each service at each token. Times are as much too long as a round and
a rest take, and never too short."""
PATIENCE = 20.0


def verifier(provider: Provider, instance: str) -> Verifier:
    """A service that follows the feed of `provider`."""
    return Verifier(
        provider.issuer, world.PAYMENTS, client_id=world.SERVICE, client_secret=world.SECRET, instance=instance
    )


@dataclass
class _Trial:
    """A token that has lost a role. `left`: the services that have not refused it yet."""

    person: Person
    name: str
    committed: float
    left: list[Verifier]
    refused: list[float] = field(default_factory=list)


def measure(provider: Provider, node: Node, trials: int) -> dict[str, float | int]:
    """Milliseconds from the commit to each refusal, and to the last one of a trial; one trial a person at a time."""
    people = {name: Person(provider.port, name).ready() for name in world.PEOPLE}
    with ExitStack() as running:
        services = [running.enter_context(verifier(provider, f"bench-{number}")) for number in range(VERIFIERS)]
        _await(lambda: all(_passes(one, person.tokens.access) for one in services for person in people.values()))
        done = _go_through(provider.port, node, people, services, trials)
    each = Sample(1, [took for trial in done for took in trial.refused])
    last = Sample(1, [max(trial.refused) for trial in done])
    return {
        "trials": len(done),
        "verifiers": VERIFIERS,
        "p50_ms": each.at(0.5) * 1000,
        "p99_ms": each.at(0.99) * 1000,
        "last_p50_ms": last.at(0.5) * 1000,
        "last_p99_ms": last.at(0.99) * 1000,
        "last_max_ms": max(last.acts) * 1000,
    }


def _go_through(
    port: int, node: Node, people: dict[str, Person], services: list[Verifier], trials: int
) -> list[_Trial]:
    waiting = {name: _sometime() for name in people}
    under_way: list[_Trial] = []
    done: list[_Trial] = []
    while len(done) < trials:
        time.sleep(EVERY)
        due = [name for name, at in waiting.items() if at <= time.monotonic()]
        for name in due[: trials - len(done) - len(under_way)]:
            del waiting[name]
            committed = float(node.ask("take", name, world.SMALL, "a0"))
            under_way.append(_Trial(people[name], name, committed, list(services)))
        for trial in list(under_way):
            _look(trial)
            if not trial.left:
                under_way.remove(trial)
                done.append(trial)
                node.ask("give", trial.name, world.SMALL, "a0", "developer")
                load.once(port, trial.person.refresh())
                waiting[trial.name] = _sometime()
    return done


def _sometime() -> float:
    """An instant that no poll has to do with: not before every service knows of all that a token from now knows of.

    Whoever is shown a token from beyond what they know asks at once, and would hear of the loss before they looked.
    """
    spread = random.SystemRandom().uniform(0, POLLED_EVERY)
    return time.monotonic() + 2 * POLLED_EVERY + spread


def _look(trial: _Trial) -> None:
    for service in list(trial.left):
        if _refuses(service, trial.person.tokens.access):
            trial.left.remove(service)
            trial.refused.append(time.monotonic() - trial.committed)
    if time.monotonic() > trial.committed + PATIENCE:
        raise TimeoutError("a token that lost a role is not refused")


def _passes(service: Verifier, token: str) -> bool:
    try:
        service.verify(token)
    except (InvalidToken, Unavailable):
        return False
    return True


def _refuses(service: Verifier, token: str) -> bool:
    try:
        service.verify(token)
    except InvalidToken:
        return True
    except Unavailable:
        return False
    return False


def _await(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError("the services do not come to know the provider")
        time.sleep(EVERY)


def verifying(provider: Provider, times: int) -> dict[str, float]:
    """Microseconds that `verify` takes in a service that knows the feed and the keys."""
    token = Person(provider.port, world.PEOPLE[0]).ready().tokens.access
    with verifier(provider, "bench-alone") as service:
        _await(lambda: _passes(service, token))
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            service.verify(token)
            taken.append(time.perf_counter() - began)
    sample = Sample(1, taken)
    return {"p50_us": sample.at(0.5) * 1e6, "p99_us": sample.at(0.99) * 1e6}
