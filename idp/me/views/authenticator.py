"""`/me/security/app`: an authenticator app, set up, replaced by another, or removed."""

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.credentials import authenticator_apps, factors, recovery_codes
from idp.login import changing_factors
from idp.login.changing_factors import LastWayIn, StillDemanded, WrongCode
from idp.login.views import browser, requires
from idp.me.views import codes, frame
from idp.platform import clock, database
from idp.sessions import people
from idp.sessions.people import LiveSession
from idp.sessions.proofs import Proof

PATH = f"{frame.SECURITY}/app"

WRONG = "wrong"
LATE = "late"


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(PATH, "me_app", show, methods=["GET"])
    app.add_url_rule(PATH, "change_app", change, methods=["POST"])


@requires.recently_proven
def show(session: LiveSession) -> ResponseReturnValue:
    """The page; with the secret of a new app while that waits for its first code."""
    return _page(session)


@requires.recently_proven
def change(session: LiveSession) -> ResponseReturnValue:
    """Begin a new app, take it by a code of it, or remove the one that is there."""
    if request.form.get("act") == "remove":
        return _remove(session)
    if request.form.get("act") == "begin":
        with database.writing():
            requires.still_recent(session)
            authenticator_apps.begin(session.user_id, session.id)
        return redirect(PATH, 303)
    if authenticator_apps.pending(session.user_id, session.id) is None:
        return _page(session, 400, failure=LATE)
    try:
        cookie = _set_up(session)
    except WrongCode:
        return _page(session, 400, failure=WRONG)
    browser.carry(browser.known_or_new(), cookie)
    has_codes = recovery_codes.left(session.user_id) > 0
    return frame.done(session, "app.added", frame.SECURITY if has_codes else codes.PATH)


def _set_up(session: LiveSession) -> str:
    """The new app, and its code as a proof in this session; the browser's new token."""
    user_id = session.user_id
    with database.writing():
        requires.still_recent(session)
        made = changing_factors.set_up_app(user_id, session.id, request.form.get("otp", ""), by=Actor("user", user_id))
        proof = Proof("totp", clock.now(), factor_id=made.id)
        return people.open_session(browser.locked(), user_id, (proof,))[1]


def _remove(session: LiveSession) -> ResponseReturnValue:
    there = factors.app_of(session.user_id)
    if there is None:
        return frame.done(session, "app.removed")
    try:
        with database.writing():
            requires.still_recent(session)
            changing_factors.remove(session.user_id, there.id, by=Actor("user", session.user_id))
    except (LastWayIn, StillDemanded) as refusal:
        return _page(session, refusal.status)
    return frame.done(session, "app.removed")


def _page(session: LiveSession, status: int = 200, *, failure: str = "") -> ResponseReturnValue:
    there = factors.app_of(session.user_id)
    return frame.page(
        session,
        "security",
        "me/app.html",
        status,
        setup=authenticator_apps.pending(session.user_id, session.id),
        app=there,
        is_last=len(factors.of(session.user_id)) == 1,
        hindrance=frame.told(changing_factors.hindrance(session.user_id, there.id)) if there else None,
        failure=failure,
    )
