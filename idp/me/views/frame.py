"""What the pages of self-service share: the frame with its links, and saying what has just been done."""

from typing import Any
from urllib.parse import urlencode

from flask import Response, redirect, request
from flask.typing import ResponseReturnValue

from idp.login.views import answers
from idp.platform import appearance, cookies, i18n
from idp.platform.appearance import Appearance
from idp.platform.errors import Refusal
from idp.platform.i18n import gettext as _
from idp.platform.settings import settings
from idp.sessions import csrf, devices
from idp.sessions.people import LiveSession
from idp.users import users, zones

SECURITY = "/me/security"


def page(session: LiveSession, here: str, template: str, status: int = 200, **values: Any) -> Response:
    """`template` for whoever is signed in. `here`: the link of the frame that leads to it."""
    person = users.find(session.user_id)
    own = Appearance(person.theme, zones.of(person))
    with appearance.looking(own):
        answer = answers.page(
            template,
            None,
            status,
            here=here,
            session=session,
            name=users.display_name(person),
            described=devices.described,
            **values,
        )
    if own.theme != appearance.current().theme:
        _remember(answer, own.theme)
    return answer


def _remember(answer: Response, theme: str) -> None:
    """Pages before signing in follow what the person chose who was here last."""
    kept = cookies.written(appearance.COOKIE, theme or "auto", settings(), max_age=appearance.COOKIE_AGE)
    answer.headers.add("Set-Cookie", kept)


def done(session: LiveSession, what: str, path: str = SECURITY) -> ResponseReturnValue:
    """Back to the page at `path`, which says that `what` was done: to whoever did it and nobody who is sent a link."""
    return redirect(done_at(session, what, path), 303)


def done_at(session: LiveSession, what: str, path: str) -> str:
    """The address at which the page at `path` says so."""
    signed = csrf.token(session.browser_id, _purpose(session, what))
    return f"{path}?{urlencode({'done': what, 'signed': signed})}"


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
