"""`/login/enrol`: something more to prove oneself with is set up, because where the sign-in leads wants more.

Passkeys are set up at `/login/enrol/passkey`; this page shows the button. Whoever has set up their first factor gets
recovery codes, at `/login/enrol/codes`.
"""

from typing import Any

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.credentials import authenticator_apps
from idp.login import attempts, offering, progress, transactions
from idp.login.steps import Standing, Step, next_step
from idp.login.transactions import SignIn
from idp.login.views import answers, browser, enrol_codes
from idp.platform import clock, database
from idp.platform.access import public
from idp.sessions.proofs import Proof
from idp.users import lifecycle
from idp.users.locks import lock

MISSING, WRONG, LATE = "app missing", "app wrong", "app late"


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule("/login/enrol", "enrol", show, methods=["GET"])
    app.add_url_rule("/login/enrol/app", "enrol_app", set_up_app, methods=["POST"])
    app.add_url_rule("/login/enrol/decline", "enrol_decline", decline, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """The page: what can be set up; or the authenticator app that is being set up."""
    sign_in = transactions.find(browser.current(), browser.transaction())
    stood, user_id = _asked(sign_in), sign_in.user_id or ""
    if stood is None:
        return answers.onward(sign_in)
    offered = offering.to_enrol(stood)
    shared: dict[str, Any] = {
        "shown_as": attempts.shown_as(sign_in),
        "failure": sign_in.failure,
        "leads_to_codes": enrol_codes.are_due(user_id),
    }
    setup = authenticator_apps.pending(user_id, sign_in.id) if request.args.get("way") == "app" else None
    if setup and "totp" in offered:
        return answers.page("login/enrol_app.html", sign_in, setup=setup, **shared)
    may_decline = offering.may_decline(stood)
    return answers.page("login/enrol.html", sign_in, offered=offered, may_decline=may_decline, **shared)


@public
def set_up_app() -> ResponseReturnValue:
    """An authenticator app is wanted; or its first code was given, with which it counts."""
    if "otp" not in request.form:
        return _app_page(_begun())
    with database.writing():
        settled, cookie, codes = _confirmed(request.form["otp"])
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    if codes:
        return enrol_codes.page(settled, codes)
    return _app_page(settled) if settled.failure in (MISSING, WRONG) else answers.onward(settled)


@public
def decline() -> ResponseReturnValue:
    """The person does not want to set anything up now, where they need not."""
    with database.writing():
        settled, cookie = _declined()
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    return answers.onward(settled)


def hold() -> SignIn:
    """The sign-in, held, and its person locked: what they prove themselves with stays what it is until the end.

    Inside `database.writing()`: nobody's first factor is set up twice at once.
    """
    held = transactions.hold(browser.current(), browser.transaction())
    if held.user_id:
        lock(held.user_id)
    return held


def asked_of(held: SignIn, method: str) -> str:
    """Who may set `method` up in this sign-in as it stands: it is missing, or was offered; empty for nobody."""
    user_id = held.user_id
    if user_id is None or method not in _methods(held) or lifecycle.is_disabled(user_id):
        return ""
    return user_id


def _methods(held: SignIn) -> tuple[str, ...]:
    if held.outcome is not None:
        return ()
    stood = progress.standing(held, browser.current())
    step = next_step(stood)
    if step is Step.OFFER and offering.suits_a_passkey(stood):
        return ("passkey",)
    return offering.to_enrol(stood) if step is Step.ENROL else ()


def _begun() -> SignIn:
    with database.writing():
        held = hold()
        user_id = asked_of(held, "totp")
        if not user_id:
            return held
        authenticator_apps.begin(user_id, held.id)
        return transactions.fail(held, "")


def _confirmed(given: str) -> tuple[SignIn, str, tuple[str, ...]]:
    """The sign-in as it stands then, the browser's new token if somebody signed in, and codes to be shown."""
    held = hold()
    user_id = asked_of(held, "totp")
    if not user_id:
        return held, "", ()
    if not given.strip():
        return transactions.fail(held, MISSING), "", ()
    factor = authenticator_apps.confirm(user_id, held.id, given, by=Actor("user", user_id))
    if factor is None:
        is_pending = authenticator_apps.pending(user_id, held.id)
        return transactions.fail(held, WRONG if is_pending else LATE), "", ()
    codes = enrol_codes.first(user_id)
    settled, cookie = attempts.proven(held, Proof("totp", clock.now(), factor_id=factor.id), browser.locked())
    return settled, cookie, codes


def _declined() -> tuple[SignIn, str]:
    held = hold()
    stood = _asked(held)
    if stood is None or held.user_id is None or not offering.may_decline(stood) or lifecycle.is_disabled(held.user_id):
        return held, ""
    return attempts.go_on(transactions.decline(held), browser.locked())


def _asked(sign_in: SignIn) -> Standing | None:
    """How far the sign-in has come, if this page is what it asks."""
    if sign_in.outcome is not None:
        return None
    stood = progress.standing(sign_in, browser.current())
    return stood if next_step(stood) is Step.ENROL else None


def _app_page(sign_in: SignIn) -> ResponseReturnValue:
    return redirect(f"{answers.address(Step.ENROL, sign_in)}&way=app", 303)
