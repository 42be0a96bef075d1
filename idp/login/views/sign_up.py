"""`/signup`: an account of one's own, where the operator lets people make one. Elsewhere there is no such page.

Asking is answered the same whether or not the address is known; the difference is told by mail alone (LOG-03).
"""

from urllib.parse import urlencode

from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue

from idp.credentials.hashing import TooBusy
from idp.credentials.mailed_links import LinkVoid
from idp.login import asking, signing_up
from idp.login.signing_up import PATH, Invited, Newcomer
from idp.login.transactions import SignIn
from idp.login.views import answers, arriving, browser
from idp.platform import clock, database
from idp.platform.access import public
from idp.platform.errors import Invalid, Refusal
from idp.platform.settings import Settings, settings
from idp.users.addresses import AddressTaken

ASKED = f"{PATH}/sent"


def init(app: Flask) -> None:
    """Serve these pages in `app`, if people may sign up in it; its templates know whether."""
    settings: Settings = app.extensions["canopy_settings"]
    app.jinja_env.globals["signs_up"] = settings.signup == "on"
    if settings.signup == "off":
        return
    app.add_url_rule(PATH, "sign_up", show, methods=["GET"])
    app.add_url_rule(PATH, "sign_up_asked", ask, methods=["POST"])
    app.add_url_rule(ASKED, "sign_up_sent", sent, methods=["GET"])
    app.add_url_rule(f"{PATH}/<token>", "sign_up_link", open_link, methods=["GET"])
    app.add_url_rule(f"{PATH}/<token>", "sign_up_given", make, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """Which address is yours?"""
    sign_in = arriving.under_way(browser.transaction())
    if sign_in is None and browser.transaction():
        return redirect(PATH, 303)
    arriving.begin_browser()
    return _ask_page(sign_in)


@public
def ask() -> ResponseReturnValue:
    """An address was given: whosever it is, the answer is the same, and so is the work (LOG-03)."""
    if not request.form.get("email", "").strip():
        return _ask_page(arriving.under_way(browser.transaction()), is_missing=True)
    sign_in = browser.transaction()
    with database.writing():
        asking.ask(signing_up.KIND, arriving.one_value("email"), browser=browser.unchanged().id, sign_in=sign_in)
    return redirect(f"{ASKED}?{urlencode({'txn': sign_in})}" if sign_in else ASKED, 303)


@public
def sent() -> ResponseReturnValue:
    """Where to look now."""
    sign_in = arriving.under_way(browser.transaction())
    return answers.page("login/sign_up_sent.html", sign_in, hours=signing_up.LIFETIME // clock.HOUR)


@public
@browser.secretly_addressed
def open_link(token: str) -> ResponseReturnValue:
    """The link was opened, perhaps by a machine on the way: nothing happens yet (RST-04)."""
    try:
        invited = signing_up.find(token)
    except LinkVoid as over:
        return arriving.void(over, PATH)
    arriving.begin_browser()
    return _page(token, invited)


@public
@browser.secretly_addressed
def make(token: str) -> ResponseReturnValue:
    """Name and password were given: checked and hashed, then there is a person, who signs in like any other."""
    try:
        invited = signing_up.find(token)
    except LinkVoid as over:
        return arriving.void(over, PATH)
    try:
        newcomer = signing_up.prepared(invited, arriving.one_value("name"), arriving.one_value("password"))
        with database.writing():
            settled, cookie = _made(token, invited, newcomer)
    except (LinkVoid, AddressTaken):  # somebody was faster, and there is an account now
        return arriving.void(LinkVoid(), PATH)
    except (Invalid, TooBusy) as refusal:
        return _page(token, invited, refusal)
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    return answers.onward(settled)


def _made(token: str, invited: Invited, newcomer: Newcomer) -> tuple[SignIn, str]:
    taken = arriving.take_up(invited.sign_in)
    return arriving.go_on(taken, invited.address, signing_up.make(token, newcomer))


def _ask_page(sign_in: SignIn | None, *, is_missing: bool = False) -> Response:
    status = 422 if is_missing else 200
    typed = (sign_in.identifier or sign_in.demand.login_hint) if sign_in else ""
    typed = typed if "@" in typed else ""
    return answers.page("login/sign_up.html", sign_in, status, typed=typed, is_missing=is_missing)


def _page(token: str, invited: Invited, refusal: Refusal | None = None) -> Response:
    return answers.password_form(
        "login/sign_up_set.html",
        arriving.under_way(invited.sign_in),
        refusal,
        action=f"{PATH}/{token}",
        shown_as=invited.address,
        around=arriving.around(invited.browser, None),
        name=request.form.get("name", ""),
        shortest=settings().password_length,
    )
