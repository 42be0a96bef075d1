"""`idp job`: work that waits, and work that failed too often."""

import click

from idp.cli.door import Noun
from idp.cli.output import Json, moment
from idp.platform import database, jobs, outbox
from idp.platform.errors import Invalid
from idp.platform.jobs import Waiting

job = Noun("job", help="Jobs: what is done after a change, like mails.")


@job.command("list")
def list_() -> Json:
    """Every job that is not done; those that were parked, because they failed too often, come first."""
    return [_shown(one) for one in jobs.undone()]


@job.command("get")
@click.argument("job_id", metavar="JOB")
def get(job_id: str) -> Json:
    """One job that is not done. Of a letter: which one, to whom and since when; what it says is shown to nobody."""
    one = jobs.find(job_id)
    return {**_shown(one), "letter": _letter(one)}


@job.command("retry")
@click.argument("job_id", metavar="[JOB]", default="")
@click.option("--all", "every", is_flag=True, help="Every parked job.")
def retry(job_id: str, every: bool) -> Json:
    """Have a parked job tried again, or all of them, once what made them fail is mended."""
    if bool(job_id) is every:
        raise Invalid("name one job, or say --all", field="job")
    parked = [one.id for one in jobs.undone() if one.state == "parked"] if every else [job_id]
    with database.writing():
        for one in parked:
            jobs.again(one)
    return {"jobs": parked}


def _shown(one: Waiting) -> dict[str, Json]:
    return {
        "id": one.id,
        "kind": one.kind,
        "state": one.state,
        "due_at": moment(one.due_at),
        "attempts": one.attempts,
        "last_error": one.last_error,
    }


def _letter(one: Waiting) -> dict[str, Json] | None:
    if one.kind != outbox.KIND:
        return None
    posted = outbox.posted(str(one.payload["letter"]))
    return {
        "template": posted.letter.template,
        "to": posted.letter.to,
        "posted_at": moment(posted.at),
        "expires_at": moment(posted.letter.expires_at) if posted.letter.expires_at else None,
    }
