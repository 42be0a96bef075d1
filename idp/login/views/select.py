"""`/select`: in which organization or account to work. Part of a sign-in, or asked for by somebody signed in."""

from flask import Flask, request
from flask.typing import ResponseReturnValue

from idp.login import contexts, progress, returning, transactions
from idp.login.contexts import Offer, Question
from idp.login.demands import Demand
from idp.login.steps import Step
from idp.login.transactions import SignIn
from idp.login.views import answers, browser
from idp.platform import database
from idp.platform.access import public
from idp.platform.errors import NotFound

MISSING = "context_missing"

MANY = 8
"""Choices above which they can be searched."""

_LONGEST_SEARCH = 100


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule("/select", "select", show, methods=["GET"])
    app.add_url_rule("/select", "selected", choose, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """The page; without a sign-in under way whoever is signed in chooses, anybody else signs in first."""
    if not browser.transaction():
        return _begin()
    sign_in = transactions.find(browser.current(), browser.transaction())
    if not _is_asked(sign_in):
        return answers.onward(sign_in)
    question = _question()
    found = contexts.offers(sign_in.user_id or "", sign_in.demand, question)
    return answers.page(
        "login/select.html",
        sign_in,
        offers=found,
        question=question,
        is_long=_is_long(found) or question != Question(),
        is_missing=sign_in.failure == MISSING,
        only=_first(found) if sum(offer.size for offer in found) == 1 else "",
    )


@public
def choose() -> ResponseReturnValue:
    """Something was chosen."""
    with database.writing():
        held = transactions.hold(browser.current(), browser.transaction())
        if _is_asked(held):
            held = _choose(held, request.form.get("context", ""))
    return answers.onward(held)


def _choose(held: SignIn, context_id: str) -> SignIn:
    try:
        context = contexts.chosen(held.user_id or "", held.demand, context_id)
    except NotFound:
        return transactions.fail(held, MISSING)
    return transactions.settle(transactions.choose(held, context.organization_id, context.account_id), "done")


def _begin() -> ResponseReturnValue:
    session = browser.signed_in()
    demand = Demand(context="any", forced=True, told_as="context")
    with database.writing():
        begun = transactions.begin(browser.known_or_new().id, demand, return_to=returning.HOME)
        if session:
            begun = transactions.pick(begun, session.user_id, session.id)
    return answers.onward(begun)


def _is_asked(sign_in: SignIn) -> bool:
    return sign_in.outcome is None and progress.step_of(sign_in, browser.current()) is Step.SELECT


def _question() -> Question:
    search = request.args.get("q", "").strip()[:_LONGEST_SEARCH]
    return Question(search, request.args.get("organization", ""), request.args.get("after", ""))


def _is_long(found: list[Offer]) -> bool:
    return sum(offer.size for offer in found) > MANY or any(offer.more_after or not offer.is_open for offer in found)


def _first(found: list[Offer]) -> str:
    offer = next(offer for offer in found if offer.size)
    return offer.organization.id if offer.itself else offer.accounts[0].id
