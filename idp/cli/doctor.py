"""`idp doctor`: what keeps this installation from working, as far as can be seen from here."""

from collections.abc import Callable
from typing import Final

import click

from idp.cli.door import Command, Failure
from idp.cli.output import Json
from idp.keys import master_keys
from idp.platform import jobs, schema
from idp.platform.errors import Refusal
from idp.platform.mail import delivery
from idp.platform.mail.smtp import NotSent


class JobsParked(Refusal):
    """Work has failed too often, and waits for somebody to look at it."""

    code = "jobs_parked"
    status = 503
    title = "Jobs have failed too often"
    remedy = "See `idp job list`; once what made them fail is mended: `idp job retry --all`."


def _schema() -> str:
    schema.check()
    return "the one of this release"


def _keys() -> str:
    master_keys.check()
    return "open what is sealed"


def _parked() -> str:
    parked = sum(one.state == "parked" for one in jobs.undone())
    if parked:
        raise JobsParked(f"{parked} parked")
    return "none is parked"


CHECKS: Final[tuple[tuple[str, Callable[[], str]], ...]] = (
    ("schema", _schema),
    ("master keys", _keys),
    ("mail", delivery.check),
    ("jobs", _parked),
)
"""Each says what is well, or raises what is not."""


@click.command(cls=Command, needs="application")
def doctor() -> Json:
    """Look at database, keys, mail and jobs; status 0 only if all is well. Sends nothing."""
    found = [_looked_at(name, check) for name, check in CHECKS]
    if not all(one["ok"] for one in found):
        raise Failure(found)
    return found


def _looked_at(name: str, check: Callable[[], str]) -> dict[str, Json]:
    try:
        return {"check": name, "ok": True, "found": check(), "remedy": ""}
    except Refusal as refusal:
        return {"check": name, "ok": False, "found": refusal.message, "remedy": refusal.remedy}
    except NotSent as error:
        said = f"{type(error).__name__}: {error.answer or error}"
        return {"check": name, "ok": False, "found": said, "remedy": "Check IDP_MAIL (`idp config show`)."}
    except OSError as error:
        said = error.strerror or type(error).__name__
        return {"check": name, "ok": False, "found": said, "remedy": "Let the directory in IDP_MAIL be writable."}
