"""`./run bench`."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from benchmarks import measuring, tables
from benchmarks.measuring import DATABASES, OTHERS, QUICK, WHOLE
from benchmarks.provider import ROOT
from benchmarks.requests import KINDS

NAMES: Final = (*KINDS, *OTHERS)
PAGE: Final = ROOT / "docs" / "performance.md"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write all numbers there, too.")
@click.option("--quick", is_flag=True, help="Half of the time, for a first look.")
@click.option("--database", "databases", multiple=True, type=click.Choice(DATABASES), help="On this one only.")
@click.option("--write", is_flag=True, help="Put the tables into docs/performance.md.")
@click.option(
    "--against",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Another checkout: ratios of this one to it, in alternation.",
)
def bench(
    names: tuple[str, ...],
    file: Path | None,
    quick: bool,
    databases: tuple[str, ...],
    write: bool,
    against: Path | None,
) -> None:
    """Measure what the provider costs: all of it, or what is named."""
    extent, on = QUICK if quick else WHOLE, databases or DATABASES
    if against:
        compared = measuring.compare(against.resolve(), names or tuple(KINDS), on, extent)
        click.echo(tables.ratios(compared))
        return
    report = {
        "taken": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "quick": quick,
        "machine": tables.machine(),
        "databases": measuring.measure(names or NAMES, on, extent),
    }
    text = tables.whole(report)
    click.echo(text)
    if file:
        file.write_text(json.dumps(report, indent=2) + "\n")
    if write:
        tables.put(PAGE, text)


def _commit() -> str:
    """What a table was taken of."""
    command = ["git", "describe", "--always", "--dirty"]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # noqa: S603 always this very command
    return asked.stdout.strip() or "unknown"


if __name__ == "__main__":
    bench()
