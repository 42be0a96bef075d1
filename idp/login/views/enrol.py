"""`/login/enrol`: something more to prove oneself with is set up, because where the sign-in leads wants more.

Passkeys are set up at `/login/enrol/passkey`; this page shows the button. Whoever has set up their first factor gets
recovery codes.
"""

from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.credentials import authenticator_apps, recovery_codes
from idp.login import attempts, changing_factors, offering, progress, transactions
from idp.login.steps import Standing, Step, next_step
from idp.login.transactions import SignIn
from idp.login.views import answers, browser
from idp.platform import clock, database
from idp.platform.access import public
from idp.sessions.levels import PHISHING_RESISTANT
from idp.sessions.proofs import Proof
from idp.users import lifecycle
from idp.users.locks import lock

MISSING, WRONG, LATE = "app missing", "app wrong", "app late"


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule("/login/enrol", "enrol", show, methods=["GET"])
    app.add_url_rule("/login/enrol/app", "enrol_app", set_up_app, methods=["POST"])
    app.add_url_rule("/login/enrol/codes", "enrol_codes", keep_codes, methods=["POST"])
    app.add_url_rule("/login/enrol/decline", "enrol_decline", decline, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """The page: what can be set up; or the authenticator app that is being set up."""
    sign_in = transactions.find(browser.current(), browser.transaction())
    stood = _asked(sign_in)
    if stood is None:
        return answers.onward(sign_in)
    offered, shown_as = offering.to_enrol(stood), attempts.shown_as(sign_in)
    setup = authenticator_apps.pending(sign_in.user_id or "", sign_in.id) if request.args.get("way") == "app" else None
    if setup and "totp" in offered:
        return answers.page("login/enrol_app.html", sign_in, shown_as=shown_as, setup=setup, failure=sign_in.failure)
    return answers.page(
        "login/enrol.html",
        sign_in,
        shown_as=shown_as,
        offered=offered,
        may_decline=offering.may_decline(stood),
        wants_passkey=PHISHING_RESISTANT in (stood.least, stood.aim),
        failure=sign_in.failure,
    )


@public
def set_up_app() -> ResponseReturnValue:
    """An authenticator app is wanted; or its first code was given, with which it counts."""
    with database.writing():
        settled, cookie, codes = _begun_or_confirmed()
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    if codes:
        return codes_page(settled, codes)
    if "otp" not in request.form or settled.failure in (MISSING, WRONG):
        return redirect(f"{answers.address(Step.ENROL, settled)}&way=app", 303)
    return answers.onward(settled)


@public
def keep_codes() -> ResponseReturnValue:
    """The recovery codes that the last page showed: sent back as a file, or put away, as the person says.

    They are known to nobody but whoever was shown them; what comes here is not looked up.
    """
    sign_in = transactions.find(browser.current(), browser.transaction())
    codes = recovery_codes.read(request.form.get("codes", ""))
    if codes and "file" in request.form:
        return as_file(codes)
    if codes and "saved" not in request.form:
        return codes_page(sign_in, codes, is_missing=True)
    return answers.onward(sign_in)


@public
def decline() -> ResponseReturnValue:
    """The person does not want to set anything up now, where they need not."""
    with database.writing():
        settled, cookie = _declined()
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    return answers.onward(settled)


def first_codes(user_id: str) -> tuple[str, ...]:
    """New recovery codes for somebody who has just set up a factor and has none; inside `database.writing()`."""
    return () if recovery_codes.left(user_id) else changing_factors.make_codes(user_id, by=Actor("user", user_id))


def codes_page(sign_in: SignIn, codes: tuple[str, ...], *, is_missing: bool = False) -> Response:
    """The page that shows new recovery codes, once."""
    return answers.page("login/enrol_codes.html", sign_in, codes=codes, is_missing=is_missing)


def _begun_or_confirmed() -> tuple[SignIn, str, tuple[str, ...]]:
    """The sign-in as it stands then, the browser's new token if somebody signed in, and codes to be shown."""
    held = _held()
    stood, user_id = _asked(held), held.user_id
    if stood is None or user_id is None or "totp" not in offering.to_enrol(stood) or lifecycle.is_disabled(user_id):
        return held, "", ()
    if "otp" not in request.form:
        authenticator_apps.begin(user_id, held.id)
        return transactions.fail(held, ""), "", ()
    given, by = request.form["otp"], Actor("user", user_id)
    if not given.strip():
        return transactions.fail(held, MISSING), "", ()
    factor = authenticator_apps.confirm(user_id, held.id, given, by=by)
    if factor is None:
        is_pending = authenticator_apps.pending(user_id, held.id)
        return transactions.fail(held, WRONG if is_pending else LATE), "", ()
    codes = first_codes(user_id)
    settled, cookie = attempts.proven(held, Proof("totp", clock.now(), factor_id=factor.id), browser.locked())
    return settled, cookie, codes


def _declined() -> tuple[SignIn, str]:
    held = _held()
    stood = _asked(held)
    if stood is None or held.user_id is None or not offering.may_decline(stood) or lifecycle.is_disabled(held.user_id):
        return held, ""
    return attempts.go_on(transactions.decline(held), browser.locked())


def _held() -> SignIn:
    """The sign-in, held, and its person locked: what they prove themselves with stays what it is until the end."""
    held = transactions.hold(browser.current(), browser.transaction())
    if held.user_id:
        lock(held.user_id)
    return held


def _asked(sign_in: SignIn) -> Standing | None:
    """How far the sign-in has come, if this page is what it asks."""
    if sign_in.outcome is not None:
        return None
    stood = progress.standing(sign_in, browser.current())
    return stood if next_step(stood) is Step.ENROL else None


def as_file(codes: tuple[str, ...]) -> Response:
    """The codes as a text to be kept."""
    text = "".join(f"{code}\r\n" for code in codes)
    headers = {"Content-Disposition": 'attachment; filename="recovery-codes.txt"'}
    return Response(text, headers=headers, content_type="text/plain; charset=utf-8")
