"""`/login/renew`: a longer password, from somebody whose short one will not do any more (PWD-01)."""

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.credentials import passwords
from idp.credentials.hashing import TooBusy
from idp.login import attempts, changing_factors, new_passwords, progress, transactions
from idp.login.steps import Step
from idp.login.transactions import SignIn
from idp.login.views import answers, browser
from idp.platform import clock, database
from idp.platform.access import public
from idp.platform.errors import Invalid, Refusal
from idp.platform.settings import settings
from idp.sessions.proofs import Proof
from idp.users import lifecycle
from idp.users.locks import lock


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule("/login/renew", "renew", show, methods=["GET"])
    app.add_url_rule("/login/renew", "renew_given", change, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """The page."""
    sign_in = transactions.find(browser.current(), browser.transaction())
    return _page(sign_in) if _is_asked(sign_in) else answers.onward(sign_in)


@public
def change() -> ResponseReturnValue:
    """A new password was given: checked and hashed, then stored if it is still asked for."""
    sign_in = transactions.find(browser.current(), browser.transaction())
    user_id = sign_in.user_id
    if user_id is None or not _is_asked(sign_in):
        return answers.onward(sign_in)
    typed = request.form.get("password", "")
    try:
        hashed = passwords.hash(typed, new_passwords.about(user_id))
    except (Invalid, TooBusy) as refusal:
        return _page(sign_in, refusal)
    with database.writing():
        settled, cookie = _stored(user_id, hashed, is_short=passwords.is_short(typed))
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    return answers.onward(settled)


def _stored(user_id: str, hashed: str, *, is_short: bool) -> tuple[SignIn, str]:
    held = transactions.hold(browser.current(), browser.transaction())
    lock(user_id)
    if held.user_id != user_id or not _is_asked(held) or lifecycle.is_disabled(user_id):
        return held, ""
    changing_factors.set_password(user_id, hashed, by=Actor("user", user_id), is_short=is_short)
    return attempts.go_on(
        transactions.prove(held, Proof("password", clock.now()), passwords.which(user_id)), browser.locked()
    )


def _is_asked(sign_in: SignIn) -> bool:
    return sign_in.outcome is None and progress.step_of(sign_in, browser.current()) is Step.RENEW


def _page(sign_in: SignIn, refusal: Refusal | None = None) -> Response:
    return answers.password_form(
        "login/renew.html",
        sign_in,
        refusal,
        shown_as=attempts.shown_as(sign_in),
        shortest=settings().password_length,
    )
