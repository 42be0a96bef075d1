"""`/me/apps`: the applications that may act for you, each to be taken back."""

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.login.views import requires
from idp.me.views import frame
from idp.oauth import connected, consent, scopes
from idp.platform import database
from idp.sessions.people import LiveSession

PATH = "/me/apps"


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(PATH, "me_apps", show, methods=["GET"])
    app.add_url_rule(PATH, "withdraw_consent", withdraw, methods=["POST"])


@requires.signed_in
def show(session: LiveSession) -> ResponseReturnValue:
    """The page."""
    found = connected.of(session.user_id)
    return frame.page(session, "apps", "me/applications.html", applications=found, words=_words)


def _words(scope: tuple[str, ...]) -> list[str]:
    """What the scopes let an application do; those of APIs by their names."""
    return [*(one.words for one in scopes.shown(scope, ())), *(one for one in scope if one not in scopes.SCOPES)]


@requires.signed_in
def withdraw(session: LiveSession) -> ResponseReturnValue:
    """Take back what one application may do; what it was is no secret, so an unknown one changes nothing."""
    with database.writing():
        consent.withdraw(session.user_id, request.form.get("client", ""), by=Actor("user", session.user_id))
    return redirect(PATH, 303)
