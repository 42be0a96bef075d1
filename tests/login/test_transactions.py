"""Sign-ins under way: bound to a browser, settled once, and gone when they are long over."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from idp.login import transactions
from idp.login.demands import Demand
from idp.login.models import Transaction
from idp.login.transactions import Settled, SignIn, SignInOver
from idp.platform import clock, database
from idp.sessions import browsers, upkeep
from idp.sessions.models import Browser
from idp.sessions.proofs import Proof
from tests.sessions.conftest import at, new_browser

NOTHING = Demand()


def begin(token: str, demand: Demand = NOTHING) -> SignIn:
    with database.writing():
        browser = browsers.recognise(token)
        assert browser is not None
        return transactions.begin(browser.id, demand, return_to="/me", application="Ledger")


def count(model: type[object]) -> int:
    database.session().rollback()
    return database.session().scalar(select(func.count()).select_from(model)) or 0


@pytest.mark.rule("SES-02")
def test_a_sign_in_is_found_by_the_browser_that_began_it_alone(app: Flask) -> None:
    _, mine = new_browser()
    _, other = new_browser()
    begun = begin(mine)
    assert transactions.find(at(mine), begun.id) == begun
    for browser, id in ((at(other), begun.id), (None, begun.id), (at(mine), ""), (at(mine), "txn_unknown")):
        with pytest.raises(SignInOver):
            transactions.find(browser, id)
        with pytest.raises(SignInOver), database.writing():
            transactions.hold(browser, id)


def test_everything_that_happens_to_it_is_kept(app: Flask) -> None:
    _, token = new_browser()
    demand = Demand(
        fresh=True,
        max_age=5,
        acr="phr",
        least="aal2",
        methods=("password", "passkey"),
        spares=True,
        login_hint="olivia",
        person="usr_1",
        context="any",
        organizations=("org_1",),
        forced=True,
        told_as="context",
        targets=("https://shop.example.com",),
    )
    begun = begin(token, demand)
    proof = Proof("password", 17)
    with database.writing():
        held = transactions.hold(at_once(token), begun.id)
        held = transactions.fail(transactions.name(held, "olivia", "usr_1"), "mismatch")
        assert held.failure == "mismatch"
        held = transactions.decline(transactions.prove(held, proof))
        held = transactions.choose(held, "org_1", "acct_1")
    found = transactions.find(at(token), begun.id)
    assert found == held
    assert (found.demand, found.identifier, found.user_id, found.proofs) == (demand, "olivia", "usr_1", (proof,))
    assert (found.failure, found.organization_id, found.account_id) == ("", "org_1", "acct_1")
    assert found.has_declined
    with database.writing():
        again = transactions.name(transactions.hold(at_once(token), begun.id), "bob", None)
    assert (again.user_id, again.proofs, again.session_id, again.has_declined) == (None, (), None, False)


def at_once(token: str) -> Browser:
    """The browser that carries `token`, within the transaction in hand."""
    browser = browsers.recognise(token)
    assert browser is not None
    return browser


def test_a_kind_of_context_that_is_none_is_a_mistake_of_ours(app: Flask) -> None:
    with pytest.raises(ValueError, match="not a kind of context"):
        Demand(context="team")


@pytest.mark.rule("SES-02")
def test_of_two_who_settle_a_sign_in_one_wins(app: Flask) -> None:
    _, token = new_browser()
    begun = begin(token)
    ready = threading.Barrier(4)

    def settle(outcome: str) -> str:
        with app.app_context():
            ready.wait()
            try:
                with database.writing():
                    return transactions.settle(begun, outcome).outcome or ""
            except Settled as over:
                return f"not {over.sign_in.outcome}"
            finally:
                database.db.session.remove()

    database.session().rollback()
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(settle, ["done", "cancelled", "done", "cancelled"]))
    winner = transactions.outcome(at(token), begun.id).outcome
    assert winner is not None
    assert sorted(said) == sorted([winner, *[f"not {winner}"] * 3])
    with pytest.raises(Settled), database.writing():
        transactions.hold(at_once(token), begun.id)


def test_how_it_was_settled_is_told_once_it_is(app: Flask) -> None:
    _, token = new_browser()
    begun = begin(token)
    with pytest.raises(SignInOver) as over:
        transactions.outcome(at(token), begun.id)
    assert over.value.start == "/me"
    with database.writing():
        transactions.settle(begun, "cancelled")
    assert transactions.outcome(at(token), begun.id).outcome == "cancelled"


def test_what_is_long_over_goes_and_takes_the_browsers_of_strangers_with_it(app: Flask) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        _, token = new_browser()
        for _ in range(3):
            begin(token)
        clockwork.shift((transactions.LIFETIME + transactions.KEPT) / clock.SECOND)
        assert clean_up() == 0
        clockwork.shift(upkeep.STRANGERS_KEPT / clock.SECOND)
        with database.writing():
            assert transactions.forget_browsers() == 0
        assert [clean_up(2), clean_up(2), clean_up(2)] == [2, 1, 0]
        with database.writing():
            assert transactions.forget_browsers() == 1
    assert (count(Transaction), count(Browser)) == (0, 0)


def clean_up(limit: int = 500) -> int:
    with database.writing():
        return transactions.clean_up(limit)
