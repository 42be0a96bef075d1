"""`/login/offer`: a passkey is offered for the next time to somebody who is signed in by now. Nothing depends on it.

The passkey is set up at `/login/enrol/passkey`; this page shows the button.
"""

from flask import Flask
from flask.typing import ResponseReturnValue

from idp.login import attempts, offering, passkey_offers, progress, transactions
from idp.login.steps import Step
from idp.login.transactions import SignIn
from idp.login.views import answers, browser, enrol, enrol_codes
from idp.platform import database
from idp.platform.access import public


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule("/login/offer", "offer", show, methods=["GET"])
    app.add_url_rule("/login/offer", "offer_declined", decline, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """The page; whoever waited too long to set anything up, or has a passkey by now, goes on without it."""
    sign_in = transactions.find(browser.current(), browser.transaction())
    if not _is_asked(sign_in):
        return answers.onward(sign_in)
    if not offering.suits_a_passkey(progress.standing(sign_in, browser.current())):
        return decline()
    return answers.page(
        "login/offer.html",
        sign_in,
        shown_as=attempts.shown_as(sign_in),
        failure=sign_in.failure,
        leads_to_codes=enrol_codes.are_due(sign_in.user_id or ""),
    )


@public
def decline() -> ResponseReturnValue:
    """Not now: the sign-in goes on."""
    with database.writing():
        settled, cookie = answered(enrol.hold())
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    return answers.onward(settled)


def answered(held: SignIn) -> tuple[SignIn, str]:
    """The sign-in as it goes on without a passkey, if one was offered; as of `attempts.go_on`."""
    if not _is_asked(held):
        return held, ""
    return attempts.go_on(passkey_offers.close(held), browser.locked())


def _is_asked(sign_in: SignIn) -> bool:
    return sign_in.outcome is None and progress.step_of(sign_in, browser.current()) is Step.OFFER
