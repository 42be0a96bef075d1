"""Where people arrive: the bare address, and what password managers ask for."""

from flask import Flask, redirect
from flask.typing import ResponseReturnValue

from idp.login import returning
from idp.login.views import browser
from idp.platform.access import public


def init(app: Flask) -> None:
    """Serve these pages in `app`."""
    app.add_url_rule("/", "start", start, methods=["GET"])
    app.add_url_rule("/.well-known/change-password", "change_password", change_password, methods=["GET"])


@public
def start() -> ResponseReturnValue:
    """To one's own page, or to signing in."""
    return redirect(returning.HOME if browser.signed_in() else "/login", 303)


@public
def change_password() -> ResponseReturnValue:
    """Where a password is changed (https://www.w3.org/TR/change-password-url/)."""
    return redirect("/me/security/password", 302)
