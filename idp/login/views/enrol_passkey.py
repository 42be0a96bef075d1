"""`/login/enrol/passkey`: a passkey is set up within a sign-in. The page with the button is `enrol`'s or `offer`'s.

As at `/login/passkey`, a script asks for options and sends what the browser says as a form.
"""

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.credentials import passkeys
from idp.credentials.authenticators import NotAccepted
from idp.credentials.mailed_links import LinkVoid
from idp.login import attempts, enrol_links, passkey_offers, transactions
from idp.login.transactions import SignIn
from idp.login.views import answers, arriving, browser, enrol, enrol_codes, offer, passkey
from idp.login.views.passkey import NotAsked
from idp.platform import correlation, database
from idp.platform.access import public
from idp.platform.i18n import gettext as _
from idp.sessions import devices
from idp.users import users


def init(app: Flask) -> None:
    """Serve these in `app`."""
    app.add_url_rule("/login/enrol/passkey/options", "enrol_passkey_options", options, methods=["POST"])
    app.add_url_rule("/login/enrol/passkey", "enrol_passkey", set_up, methods=["POST"])


@public
def options() -> ResponseReturnValue:
    """What the browser is to be asked for to set a passkey up (JSON)."""
    with database.writing():
        held = transactions.hold(browser.current(), browser.transaction())
        user_id = enrol.asked_of(held, passkey.METHOD)
        if not user_id:
            raise NotAsked
        found = passkeys.creation_options(users.find(user_id), held.id)
    return jsonify(found)


@public
def set_up() -> ResponseReturnValue:
    """A passkey was set up: it proves its owner from now on, and did so just now."""
    try:
        with database.writing():
            settled, cookie, codes = _registered()
    except LinkVoid as over:
        return arriving.void(over)
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    return enrol_codes.page(settled, codes) if codes else answers.onward(settled)


def default_name() -> str:
    """What a new passkey is called until its owner calls it something else: by the browser and system it came from."""
    program, system = devices.described(correlation.current().user_agent)
    if program and system:
        return _("%(program)s on %(system)s", program=program, system=system)
    return program or system or _("Passkey")


def _registered() -> tuple[SignIn, str, tuple[str, ...]]:
    """The sign-in as it stands then, the browser's new token if somebody signed in, and codes to be shown."""
    held = enrol.hold()
    user_id, given = enrol.asked_of(held, passkey.METHOD), request.form.get("credential")
    if not user_id:
        return (*offer.answered(held), ())
    if not given:
        return held, "", ()
    try:
        made = passkeys.register(user_id, held.id, given, default_name(), by=Actor("user", user_id))
    except NotAccepted:
        return transactions.fail(held, passkey.WRONG), "", ()
    enrol_links.use_up(held)
    codes = enrol_codes.first(user_id)
    held = passkey_offers.close(held)
    settled, cookie = attempts.proven(held, passkey.proof(made.id, passkeys.held_in(made.id)), browser.locked())
    return settled, cookie, codes
