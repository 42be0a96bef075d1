"""`/login/verify`: a second factor, one of those that the person has; or one given anew, where the last is too old.

Passkeys are proven at `/login/passkey`; this page shows the button.
"""

from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue

from idp.credentials import authenticator_apps, guesses, recovery_codes
from idp.credentials.guesses import TooMany
from idp.login import attempts, offering, progress, steps, transactions
from idp.login.steps import Step
from idp.login.transactions import SignIn
from idp.login.views import answers, browser
from idp.platform import clock, database
from idp.platform.access import public
from idp.sessions import trusted_devices
from idp.sessions.proofs import Proof
from idp.users.locks import lock

FIELDS = {"totp": "otp", "recovery_code": "recovery_code"}
"""The field of the form in which each way is given."""

TEMPLATES = {
    "totp": "login/verify_totp.html",
    "recovery_code": "login/verify_recovery_code.html",
    "passkey": "login/verify_passkey.html",
}

MISSING, WRONG = "missing", "wrong"


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule("/login/verify", "verify", show, methods=["GET"])
    app.add_url_rule("/login/verify", "verify_given", check, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """The page, for one of the ways that would help."""
    sign_in = transactions.find(browser.current(), browser.transaction())
    offered = _ways(sign_in)
    if not offered:
        return answers.onward(sign_in)
    wanted = request.args.get("way", "")
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
        return redirect(f"{answers.address(Step.VERIFY, settled)}&way={way}", 303)
    return answers.onward(settled)


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
    factor_id = None if reservation.is_barred else _taken(way, user_id, given)
    if factor_id is None:
        return attempts.failed(held, way, f"{way} {WRONG}", reservation), ""
    guesses.succeeded(reservation)
    trusting, known = wants_trust(held), browser.locked()
    settled, cookie = attempts.proven(held, Proof(way, clock.now(), factor_id=factor_id), known)
    if trusting and settled.user_id == user_id and not settled.failure:
        trusted_devices.trust(known, user_id, factor_id)
    return settled, cookie


def _taken(way: str, user_id: str, given: str) -> str | None:
    """The id of the factor that the code was given with, empty for a recovery code; `None` if it is not right."""
    if way == "totp":
        return authenticator_apps.verify(user_id, given)
    return "" if recovery_codes.use(user_id, given) else None


def _way() -> str:
    """The way that the form was for: a code of the app, unless it says otherwise."""
    return "recovery_code" if FIELDS["recovery_code"] in request.form else "totp"


def _ways(sign_in: SignIn) -> tuple[str, ...]:
    """What may be given now; nothing while something else is asked."""
    if sign_in.outcome is not None:
        return ()
    stood = progress.standing(sign_in, browser.current())
    return steps.ways(stood) if steps.next_step(stood) is Step.VERIFY else ()


def _held_back(way: str, refusal: TooMany) -> Response:
    """The page again, with how long to wait."""
    sign_in = transactions.find(browser.current(), browser.transaction())
    page = _page(sign_in, way, refusal.status, waits=refusal.retry_after)
    page.headers["Retry-After"] = str(refusal.retry_after)
    return page


def _page(sign_in: SignIn, way: str, status: int = 200, *, waits: int = 0) -> Response:
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
        is_held_back=waits > 0,
        is_stale=stood.is_stale,
        lets_trust=offering.lets_trust(stood),
    )
