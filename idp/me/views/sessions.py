"""`/me/sessions`: where you are signed in, and which browsers you trust, each to be ended."""

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.login.views import browser, requires
from idp.me.views import frame
from idp.oauth import connected
from idp.platform import database
from idp.platform.errors import NotFound
from idp.sessions import browsers, listings, people, trusted_devices
from idp.sessions.people import LiveSession

PATH = "/me/sessions"

EVERYWHERE_ELSE = "others"
ALL = "all"

_MOST = 100


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(PATH, "me_sessions", show, methods=["GET"])
    app.add_url_rule(PATH, "end_session", end, methods=["POST"])
    app.add_url_rule("/me/security/devices", "end_trust", forget, methods=["POST"])


@requires.signed_in
def show(session: LiveSession) -> ResponseReturnValue:
    """The page."""
    lines = listings.sessions(session.user_id, limit=_MOST)
    return frame.page(
        session,
        "sessions",
        "me/sessions.html",
        just_done=frame.just_done(session),
        offers_ending=False,
        sessions=sorted(lines, key=lambda line: (line.id == session.id, line.last_seen_at), reverse=True),
        used=connected.used_in([line.id for line in lines]),
        devices=trusted_devices.of(session.user_id),
    )


@requires.signed_in
def end(session: LiveSession) -> ResponseReturnValue:
    """End one session of the person, or all but this one."""
    wanted = request.form.get("session", "")
    if wanted == session.id:
        return _leave(session)
    by = Actor("user", session.user_id)
    with database.writing():
        if wanted == EVERYWHERE_ELSE:
            people.end_all_of(session.user_id, because="revoked", by=by, but=session.id)
        elif wanted in [one.id for one in people.of_person(session.user_id)]:
            people.end(wanted, because="revoked", by=by)
        else:
            raise NotFound("This session has ended.")
    return frame.done(session, "sessions.ended" if wanted == EVERYWHERE_ELSE else "session.ended", PATH)


@requires.signed_in
def forget(session: LiveSession) -> ResponseReturnValue:
    """Trust one browser no more, or none."""
    wanted, by = request.form.get("device", ""), Actor("user", session.user_id)
    with database.writing():
        if wanted == ALL:
            trusted_devices.end_all_of(session.user_id, by=by)
        else:
            trusted_devices.end(session.user_id, wanted, by=by)
    return frame.done(session, "device.ended", PATH if request.form.get("back") == "sessions" else frame.SECURITY)


def _leave(session: LiveSession) -> ResponseReturnValue:
    """End the session in this very browser: its cookie changes (SES-01), and who else is signed in here is asked."""
    with database.writing():
        known = browser.locked()
        people.end(session.id, because="signed_out", by=Actor("user", session.user_id))
        cookie = browsers.renew(known)
    browser.carry(known, cookie)
    return redirect("/login", 303)
