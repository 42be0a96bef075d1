"""`/recover`: a forgotten password. Asking is answered the same whoever is named; the link works in any browser."""

from urllib.parse import urlencode

from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue

from idp.credentials import passwords
from idp.credentials.hashing import TooBusy
from idp.credentials.mailed_links import LinkVoid
from idp.login import asking, identifiers, new_passwords, recovering
from idp.login.recovering import PATH, Recovery
from idp.login.transactions import SignIn
from idp.login.views import answers, arriving, browser
from idp.platform import clock, database
from idp.platform.access import public
from idp.platform.errors import Invalid, Refusal

ASKED = f"{PATH}/sent"


def init(app: Flask) -> None:
    """Serve these pages in `app`."""
    app.add_url_rule(PATH, "recover", show, methods=["GET"])
    app.add_url_rule(PATH, "recover_asked", ask, methods=["POST"])
    app.add_url_rule(ASKED, "recover_sent", sent, methods=["GET"])
    app.add_url_rule(f"{PATH}/<token>", "recover_link", open_link, methods=["GET"])
    app.add_url_rule(f"{PATH}/<token>", "recover_given", change, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """Who has forgotten their password?"""
    sign_in = arriving.under_way(browser.transaction())
    if sign_in is None and browser.transaction():
        return redirect(PATH, 303)
    arriving.begin_browser()
    return _ask_page(sign_in)


@public
def ask() -> ResponseReturnValue:
    """Somebody was named: whoever that is, the answer is the same, and so is the work (LOG-03)."""
    typed = arriving.one_value("username")
    if not request.form.get("username", "").strip():
        return _ask_page(arriving.under_way(browser.transaction()), is_missing=True)
    sign_in = browser.transaction()
    with database.writing():
        asking.ask(recovering.KIND, typed, browser=browser.unchanged().id, sign_in=sign_in)
    return redirect(f"{ASKED}?{urlencode({'txn': sign_in})}" if sign_in else ASKED, 303)


@public
def sent() -> ResponseReturnValue:
    """Where to look now."""
    sign_in = arriving.under_way(browser.transaction())
    return answers.page("login/recover_sent.html", sign_in, minutes=recovering.LIFETIME // clock.MINUTE)


@public
@browser.secretly_addressed
def open_link(token: str) -> ResponseReturnValue:
    """The link was opened, perhaps by a machine on the way: nothing happens yet (RST-04)."""
    try:
        recovery = recovering.find(token)
    except LinkVoid as over:
        return arriving.void(over, PATH)
    arriving.begin_browser()
    return _page(token, recovery)


@public
@browser.secretly_addressed
def change(token: str) -> ResponseReturnValue:
    """A new password was given: checked and hashed, then stored; what follows is a sign-in like any other (RST-01)."""
    typed = arriving.one_value("password")
    try:
        recovery = recovering.find(token)
    except LinkVoid as over:
        return arriving.void(over, PATH)
    try:
        hashed = passwords.hash(typed, new_passwords.about(recovery.user_id))
        with database.writing():
            settled, cookie = _changed(token, recovery, hashed, is_short=passwords.is_short(typed))
    except LinkVoid as over:  # used up by somebody who was faster
        return arriving.void(over, PATH)
    except (Invalid, TooBusy) as refusal:
        return _page(token, recovery, refusal)
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    return answers.onward(settled)


def _changed(token: str, recovery: Recovery, hashed: str, *, is_short: bool) -> tuple[SignIn, str]:
    taken = arriving.take_up(recovery.sign_in)
    recovering.recover(token, hashed, is_short=is_short)
    return arriving.go_on(taken, recovery.address, recovery.user_id)


def _ask_page(sign_in: SignIn | None, *, is_missing: bool = False) -> Response:
    hint = identifiers.normal(request.args.get("login_hint", ""))
    typed = (sign_in.identifier or sign_in.demand.login_hint) if sign_in else hint
    status = 422 if is_missing else 200
    return answers.page("login/recover.html", sign_in, status, typed=typed, is_missing=is_missing)


def _page(token: str, recovery: Recovery, refusal: Refusal | None = None) -> Response:
    return answers.password_form(
        "login/recover_set.html",
        arriving.under_way(recovery.sign_in),
        refusal,
        action=f"{PATH}/{token}",
        shown_as=recovery.address,
        around=arriving.around(recovery.browser, recovery.user_id),
        shortest=new_passwords.about(recovery.user_id).shortest,
    )
