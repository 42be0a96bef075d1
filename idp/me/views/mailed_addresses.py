"""`/verify-email/…` and `/undo-email/…`: behind links in letters, for whoever reads an address, signed in or not."""

from collections.abc import Callable
from urllib.parse import urlencode

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from idp.credentials.mailed_links import LinkVoid
from idp.login import changing_addresses, undoing_addresses
from idp.login.asking_addresses import VERIFY
from idp.login.changing_addresses import Opened
from idp.login.parting_addresses import UNDO
from idp.login.views import answers, arriving, browser
from idp.me.views import addresses, frame, profile
from idp.platform import database
from idp.platform.access import public
from idp.sessions import csrf
from idp.sessions.people import LiveSession
from idp.users import users


def init(app: Flask) -> None:
    """Serve these pages in `app`."""
    app.add_url_rule(f"{VERIFY}/<token>", "verify_email", show_verify, methods=["GET"])
    app.add_url_rule(f"{VERIFY}/<token>", "verify_email_given", verify, methods=["POST"])
    app.add_url_rule(f"{UNDO}/<token>", "undo_email", show_undo, methods=["GET"])
    app.add_url_rule(f"{UNDO}/<token>", "undo_email_given", undo, methods=["POST"])


@public
@browser.secretly_addressed
def show_verify(token: str) -> ResponseReturnValue:
    """Which address is confirmed for whom; opening it changes nothing (RST-04)."""
    return _show(token, "me/verify_email.html", changing_addresses.opened)


@public
@browser.secretly_addressed
def verify(token: str) -> ResponseReturnValue:
    """Confirm it. Whoever is signed in as that person sees it in their profile."""
    session = browser.signed_in()
    try:
        with database.writing():
            browser.unchanged()
            found = changing_addresses.confirm(token)
    except LinkVoid as over:
        return arriving.void(over, addresses.PATH)
    if session and session.user_id == found.user_id:
        return frame.done(session, "address.confirmed", profile.PATH)
    return _done(token)


@public
@browser.secretly_addressed
def show_undo(token: str) -> ResponseReturnValue:
    """What is undone, and for whom; opening it changes nothing (RST-04)."""
    return _show(token, "me/undo_email.html", undoing_addresses.opened)


@public
@browser.secretly_addressed
def undo(token: str) -> ResponseReturnValue:
    """Undo it; what is left to do is a new password."""
    try:
        with database.writing():
            browser.unchanged()
            undoing_addresses.undo(token)
    except LinkVoid as over:
        return arriving.void(over, addresses.PATH)
    return _done(token)


def _show(token: str, template: str, opened: Callable[[str], Opened]) -> ResponseReturnValue:
    if _was_just_done(token):
        return answers.page(template, None, found=None, other="", token=token)
    try:
        found = opened(token)
    except LinkVoid as over:
        return arriving.void(over, addresses.PATH)
    arriving.begin_browser()
    return answers.page(template, None, found=found, other=_other(browser.signed_in(), found), token=token)


def _other(session: LiveSession | None, found: Opened) -> str:
    """Whoever else is signed in in this browser."""
    if session is None or session.user_id == found.user_id:
        return ""
    return users.display_name(users.find(session.user_id))


def _done(token: str) -> ResponseReturnValue:
    """To a page that says so, in this browser alone, and can be loaded again."""
    known = browser.unchanged()
    return redirect(f"{request.path}?{urlencode({'done': csrf.token(known.id, _purpose(token))})}", 303)


def _was_just_done(token: str) -> bool:
    known = browser.current()
    return known is not None and csrf.is_genuine(request.args.get("done", ""), known.id, _purpose(token))


def _purpose(token: str) -> str:
    return f"done {request.path.rpartition('/')[0]} {token}"
