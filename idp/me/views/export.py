"""`/me/export`: everything that is kept about oneself, as a file."""

import json

from flask import Flask, Response
from flask.typing import ResponseReturnValue

from idp.audit import trail
from idp.audit.search import LONGEST_PAGE, Cursor, Found
from idp.audit.trail import Actor
from idp.credentials import allowances
from idp.login.views import requires
from idp.me import own_data
from idp.me.views import activity, frame
from idp.platform import clock, database
from idp.platform.errors import Refusal
from idp.sessions.people import LiveSession

PATH = "/me/export"

AT_ONCE = 3
"""Downloads that one person may have in a row."""

REFILL = 20 * clock.MINUTE
"""After how long there is one more."""


class TooManyExports(Refusal):
    """One's data were downloaded too often just now."""

    code = "too_many_exports"
    status = 429
    title = "Your data were downloaded several times just now"
    remedy = "Use the file that you have, or try again in twenty minutes."
    retry_after = REFILL // clock.SECOND


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(PATH, "me_export", ask, methods=["GET"])
    app.add_url_rule(PATH, "export_mine", export, methods=["POST"])


@requires.recently_proven
def ask(session: LiveSession) -> ResponseReturnValue:
    """What the file holds, and a button for it."""
    return frame.page(session, "profile", "me/export.html", is_refused=False)


@requires.recently_proven
def export(session: LiveSession) -> ResponseReturnValue:
    """The file. That it was made is written down first (AUD-01). Raises nothing: too often is said on the page."""
    try:
        with database.writing():
            requires.still_recent(session)
            _note(session.user_id)
    except TooManyExports as refusal:
        page = frame.page(session, "profile", "me/export.html", refusal.status, is_refused=True)
        page.headers["Retry-After"] = str(refusal.retry_after)
        return page
    database.look()
    happened = _happened(session.user_id)
    told = own_data.of(session.user_id, happened, activity.told(happened, session.user_id))
    headers = {"Content-Disposition": 'attachment; filename="my-data.json"', "Cache-Control": "no-store"}
    return Response(f"{json.dumps(told, ensure_ascii=False, indent=2)}\n", headers=headers, mimetype="application/json")


def _note(user_id: str) -> None:
    if not allowances.take("export", user_id, at_once=AT_ONCE, refill=REFILL):
        raise TooManyExports
    trail.record("user.exported", by=Actor("user", user_id), subject=user_id)


def _happened(user_id: str) -> list[Found]:
    """The activity of the person, one entry more than the file takes at most."""
    found: list[Found] = []
    after: Cursor | None = None
    while len(found) <= own_data.MOST:
        page = activity.of(user_id, after=after, limit=LONGEST_PAGE)
        found += page.entries
        after = page.next
        if after is None:
            break
    return found[: own_data.MOST + 1]
