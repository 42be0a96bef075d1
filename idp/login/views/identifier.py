"""`/login`: who is signing in. People of this browser can be picked, anybody else types a name."""

from dataclasses import dataclass

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from idp.login import attempts, identifiers, progress, returning, transactions
from idp.login.demands import Demand
from idp.login.steps import Step
from idp.login.transactions import SignIn
from idp.login.views import answers, browser
from idp.platform import database
from idp.platform.access import public
from idp.platform.errors import NotFound
from idp.sessions import people
from idp.sessions.models import Browser
from idp.users import users

MISSING = "identifier_missing"

RENAMING = (Step.IDENTIFY, Step.PASSWORD, Step.VERIFY, Step.RENEW, Step.ENROL)
"""The steps at which somebody may say that they are another person after all."""


@dataclass(frozen=True)
class Candidate:
    """Somebody who is signed in in this browser: the session, the name that people read, and the one that is unique."""

    session_id: str
    name: str
    username: str


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule("/login", "login", show, methods=["GET"])
    app.add_url_rule("/login", "login_named", name, methods=["POST"])
    app.add_url_rule("/login/cancel", "login_cancel", cancel, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """The page; without a sign-in under way one is begun, bound to this browser."""
    if not browser.transaction():
        return _begin()
    sign_in = transactions.find(browser.current(), browser.transaction())
    if not _is_asked(sign_in, browser.current()):
        return answers.onward(sign_in)
    return answers.page(
        "login/identifier.html",
        sign_in,
        candidates=_candidates(sign_in, browser.current()),
        typed=sign_in.identifier or sign_in.demand.login_hint,
        is_missing=sign_in.failure == MISSING,
        is_other=sign_in.failure == attempts.OTHER,
        failure=sign_in.failure,
    )


@public
def name() -> ResponseReturnValue:
    """Somebody was picked or named."""
    with database.writing():
        held = transactions.hold(browser.current(), browser.transaction())
        if _is_asked(held, browser.current()):
            held = _pick(held) if request.form.get("person") else _name(held, request.form.get("username", ""))
    return answers.onward(held)


@public
def cancel() -> ResponseReturnValue:
    """Nobody signs in after all: back to the application, which is told so."""
    with database.writing():
        held = transactions.hold(browser.current(), browser.transaction())
        settled = transactions.settle(held, "cancelled")
    return answers.onward(settled)


def _begin() -> ResponseReturnValue:
    return_to = returning.or_home(request.args.get("return_to"))
    hint = identifiers.normal(request.args.get("login_hint", ""))
    with database.writing():
        begun = transactions.begin(browser.known_or_new().id, Demand(login_hint=hint), return_to=return_to)
    return redirect(answers.address(Step.IDENTIFY, begun), 303)


def _is_asked(sign_in: SignIn, known: Browser | None) -> bool:
    """Whether who is signing in can be said (again): until a session was opened; what was proven is forgotten then."""
    return sign_in.outcome is None and progress.step_of(sign_in, known) in RENAMING


def _name(held: SignIn, typed: str) -> SignIn:
    identifier = identifiers.normal(typed)
    if not identifier:
        return transactions.fail(transactions.name(held, "", None), MISSING)
    return transactions.name(held, identifier, identifiers.person(identifier))


def _pick(held: SignIn) -> SignIn:
    """Go on as somebody who is signed in here: with the session as it is, if that will do."""
    try:
        session = people.find(browser.current(), request.form["person"])
    except NotFound:  # signed out in another tab meanwhile: the page shows who is left
        return held
    if not held.demand.admits(session.user_id):
        return attempts.refuse_other(held)
    held = transactions.pick(held, session.user_id, session.id)
    step = progress.step_of(held, browser.current())
    if step in (Step.SELECT, Step.DONE):
        people.come_forward(session)
    return transactions.settle(held, "done") if step is Step.DONE else held


def _candidates(sign_in: SignIn, known: Browser | None) -> list[Candidate]:
    present = [one for one in people.in_browser(known) if sign_in.demand.admits(one.user_id)]
    return [candidate(one.id, one.user_id) for one in present]


def candidate(session_id: str, user_id: str) -> Candidate:
    """The person as the page shows them."""
    person = users.find(user_id)
    return Candidate(session_id, users.display_name(person), person.username)
