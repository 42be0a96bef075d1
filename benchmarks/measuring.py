"""What is measured, on one database after the other."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import load, removal, requests, world
from benchmarks import postgresql as servers
from benchmarks.load import Sample
from benchmarks.node import Node, node
from benchmarks.provider import ROOT, Provider, cold_start, provider
from benchmarks.requests import KINDS, Person
from tests.postgresql import Server

DATABASES: Final = ("sqlite", "postgresql")
OTHERS: Final = ("start", "issue", "verify", "removal")
"""What is measured beside the kinds of requests."""


@dataclass(frozen=True)
class Extent:
    """How much is measured. `seconds`: of load for each kind of request, half of them on one connection."""

    seconds: float
    trials: int
    rounds: int
    starts: int
    accounts: int = 5_000


WHOLE: Final = Extent(seconds=6, trials=200, rounds=1_000, starts=3)
QUICK: Final = Extent(seconds=2, trials=40, rounds=200, starts=1)


def measure(names: Sequence[str], databases: Sequence[str], extent: Extent) -> dict[str, Any]:
    """What the named measurements say, by database."""
    return {database: _on(database, names, extent) for database in databases}


def _on(database: str, names: Sequence[str], extent: Extent) -> dict[str, Any]:
    with ExitStack() as running:
        server = running.enter_context(servers.server() if database == "postgresql" else nullcontext())
        _say(database)
        ours = running.enter_context(provider(server, ROOT, extent.accounts if "issue" in names else 2))
        found: dict[str, Any] = {}
        if "start" in names:
            found["start"] = {"seconds": cold_start(ours, extent.starts), **ours.memory()}
        kinds = [name for name in names if name in KINDS]
        found["requests"] = {name: _load(name, ours, extent) for name in kinds}
        if kinds:
            found["memory"] = ours.memory()
        if "verify" in names:
            found["verify"] = removal.verifying(ours, extent.rounds * 10)
        if {"issue", "removal"} & set(names):
            beside = running.enter_context(node(ours))
            found |= _beside(names, ours, beside, extent)
    return found


def _beside(names: Sequence[str], ours: Provider, beside: Node, extent: Extent) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "issue" in names:
        _say("  issue")
        found["issue"] = _issue(ours, beside, extent)
    if "removal" in names:
        _say("  removal")
        found["removal"] = removal.measure(ours, beside, extent.trials)
    return found


def _load(name: str, ours: Provider, extent: Extent) -> dict[str, float | None]:
    """One connection, then eight. CPU is that of the provider's processes (and of the database's) per act, at eight."""
    _say(f"  {name}")
    acts = KINDS[name].makes(ours.port)
    load.drive(ours.port, acts, extent.seconds / 12)
    alone = load.drive(ours.port, acts[:1], extent.seconds / 2)
    cpu, of_database = ours.cpu(), ours.database_cpu()
    together = load.drive(ours.port, acts, extent.seconds / 2)
    return {
        "acts": len(alone.acts) + len(together.acts),
        "p50_ms": alone.at(0.5) * 1000,
        "p99_ms": alone.at(0.99) * 1000,
        "per_second": together.rate,
        "busy_p50_ms": together.at(0.5) * 1000,
        "busy_p99_ms": together.at(0.99) * 1000,
        "cpu_ms": (ours.cpu() - cpu) / len(together.acts) * 1000,
        "database_cpu_ms": None
        if of_database is None
        else ((ours.database_cpu() or 0) - of_database) / len(together.acts) * 1000,
    }


def _issue(ours: Provider, beside: Node, extent: Extent) -> dict[str, Any]:
    """What a token costs for somebody with thousands of accounts and for somebody with two."""
    people = {
        name: Person(ours.port, name, organization=organization, resource=world.LEDGER).ready()
        for name, organization in ((world.FEW, world.SMALL), (world.MANY, world.LARGE))
    }
    ids = {name: requests.authorization_of(person.tokens) for name, person in people.items()}
    said: dict[str, Any] = beside.ask("issue", ids, extent.rounds)
    few, many = said[world.FEW], said[world.MANY]
    ratios = {f"{what}_ratio": many[f"{what}_us"] / few[f"{what}_us"] for what in ("issue", "roles")}
    return {"accounts": extent.accounts, **said, **ratios}


# Two checkouts


def compare(checkout: Path, names: Sequence[str], databases: Sequence[str], extent: Extent) -> dict[str, Any]:
    """This checkout against another: ratios (below 1: this one is faster or cheaper), by database and kind."""
    return {database: _compared(database, checkout, names, extent) for database in databases}


def _compared(database: str, checkout: Path, names: Sequence[str], extent: Extent) -> dict[str, Any]:
    with ExitStack() as running:
        server: Server | None = running.enter_context(servers.server() if database == "postgresql" else nullcontext())
        pair = [running.enter_context(provider(server, one, 2)) for one in (ROOT, checkout)]
        return {name: _ratios(name, pair, extent) for name in names if name in KINDS}


def _ratios(name: str, pair: list[Provider], extent: Extent) -> dict[str, float]:
    _say(f"  {name}")
    acts = [KINDS[name].makes(one.port) for one in pair]
    samples: list[list[Sample]] = [[], []]
    cpu = [0.0, 0.0]
    for turn in range(-2, 24):
        which = (turn + turn // 2) % 2  # ABBA: whatever grows on the way grows for both
        before = pair[which].cpu()
        sample = load.drive(pair[which].port, acts[which][:1], extent.seconds / 12)
        if turn >= 0:
            samples[which].append(sample)
            cpu[which] += pair[which].cpu() - before
    ours, theirs = (Sample.of(several) for several in samples)
    return {
        "p50": ours.at(0.5) / theirs.at(0.5),
        "mean": theirs.rate / ours.rate,
        "cpu": (cpu[0] / len(ours.acts)) / (cpu[1] / len(theirs.acts)),
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
