"""`/logout`: out of this browser, for everybody who is signed in in it. A GET only asks (LGO-01)."""

from flask import Flask, redirect
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.login import transactions
from idp.login.views import answers, browser
from idp.login.views.identifier import candidate
from idp.platform import database
from idp.platform.access import public
from idp.sessions import browsers, people


def init(app: Flask) -> None:
    """Serve these pages in `app`."""
    app.add_url_rule("/logout", "logout", ask, methods=["GET"])
    app.add_url_rule("/logout", "logged_out", end, methods=["POST"])


@public
def ask() -> ResponseReturnValue:
    """Whether to sign out; nobody is left to ask where nobody is signed in."""
    sessions = people.in_browser(browser.current())
    if not sessions:
        return answers.page("login/logged_out.html", None)
    return answers.page("login/logout.html", None, people=[candidate(one.id, one.user_id) for one in sessions])


@public
def end() -> ResponseReturnValue:
    """End every session of this browser."""
    leave()
    return redirect("/logout", 303)


def leave(only: str = "") -> None:
    """End every session of this browser, or `only` the one with that id; its cookie changes with them.

    What was under way in it is over, whoever it was for (SES-08).
    """
    with database.writing():
        transactions.cancel_all(browser.known_or_new())  # their rows are locked before that of the browser
        known = browser.locked()
        for one in people.in_browser(known):
            if only in ("", one.id):
                people.end(one.id, because="signed_out", by=Actor("user", one.user_id))
        cookie = browsers.renew(known)
    browser.carry(known, cookie)
