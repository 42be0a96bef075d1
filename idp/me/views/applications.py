"""`/me/apps`: the applications that may act for you, each to be taken back."""

from collections.abc import Mapping

from flask import Flask, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.clients import apis
from idp.login.views import requires
from idp.me.views import frame
from idp.oauth import connected, consent, scopes
from idp.oauth.connected import Connected
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
    declared = apis.words_of_scopes({uri for one in found for uri in one.resources})
    return frame.page(
        session,
        "apps",
        "me/applications.html",
        just_done=frame.just_done(session),
        offers_ending=False,
        applications=found,
        words=lambda one: _words(one, declared),
    )


def _words(one: Connected, declared: Mapping[tuple[str, str], str]) -> list[str]:
    """What the scopes let an application do: ours in our words, those of APIs in theirs, or else by their names."""
    others = [scope for scope in one.scope if scope not in scopes.SCOPES]
    said = [
        next((declared[uri, scope] for uri in one.resources if declared.get((uri, scope))), scope) for scope in others
    ]
    return [*(shown.words for shown in scopes.shown(one.scope, ())), *said]


@requires.signed_in
def withdraw(session: LiveSession) -> ResponseReturnValue:
    """Take back what one application may do; what it was is no secret, so an unknown one changes nothing."""
    with database.writing():
        consent.withdraw(session.user_id, request.form.get("client", ""), by=Actor("user", session.user_id))
    return frame.done(session, "application.withdrawn", PATH)
