"""`/login/verify`: a second factor, one of those that the person has; or one given anew, where the last is too old.

Passkeys are proven at `/login/passkey`; this page shows the button. A code is mailed when somebody asks for it by a
form, never because a page was looked at (RST-04).
"""

from dataclasses import dataclass

from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as AnyResponse

from idp.credentials import authenticator_apps, email_codes, guesses, recovery_codes
from idp.credentials.email_codes import TooManyCodes
from idp.credentials.guesses import TooMany
from idp.login import attempts, mailboxes, offering, progress, steps, transactions
from idp.login.steps import Standing, Step
from idp.login.transactions import SignIn
from idp.login.views import answers, browser
from idp.platform import clock, database
from idp.platform.access import public
from idp.sessions import trusted_devices
from idp.sessions.proofs import Proof
from idp.users.locks import lock

FIELDS = {"totp": "otp", "email_code": "otp", "recovery_code": "recovery_code"}
"""The field of the form in which each way is given."""

TEMPLATES = {
    "totp": "login/verify_totp.html",
    "email_code": "login/verify_email_code.html",
    "recovery_code": "login/verify_recovery_code.html",
    "passkey": "login/verify_passkey.html",
}

MAILED = "email_code"

STUCK = "login/verify_stuck.html"
"""Where nothing would help that the person can give now."""

MISSING, WRONG = "missing", "wrong"


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule("/login/verify", "verify", show, methods=["GET"])
    app.add_url_rule("/login/verify", "verify_given", check, methods=["POST"])
    app.add_url_rule("/login/verify/send", "verify_send", send, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """The page, for one of the ways that would help."""
    sign_in = transactions.find(browser.current(), browser.transaction())
    stood = _asked(sign_in)
    if stood is None:
        return answers.onward(sign_in)
    offered, wanted = steps.ways(stood), request.args.get("way", "")
    if not offered:
        return answers.page(STUCK, sign_in, shown_as=attempts.shown_as(sign_in))
    return _page(sign_in, wanted if wanted in offered else offered[0])


@public
def check() -> ResponseReturnValue:
    """A code was given: counted, looked at and taken, all at once."""
    way = _way()
    try:
        with database.writing():
            settled, cookie = _judged(way)
    except TooMany as refusal:
        return _held_back(way, refusal)
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    if settled.failure.startswith(f"{way} "):
        return _again(settled, way)
    return answers.onward(settled)


@public
def send() -> ResponseReturnValue:
    """A code is to be mailed, or another one."""
    try:
        with database.writing():
            held = _mailed()
    except TooManyCodes as refusal:
        return _held_back(MAILED, refusal)
    return _again(held, MAILED) if _ways(held) else answers.onward(held)


def wants_trust(held: SignIn) -> bool:
    """Whether the form says that this browser is to be trusted, and the page let it. Asked before that counts."""
    return bool(request.form.get("trust")) and offering.lets_trust(progress.standing(held, browser.current()))


def _judged(way: str) -> tuple[SignIn, str]:
    """What comes of the code: the sign-in as it stands then, and the browser's new token if somebody signed in.

    Attempts of one person queue on the person: each is counted, looked at and taken before the next.
    """
    held = transactions.hold(browser.current(), browser.transaction())
    shown, given = attempts.shown_as(held) if way in _ways(held) else "", request.form.get(FIELDS[way], "")
    user_id = held.user_id
    if not user_id or not shown or request.form.get("username", shown) != shown:  # of another tab, about another
        return held, ""
    if not given.strip():
        return transactions.fail(held, f"{way} {MISSING}"), ""
    lock(user_id)
    reservation = guesses.reserve(attempts.guesser(held, browser.current()))
    factor_id = None if reservation.is_barred else _taken(way, user_id, given, held.id)
    if factor_id is None:
        return attempts.failed(held, way, f"{way} {WRONG}", reservation), ""
    guesses.succeeded(reservation)
    trusting, known = wants_trust(held), browser.locked()
    settled, cookie = attempts.proven(held, Proof(way, clock.now(), factor_id=factor_id), known)
    if trusting and settled.user_id == user_id and not settled.failure:
        trusted_devices.trust(known, user_id, factor_id)
    return settled, cookie


def _mailed() -> SignIn:
    """The sign-in, in which its person has just been mailed a code, if that is a way that would help."""
    held = transactions.hold(browser.current(), browser.transaction())
    shown = attempts.shown_as(held) if MAILED in _ways(held) else ""
    if held.user_id and shown and request.form.get("username", shown) == shown:
        mailboxes.send(held.user_id, held.id)
        return transactions.fail(held, "")
    return held


def _taken(way: str, user_id: str, given: str, sign_in_id: str) -> str | None:
    """The id of the factor that the code was given with, empty for a recovery code; `None` if it is not right."""
    if way == "totp":
        return authenticator_apps.verify(user_id, given)
    if way == MAILED:
        return mailboxes.verify(user_id, sign_in_id, given)
    return "" if recovery_codes.use(user_id, given) else None


def _way() -> str:
    """The way that the form was for: a code of the app, unless it says otherwise."""
    if FIELDS["recovery_code"] in request.form:
        return "recovery_code"
    return MAILED if request.form.get("way") == MAILED else "totp"


def _ways(sign_in: SignIn) -> tuple[str, ...]:
    """What may be given now; nothing while something else is asked."""
    stood = _asked(sign_in)
    return () if stood is None else steps.ways(stood)


def _asked(sign_in: SignIn) -> Standing | None:
    """How far the sign-in has come, if this page is what it asks."""
    if sign_in.outcome is not None:
        return None
    stood = progress.standing(sign_in, browser.current())
    return stood if steps.next_step(stood) is Step.VERIFY else None


def _again(sign_in: SignIn, way: str) -> AnyResponse:
    return redirect(f"{answers.address(Step.VERIFY, sign_in)}&way={way}", 303)


def _held_back(way: str, refusal: TooMany | TooManyCodes) -> Response:
    """The page again, with how long to wait, with the next attempt or until another code can be mailed."""
    sign_in = transactions.find(browser.current(), browser.transaction())
    waits = refusal.retry_after
    is_about_codes = isinstance(refusal, TooManyCodes)
    page = _page(sign_in, way, refusal.status, waits=waits, is_about_codes=is_about_codes)
    page.headers["Retry-After"] = str(refusal.retry_after)
    return page


def _page(sign_in: SignIn, way: str, status: int = 200, *, waits: int = 0, is_about_codes: bool = False) -> Response:
    about, _, failure = sign_in.failure.partition(" ")
    is_other = waits or about not in (way, "mismatch")
    stood = progress.standing(sign_in, browser.current())
    return answers.page(
        TEMPLATES[way],
        sign_in,
        status,
        shown_as=attempts.shown_as(sign_in),
        failure="" if is_other else failure or WRONG,
        others=tuple(one for one in steps.ways(stood) if one != way),
        minutes=-(-waits // 60),
        is_held_back=waits > 0 and not is_about_codes,
        is_about_codes=is_about_codes,
        mailed_to=_mailed_to(sign_in) if way == MAILED else None,
        is_stale=stood.is_stale,
        lets_trust=offering.lets_trust(stood),
    )


@dataclass(frozen=True)
class MailedTo:
    """Where codes go, masked; and whether one is on its way."""

    address: str
    is_sent: bool


def _mailed_to(sign_in: SignIn) -> MailedTo:
    user_id = sign_in.user_id or ""
    address = mailboxes.of(user_id)
    return MailedTo(mailboxes.masked(address), email_codes.pending(user_id, sign_in.id, address) is not None)
