"""`/me/security/codes`: recovery codes. They are shown once, when they are made."""

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.credentials import factors, recovery_codes
from idp.login import changing_factors, stepping_up
from idp.login.views import enrol_codes, requires
from idp.me.views import frame
from idp.platform import database
from idp.sessions.people import LiveSession

PATH = f"{frame.SECURITY}/codes"


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(PATH, "me_codes", show, methods=["GET"])
    app.add_url_rule(PATH, "make_codes", make, methods=["POST"])


@requires.recently_proven
def show(session: LiveSession) -> ResponseReturnValue:
    """How many are left, and a button for new ones."""
    return _page(session)


@requires.signed_in
def make(session: LiveSession) -> ResponseReturnValue:
    """New codes, shown in the answer and nowhere else; the old ones are void. Or what the person does with them.

    Codes stand in for a second factor: whoever has none gets none. A page that is loaded again asks for others in place
    of those before the ones that it showed: it gets none, and those stay good.
    """
    if shown := recovery_codes.read(request.form.get("codes", "")):
        return _keep(session, shown)
    if not stepping_up.is_recent(session):
        return requires.to_step_up(session)
    with database.writing():
        requires.still_recent(session)
        instead = str(recovery_codes.made_at(session.user_id))
        if not factors.of(session.user_id) or request.form.get("instead", "") != instead:
            return redirect(PATH, 303)
        made = changing_factors.make_codes(session.user_id, by=Actor("user", session.user_id))
    return _page(session, made)


def _keep(session: LiveSession, shown: tuple[str, ...]) -> ResponseReturnValue:
    """The codes as a file, or put away, as the person says. What comes here is not looked up."""
    if "file" in request.form:
        return enrol_codes.as_file(shown)
    if "saved" not in request.form:
        return _page(session, shown, is_missing=True)
    return frame.done(session, "codes.made")


def _page(session: LiveSession, made: tuple[str, ...] = (), *, is_missing: bool = False) -> ResponseReturnValue:
    return frame.page(
        session,
        "security",
        "me/codes.html",
        just_done=frame.just_done(session),
        offers_ending=False,
        has_factor=bool(factors.of(session.user_id)),
        left=recovery_codes.left(session.user_id),
        instead=recovery_codes.made_at(session.user_id),
        most=recovery_codes.NUMBER,
        codes=made,
        is_missing=is_missing,
    )
