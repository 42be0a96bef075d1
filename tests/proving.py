"""Proofs without their pages: what a sign-in or a session comes to once somebody has proven this or that."""

from idp.audit.trail import Actor
from idp.credentials import factors
from idp.login import attempts, progress, transactions
from idp.login.steps import Step
from idp.login.views import answers
from idp.platform import clock, database
from idp.sessions import browsers, people, trusted_devices
from idp.sessions.models import Browser as Row
from idp.sessions.proofs import Proof
from tests.actors import Browser, Page, transaction_in

KINDS = {"totp": "totp", "passkey": "passkey", "email_code": "email_code"}


def set_up(user_id: str, kind: str = "totp") -> str:
    """The id of a factor that the person has from now on; of no use to the pages, which ask what it is made of."""
    with database.writing():
        return factors.add(user_id, kind, kind, by=Actor("user", user_id)).id


def proof(method: str, user_id: str) -> Proof:
    """That the person proved something just now, with the factor of that kind that they have, if they have one."""
    mine = [one.id for one in factors.of(user_id) if one.kind == KINDS.get(method)]
    held_in = "hwk" if method == "passkey" else ""
    return Proof(method, clock.now(), factor_id=mine[0] if mine else "", held_in=held_in)


def step_up(browser: Browser, user_id: str, *methods: str) -> None:
    """Let the person prove more in the browser, in which nothing is under way."""
    database.session().rollback()
    with database.writing():
        proofs = [proof(method, user_id) for method in methods]
        _, cookie = people.open_session(_row(browser), user_id, proofs)
    browser.put_cookie(cookie)


def prove(browser: Browser, page: Page, *methods: str) -> Page:
    """Prove something in the sign-in that `page` is of; the page that comes of it."""
    address = ""
    for method in methods:
        database.session().rollback()
        with database.writing():
            known = _row(browser)
            held = transactions.hold(known, transaction_in(page))
            settled, cookie = attempts.proven(held, proof(method, held.user_id or ""), known)
            if cookie:
                browser.put_cookie(cookie)
        address = _onward(settled, browser)
    return browser.get(address)


def decline(browser: Browser, page: Page) -> Page:
    """Set nothing up, and go on; the page that comes of it."""
    database.session().rollback()
    with database.writing():
        known = _row(browser)
        held = transactions.decline(transactions.hold(known, transaction_in(page)))
        settled, cookie = attempts.go_on(held, known)
        if cookie:
            browser.put_cookie(cookie)
    return browser.get(_onward(settled, browser))


def trust(browser: Browser, user_id: str, factor_id: str = "") -> str:
    """Let the person trust the browser; the id of the trust."""
    database.session().rollback()
    with database.writing():
        trusted_devices.trust(_row(browser), user_id, factor_id)
    return trusted_devices.trusted(browsers.recognise(browser.cookie()), user_id)


def _row(browser: Browser) -> Row:
    found = browsers.recognise(browser.cookie())
    assert found is not None
    return browsers.lock(found.id)


def _onward(sign_in: transactions.SignIn, browser: Browser) -> str:
    step = progress.step_of(sign_in, browsers.recognise(browser.cookie()))
    if sign_in.outcome is None and step is not Step.DONE:
        return answers.address(step, sign_in)
    return answers.way_back(sign_in)
