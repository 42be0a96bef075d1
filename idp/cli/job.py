"""`idp job`: work that waits, and work that failed too often."""

import click

from idp.cli.door import Noun
from idp.cli.output import Json, moment
from idp.platform import database, jobs

job = Noun("job", help="Jobs: what is done after a change, like mails.")


@job.command("list")
def list_() -> Json:
    """Every job that is not done; those that were parked, because they failed too often, come first."""
    return [
        {
            "id": one.id,
            "kind": one.kind,
            "state": one.state,
            "due_at": moment(one.due_at),
            "attempts": one.attempts,
            "last_error": one.last_error,
        }
        for one in jobs.undone()
    ]


@job.command("retry")
@click.argument("job_id", metavar="JOB")
def retry(job_id: str) -> Json:
    """Have a parked job tried again, once what made it fail is mended."""
    with database.writing():
        jobs.again(job_id)
    return {"job": job_id}
