"""`idp audit`: the trail of what happened."""

import os
from collections.abc import Iterable
from pathlib import Path

import click

from idp.audit import export as exports
from idp.audit import verify as verification
from idp.audit.chain import ChainHead
from idp.audit.search import Question
from idp.audit.verify import Finding
from idp.cli import naming, output
from idp.cli.door import Failure, Noun, operator
from idp.cli.output import Answer, Json, Lines
from idp.organizations import scopes
from idp.platform import clock, database
from idp.platform.errors import Invalid

audit = Noun("audit", help="The audit trail: who did what, when, from where.")

_organization = click.option("--organization", default="", help="Only this organization (id or slug).")


@audit.command("export")
@_organization
@click.option("--format", "form", type=click.Choice(list(exports.FORMS)), default="jsonl", show_default=True)
@click.option("--event", default="", help="Only this event, or those that begin with it (ending with a dot).")
@click.option("--actor", default="", help="Only what this actor did (an id).")
@click.option("--subject", default="", help="Only what was done to this subject (an id).")
@click.option("--since", default="", help="From this time on (RFC 3339).")
@click.option("--until", default="", help="Before this time (RFC 3339).")
@click.option("--output", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead.")
def export(
    organization: str, form: str, event: str, actor: str, subject: str, since: str, until: str, file: Path | None
) -> Answer:
    """Print the entries of the trail, the oldest first. The export is an entry of its own."""
    question = Question(
        event=event,
        actor=actor,
        subject=subject,
        since=naming.instant("--since", since) if since else 0,
        until=naming.instant("--until", until) if until else clock.FOREVER,
    )
    by = operator()
    with database.writing():
        if organization:
            begun = exports.begin(scopes.organization_named(organization), form, question, by=by)
        else:
            begun = exports.begin_everywhere(form, question, by=by)
    if file is None:
        return Lines(begun.lines(), are_json=form == "jsonl")
    return {"file": str(file), "lines": _written(file, begun.lines())}


@audit.command("verify")
@_organization
@click.option(
    "--expected", default="", metavar="HEAD", help="A head that was kept elsewhere, as this command prints it."
)
def verify(organization: str, expected: str) -> Json:
    """Check the hash chains; status 0 only if every sealed entry is as it was sealed."""
    wanted = scopes.organization_named(organization) if organization else ""
    with output.progress("Verifying") as tell:
        report = verification.verify(organization=wanted, expected=_head(expected), progress=tell)
    found = report.finding
    answer: Json = {
        "intact": found is None,
        "head": str(report.head) if report.head else None,
        "unsealed": report.unsealed,
        "finding": None if found is None else _found(found),
    }
    if found is not None:
        raise Failure(answer)
    return answer


def _found(finding: Finding) -> Json:
    return {
        "fault": str(finding.fault),
        "chain": finding.chain,
        "number": finding.number,
        "entry": finding.entry_id,
        "what": finding.what,
    }


def _head(text: str) -> ChainHead | None:
    try:
        return ChainHead.parse(text) if text else None
    except ValueError:
        raise Invalid("--expected: a head as this command prints it is expected", field="expected") from None


def _written(file: Path, lines: Iterable[str]) -> int:
    """Write `lines` to a file that nobody else may read; how many there were."""
    count = 0
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline="") as into:
        for count, line in enumerate(lines, 1):  # noqa: B007 the count is what is wanted
            into.write(line)
    return count
