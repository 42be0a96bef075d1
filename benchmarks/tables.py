"""What was measured, as people read it."""

import os
import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.requests import KINDS

BEGINS, ENDS = "<!-- measured -->\n", "<!-- /measured -->\n"


def machine() -> dict[str, Any]:
    """Where it was measured."""
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.findall(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(memory[0]) / 1e6, 1) if memory else None,
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first two hold numbers."""
    marks = ["---" if number < 2 else "---:" for number in range(len(heads))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, marks, *rows)) + "\n"


def whole(report: dict[str, Any]) -> str:
    """Everything in `report`: where and when, and a table for each kind of number."""
    parts = [_where(report), _requests(report["databases"]), _others(report["databases"])]
    return "\n".join(part for part in parts if part)


def ratios(compared: dict[str, Any]) -> str:
    """This checkout against another."""
    rows = [
        (KINDS[name].title, database, *(f"{found[what]:.2f}" for what in ("p50", "mean", "cpu")))
        for database, kinds in compared.items()
        for name, found in kinds.items()
    ]
    return table(("Request", "Database", "p50", "mean", "CPU"), rows)


def put(page: Path, text: str) -> None:
    """Write `text` where the page has a place for it."""
    head, _, rest = page.read_text().partition(BEGINS)
    page.write_text(f"{head}{BEGINS}{text}{ENDS}{rest.partition(ENDS)[2]}")


def _where(report: dict[str, Any]) -> str:
    on, how = report["machine"], "a quick look" if report["quick"] else "a whole run"
    return (
        f"{report['taken']}, {how}, commit {report['commit']}: {on['cpu']}, {on['cores']} cores, {on['memory_gb']} GB,"
        f" Python {on['python']}; load of the machine before: {on['load_before']}.\n"
    )


def _requests(databases: dict[str, Any]) -> str:
    rows = [
        (
            KINDS[name].title,
            database,
            f"{one['p50_ms']:.2f}",
            f"{one['p99_ms']:.2f}",
            f"{one['per_second']:,.0f}",
            f"{one['busy_p50_ms']:.2f}",
            f"{one['busy_p99_ms']:.2f}",
            f"{one['cpu_ms']:.2f}",
            "" if one["database_cpu_ms"] is None else f"{one['database_cpu_ms']:.2f}",
        )
        for name in KINDS
        for database, found in databases.items()
        if (one := found["requests"].get(name))
    ]
    heads = ("Request", "Database", "p50", "p99", "per second", "p50 of 8", "p99 of 8", "CPU", "CPU of the database")
    return table(heads, rows) if rows else ""


def _others(databases: dict[str, Any]) -> str:
    rows = [line for database, found in databases.items() for line in _lines(database, found)]
    return table(("What", "Database", "Measured"), rows) if rows else ""


def _lines(database: str, found: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    if start := found.get("start"):
        yield "cold start, until it answers", database, f"{start['seconds']:.2f} s"
        yield "memory after the start: web worker; all processes", database, _memory(start)
    if memory := found.get("memory"):
        yield "memory after the load: web worker; all processes", database, _memory(memory)
    if issue := found.get("issue"):
        many, few = issue["many"], issue["few"]
        yield (
            f"issue: {issue['accounts']:,} accounts against 2",
            database,
            f"{many['issue_us']:.0f} against {few['issue_us']:.0f} µs: {issue['issue_ratio']:.2f}",
        )
        yield (
            "of that, effective roles",
            database,
            f"{many['roles_us']:.0f} against {few['roles_us']:.0f} µs: {issue['roles_ratio']:.2f}",
        )
        yield f"access token, {issue['accounts']:,} accounts against 2", database, f"{many['bytes']}, {few['bytes']} B"
    if verify := found.get("verify"):
        yield "`verify` in a service: p50; p99", database, f"{verify['p50_us']:.0f}; {verify['p99_us']:.0f} µs"
    if removal := found.get("removal"):
        yield (
            f"role taken away until refused, {removal['verifiers']} services, {removal['trials']} trials: p50; p99",
            database,
            f"{removal['p50_ms']:.0f}; {removal['p99_ms']:.0f} ms",
        )
        yield (
            "until the last of them refuses: p50; p99; most",
            database,
            f"{removal['last_p50_ms']:.0f}; {removal['last_p99_ms']:.0f}; {removal['last_max_ms']:.0f} ms",
        )


def _memory(found: dict[str, float]) -> str:
    return f"{found['worker_mb']:.0f}; {found['all_mb']:.0f} MB"
