"""`/not-me/<token>`: for whoever was told of something that they did not do."""

from flask import Flask, redirect
from flask.typing import ResponseReturnValue

from idp.credentials.mailed_links import LinkVoid
from idp.credentials.not_me import PATH
from idp.login import disowning, recovering
from idp.login.views import answers, arriving, browser
from idp.platform import database
from idp.platform.access import public

DONE = f"{PATH}/done"


def init(app: Flask) -> None:
    """Serve these pages in `app`."""
    app.add_url_rule(DONE, "disowned", done, methods=["GET"])
    app.add_url_rule(f"{PATH}/<token>", "not_me", show, methods=["GET"])
    app.add_url_rule(f"{PATH}/<token>", "not_me_said", say, methods=["POST"])


@public
@browser.secretly_addressed
def show(token: str) -> ResponseReturnValue:
    """What the button does; nothing happens yet (RST-04)."""
    try:
        link = disowning.find(token)
    except LinkVoid as over:
        return arriving.void(over, recovering.PATH)
    arriving.begin_browser()
    return answers.page("login/not_me.html", None, action=f"{PATH}/{token}", address=link.address)


@public
@browser.secretly_addressed
def say(token: str) -> ResponseReturnValue:
    """The button was pressed."""
    try:
        with database.writing():
            disowning.disown(token)
    except LinkVoid as over:
        return arriving.void(over, recovering.PATH)
    return redirect(DONE, 303)


@public
def done() -> ResponseReturnValue:
    """What happened, and what to do next: another password."""
    return answers.page("login/disowned.html", None)
