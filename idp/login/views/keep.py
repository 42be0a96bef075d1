"""`/login/keep/<token>`: for whoever is told that their second factors are to be taken, and still has them."""

from flask import Flask, redirect
from flask.typing import ResponseReturnValue

from idp.credentials.mailed_links import LinkVoid
from idp.login import factor_resets
from idp.login.factor_resets import PATH
from idp.login.views import answers, arriving, browser
from idp.platform import database
from idp.platform.access import public
from idp.users import users

DONE = f"{PATH}/done"


def init(app: Flask) -> None:
    """Serve these pages in `app`."""
    app.add_url_rule(DONE, "factors_kept", done, methods=["GET"])
    app.add_url_rule(f"{PATH}/<token>", "keep_factors", show, methods=["GET"])
    app.add_url_rule(f"{PATH}/<token>", "keep_factors_said", say, methods=["POST"])


@public
@browser.secretly_addressed
def show(token: str) -> ResponseReturnValue:
    """What the button does; nothing happens yet (RST-04)."""
    try:
        reset = factor_resets.find(token)
    except LinkVoid as over:
        return arriving.void(over)
    arriving.begin_browser()
    shown_as = users.find(reset.user_id).username
    return answers.page("login/keep.html", None, action=f"{PATH}/{token}", reset=reset, shown_as=shown_as)


@public
@browser.secretly_addressed
def say(token: str) -> ResponseReturnValue:
    """The button was pressed."""
    try:
        with database.writing():
            factor_resets.cancel_by_link(token)
    except LinkVoid as over:
        return arriving.void(over)
    return redirect(DONE, 303)


@public
def done() -> ResponseReturnValue:
    """Nothing will be taken."""
    return answers.page("login/kept.html", None)
