"""`/login/enrol/link/<token>`: a link by which somebody sets a passkey up. Opening it changes nothing (RST-04)."""

from dataclasses import replace

from flask import Flask, Response
from flask.typing import ResponseReturnValue

from idp.credentials import held
from idp.credentials.mailed_links import Link, LinkVoid
from idp.login import enrol_links
from idp.login.views import answers, arriving, browser
from idp.platform import database
from idp.platform.access import public
from idp.users import users

_SECURITY = "/me/security"
_ANOTHER = "/me/security/passkeys"


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(f"{enrol_links.PATH}/<token>", "enrol_link", show, methods=["GET"])
    app.add_url_rule(f"{enrol_links.PATH}/<token>", "enrol_link_followed", follow, methods=["POST"])


@public
@browser.secretly_addressed
def show(token: str) -> ResponseReturnValue:
    """The page with the button."""
    try:
        return _page(token, enrol_links.find(token))
    except LinkVoid as over:
        return arriving.void(over)


@public
@browser.secretly_addressed
def follow(token: str) -> ResponseReturnValue:
    """The button was pressed: the person signs in, as far as they can, and sets a passkey up."""
    try:
        with database.writing():
            has = held.by(enrol_links.find(token).user_id or "")
            back = _ANOTHER if has.passkeys else _SECURITY
            begun = enrol_links.follow(token, browser.known_or_new().id, return_to=back)
    except LinkVoid as over:
        return arriving.void(over)
    return answers.onward(begun)


def _page(token: str, link: Link) -> Response:
    arriving.begin_browser()
    user_id = link.user_id or ""
    return answers.page(
        "login/enrol_link.html",
        None,
        action=f"{enrol_links.PATH}/{token}",
        shown_as=users.find(user_id).username,
        around=replace(arriving.around("", user_id), is_other=False),
    )
