"""`/login/enrol/email`: codes by mail are turned on within a sign-in, with one that was mailed and is right.

The page with the button is `enrol`'s. A code is mailed when somebody asks for it by a form, and never by looking.
"""

from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.credentials import email_codes, guesses
from idp.credentials.email_codes import TooManyCodes
from idp.credentials.guesses import TooMany
from idp.login import attempts, mailboxes, transactions
from idp.login.transactions import SignIn
from idp.login.views import answers, browser, enrol, enrol_codes
from idp.platform import clock, database
from idp.platform.access import public
from idp.sessions.proofs import Proof

PATH = "/login/enrol/email"
METHOD = "email_code"

MISSING, WRONG = "email missing", "email wrong"


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(PATH, "enrol_email", show, methods=["GET"])
    app.add_url_rule(PATH, "enrol_email_given", turn_on, methods=["POST"])
    app.add_url_rule(f"{PATH}/send", "enrol_email_send", send, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """The page, for the code that was mailed."""
    sign_in = transactions.find(browser.current(), browser.transaction())
    return _page(sign_in) if enrol.asked_of(sign_in, METHOD) else answers.onward(sign_in)


@public
def send() -> ResponseReturnValue:
    """A code is to be mailed, or another one."""
    try:
        with database.writing():
            held = enrol.hold()
            user_id = enrol.asked_of(held, METHOD)
            if user_id:
                mailboxes.send(user_id, held.id)
                held = transactions.fail(held, "")
    except TooManyCodes as refusal:
        return _held_back(refusal)
    return _again(held) if user_id else answers.onward(held)


@public
def turn_on() -> ResponseReturnValue:
    """A code was given: with the right one they count."""
    try:
        with database.writing():
            settled, cookie, codes = _confirmed(request.form.get("otp", ""))
    except TooMany as refusal:
        return _held_back(refusal)
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    if codes:
        return enrol_codes.page(settled, codes)
    return _again(settled) if settled.failure in (MISSING, WRONG) else answers.onward(settled)


def _confirmed(given: str) -> tuple[SignIn, str, tuple[str, ...]]:
    """The sign-in as it stands then, the browser's new token if somebody signed in, and codes to be shown."""
    held = enrol.hold()
    user_id = enrol.asked_of(held, METHOD)
    if not user_id:
        return held, "", ()
    if not given.strip():
        return transactions.fail(held, MISSING), "", ()
    reservation = guesses.reserve(attempts.guesser(held, browser.current()))
    by = Actor("user", user_id)
    factor = None if reservation.is_barred else mailboxes.turn_on(user_id, held.id, given, by=by)
    if factor is None:
        return attempts.failed(held, METHOD, WRONG, reservation), "", ()
    guesses.succeeded(reservation)
    codes = enrol_codes.first(user_id)
    settled, cookie = attempts.proven(held, Proof(METHOD, clock.now(), factor_id=factor.id), browser.locked())
    return settled, cookie, codes


def _again(sign_in: SignIn) -> ResponseReturnValue:
    return redirect(f"{PATH}?txn={sign_in.id}", 303)


def _held_back(refusal: TooMany | TooManyCodes) -> Response:
    """The page again, with how long to wait."""
    sign_in = transactions.find(browser.current(), browser.transaction())
    page = _page(sign_in, refusal)
    page.headers["Retry-After"] = str(refusal.retry_after)
    return page


def _page(sign_in: SignIn, refusal: TooMany | TooManyCodes | None = None) -> Response:
    user_id = sign_in.user_id or ""
    address = mailboxes.of(user_id)
    return answers.page(
        "login/enrol_email.html",
        sign_in,
        refusal.status if refusal else 200,
        shown_as=attempts.shown_as(sign_in),
        failure="" if refusal else sign_in.failure.removeprefix("email "),
        address=mailboxes.masked(address),
        is_sent=email_codes.pending(user_id, sign_in.id, address) is not None,
        minutes=-(-refusal.retry_after // 60) if refusal else 0,
        is_about_codes=isinstance(refusal, TooManyCodes),
        leads_to_codes=enrol_codes.are_due(user_id),
    )
