"""`/login/password`: a password, tried against whoever was named. What is said is the same whoever that is."""

from dataclasses import dataclass

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

from idp.credentials import guesses, hashing, passwords
from idp.credentials.guesses import Reservation, TooMany
from idp.credentials.hashing import TooBusy
from idp.credentials.passwords import Verdict
from idp.login import attempts, passkey_offers, progress, transactions
from idp.login.steps import Step
from idp.login.transactions import SignIn
from idp.login.views import answers, browser
from idp.platform import clock, database
from idp.platform.access import public
from idp.platform.errors import Refusal
from idp.sessions.proofs import Proof
from idp.users import lifecycle

MISSING = "password_missing"
WRONG = "mismatch"


@dataclass(frozen=True)
class Attempt:
    """A password that is about to be looked at: in which sign-in, counted how."""

    sign_in: SignIn
    reservation: Reservation


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule("/login/password", "password", show, methods=["GET"])
    app.add_url_rule("/login/password", "password_given", check, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """The page."""
    sign_in = transactions.find(browser.current(), browser.transaction())
    if not _is_asked(sign_in):
        return answers.onward(sign_in)
    return _page(sign_in)


@public
def check() -> ResponseReturnValue:
    """A password was given: counted, tried, and taken for what it is."""
    try:
        hashing.require_room()
        attempt = _counted()
    except (TooBusy, TooMany) as refusal:
        return _refused(refusal, refusal.retry_after)
    if isinstance(attempt, SignIn):
        return answers.onward(attempt)
    try:
        whose = None if attempt.reservation.is_barred else attempt.sign_in.user_id
        verdict = passwords.verify(whose, request.form["password"])
    except TooBusy as refusal:
        with database.writing():
            guesses.succeeded(attempt.reservation)
        return _refused(refusal, refusal.retry_after)
    with database.writing():
        settled, cookie = _judge(attempt, verdict)
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    return answers.onward(settled)


def _counted() -> Attempt | SignIn:
    """The attempt, counted before it is looked at; or the sign-in, where there is nothing to look at."""
    with database.writing():
        held = transactions.hold(browser.current(), browser.transaction())
        shown = attempts.shown_as(held) if _is_asked(held) else ""
        if not shown or request.form.get("username", shown) != shown:  # of another tab, about somebody else
            return held
        if not request.form.get("password"):
            return transactions.fail(held, MISSING)
        return Attempt(held, guesses.reserve(attempts.guesser(held, browser.current())))


def _judge(attempt: Attempt, verdict: Verdict) -> tuple[SignIn, str]:
    """What comes of the attempt: the sign-in as it stands then, and the browser's new token if somebody signed in."""
    held = transactions.hold(browser.current(), attempt.sign_in.id)
    if (held.identifier, held.user_id) != (attempt.sign_in.identifier, attempt.sign_in.user_id) or not _is_asked(held):
        return held, ""
    user_id = held.user_id
    if not user_id or not verdict.is_right or not passwords.is_current(verdict) or lifecycle.is_disabled(user_id):
        return attempts.failed(held, "password", WRONG, attempt.reservation), ""
    passwords.store_rehash(verdict)
    guesses.succeeded(attempt.reservation)
    known = browser.locked()
    if request.form.get("can_passkey"):
        held = passkey_offers.note(held, known)
    return attempts.proven(held, Proof("password", clock.now()), known)


def _is_asked(sign_in: SignIn) -> bool:
    return sign_in.outcome is None and progress.step_of(sign_in, browser.current()) is Step.PASSWORD


def _refused(refusal: Refusal, retry_after: int) -> Response:
    """The page again, with what stands in the way, and for how long."""
    sign_in = transactions.find(browser.current(), browser.transaction())
    page = _page(sign_in, refusal.status, waits=retry_after, is_busy=isinstance(refusal, TooBusy))
    page.headers["Retry-After"] = str(retry_after)
    return page


def _page(sign_in: SignIn, status: int = 200, *, waits: int = 0, is_busy: bool = False) -> Response:
    return answers.page(
        "login/password.html",
        sign_in,
        status,
        shown_as=attempts.shown_as(sign_in),
        failure="" if waits else sign_in.failure,
        minutes=-(-waits // 60),
        is_held_back=waits > 0 and not is_busy,
        is_busy=is_busy,
    )
