"""What the pages of self-service share: the frame with its links, and saying what has just been done."""

from typing import Any
from urllib.parse import urlencode

from flask import Response, redirect, request
from flask.typing import ResponseReturnValue

from idp.login.views import answers
from idp.platform import i18n
from idp.platform.errors import Refusal
from idp.platform.i18n import gettext as _
from idp.sessions import csrf, devices
from idp.sessions.people import LiveSession
from idp.users import users

SECURITY = "/me/security"


def page(session: LiveSession, here: str, template: str, status: int = 200, **values: Any) -> Response:
    """`template` for whoever is signed in. `here`: the link of the frame that leads to it."""
    return answers.page(
        template,
        None,
        status,
        here=here,
        session=session,
        name=users.display_name(users.find(session.user_id)),
        described=devices.described,
        **values,
    )


def done(session: LiveSession, what: str, path: str = SECURITY) -> ResponseReturnValue:
    """Back to the page at `path`, which says that `what` was done: to whoever did it and nobody who is sent a link."""
    signed = csrf.token(session.browser_id, _purpose(session, what))
    return redirect(f"{path}?{urlencode({'done': what, 'signed': signed})}", 303)


def just_done(session: LiveSession) -> str:
    """What the address says was done, if it was said by `done`; else empty."""
    what = request.args.get("done", "")
    is_ours = csrf.is_genuine(request.args.get("signed", ""), session.browser_id, _purpose(session, what))
    return what if is_ours else ""


def told(hindrance: Refusal | None) -> tuple[str, str] | None:
    """Why something cannot be done, and what to do first, as two sentences; `None` if it can be."""
    if hindrance is None:
        return None
    why = hindrance.message if i18n.locale() == "en" else _(hindrance.title)
    return _("%(words)s.", words=why), _(hindrance.remedy)


def _purpose(session: LiveSession, what: str) -> str:
    return f"done {session.id} {what}"
