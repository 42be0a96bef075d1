"""`/login/passkey`: a passkey, in place of a name and a password, or as what is asked besides.

A script on the page asks for options and sends what the browser says as a form, so that what comes of it is a page
like any other. A passkey cannot be guessed: it is looked at first, failures count under their source alone, and
nobody's failures hold anybody's passkey back (LOG-05).
"""

from dataclasses import dataclass

from flask import Flask, Response, jsonify, redirect, request
from flask.typing import ResponseReturnValue

from idp.credentials import ceremonies, guesses, passkeys
from idp.credentials.authenticators import NotAccepted
from idp.credentials.guesses import TooMany
from idp.credentials.passkeys import Verified
from idp.login import attempts, progress, steps, transactions
from idp.login.steps import Step
from idp.login.transactions import SignIn
from idp.login.views import answers, browser, verify
from idp.platform import clock, correlation, database, lane
from idp.platform.access import public
from idp.platform.calls import Answer, Call
from idp.platform.errors import Conflict
from idp.platform.settings import settings
from idp.sessions import trusted_devices
from idp.sessions.models import Browser
from idp.sessions.proofs import Proof
from idp.users import lifecycle

METHOD = "passkey"

WRONG, UNKNOWN = "passkey wrong", "passkey unknown"
"""Why a page is shown again; both say the same to people, and the second lets the browser forget the passkey."""

NOBODY = ""
"""Whose the passkey has to be where a name was given that nobody has."""


class NotAsked(Conflict):
    """The sign-in has gone on in another tab, or was begun anew: no passkey is asked for now."""

    code = "passkey_not_asked"
    title = "No passkey is asked for now"
    remedy = "Reload the page: it shows what comes next."


@dataclass(frozen=True)
class Question:
    """What a passkey would answer now.

    `purpose`: of the ceremony. `asked_of`: whose passkeys the browser is told, once somebody has proven something.
    `whose`: whose it has to be; `None`: whoever it belongs to says so who is signing in.
    """

    purpose: str
    asked_of: str | None
    whose: str | None


def init(app: Flask) -> None:
    """Serve these in `app`."""
    app.add_url_rule("/login/passkey/options", "login_passkey_options", options, methods=["POST"])
    app.add_url_rule("/login/passkey", "login_passkey", check, methods=["POST"])
    lane.mount(app, "/.well-known/webauthn", related_origins)


@public
def options() -> ResponseReturnValue:
    """What the browser is to be asked for (JSON)."""
    with database.writing():
        held = transactions.hold(browser.current(), browser.transaction())
        question = _question(held, browser.current())
        if question is None:
            raise NotAsked
        found = passkeys.request_options(question.purpose, held.id, question.asked_of)
    return jsonify(found)


@public
def check() -> ResponseReturnValue:
    """The browser has answered."""
    with database.writing():
        settled, cookie, too_many = _judged()
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    return _held_back(settled, too_many) if too_many else _onward(settled)


@public
def related_origins(_call: Call) -> Answer:
    """The origins that may use our passkeys (Web Authentication §5.11): our own, and no other."""
    return Answer.json({"origins": [settings().issuer]})


def proof(factor_id: str, held_in: str) -> Proof:
    """That somebody has just proven themselves with that passkey, whose key is held there."""
    return Proof(METHOD, clock.now(), factor_id=factor_id, held_in=held_in)


def _question(held: SignIn, known: Browser | None) -> Question | None:
    """What a passkey would answer in this sign-in as it stands; `None` where none is asked for.

    Before anybody has proven anything the browser is asked for any passkey, whoever was named (LOG-02).
    """
    if held.outcome is not None:
        return None
    stood = progress.standing(held, known)
    step = steps.next_step(stood)
    if step is Step.IDENTIFY:
        return Question(ceremonies.SIGN_IN, None, None)
    if step is Step.PASSWORD:
        return Question(ceremonies.SIGN_IN, None, held.user_id or NOBODY)
    if step is Step.VERIFY and METHOD in steps.ways(stood):
        return Question(ceremonies.CONFIRM, held.user_id, held.user_id)
    return None


def _judged() -> tuple[SignIn, str, TooMany | None]:
    """What comes of the answer: the sign-in as it stands then, the browser's new token if somebody signed in, and
    whether too many have failed.
    """
    known = browser.current()
    held = transactions.hold(known, browser.transaction())
    question, given = _question(held, known), request.form.get("credential")
    if question is None or not given:
        return held, "", None
    try:
        verified = passkeys.verify(question.purpose, held.id, question.whose, given)
        if lifecycle.is_disabled(verified.user_id):
            raise NotAccepted
    except NotAccepted as refusal:
        return _failed(held, UNKNOWN if refusal.is_unknown else WRONG)
    return (*_proven(held, verified), None)


def _proven(held: SignIn, verified: Verified) -> tuple[SignIn, str]:
    trusting, known = verify.wants_trust(held), browser.locked()
    if not held.is_named:
        held = transactions.name(held, "", verified.user_id)
    settled, cookie = attempts.proven(held, proof(verified.factor_id, verified.held_in), known)
    if trusting and settled.user_id == verified.user_id and not settled.failure:
        trusted_devices.trust(known, verified.user_id, verified.factor_id)
    return settled, cookie


def _failed(held: SignIn, failure: str) -> tuple[SignIn, str, TooMany | None]:
    """Counted and written down, until the source has failed too often: then neither, and it is told to wait."""
    try:
        guesses.count_unguessable(correlation.current().address)
    except TooMany as refusal:
        return held, "", refusal
    return attempts.failed(held, METHOD, failure), "", None


def _held_back(sign_in: SignIn, refusal: TooMany) -> Response:
    """That a passkey was not accepted, and how long to wait with others that are not."""
    back = answers.address(progress.step_of(sign_in, browser.current()), sign_in)
    minutes = -(-refusal.retry_after // 60)
    reference = correlation.current().request_id
    page = answers.page(
        "login/held_back.html", sign_in, refusal.status, back=back, minutes=minutes, reference=reference
    )
    page.headers["Retry-After"] = str(refusal.retry_after)
    return page


def _onward(sign_in: SignIn) -> ResponseReturnValue:
    """As `answers.onward`; where it was tried as a second factor and failed, to the page about passkeys."""
    known = browser.current()
    failed = sign_in.failure in (WRONG, UNKNOWN)
    if failed and sign_in.outcome is None and progress.step_of(sign_in, known) is Step.VERIFY:
        return redirect(f"{answers.address(Step.VERIFY, sign_in)}&way={METHOD}", 303)
    return answers.onward(sign_in)
