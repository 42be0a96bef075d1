"""Trust in browsers, where organizations differ; and in which order rows are locked while it is used."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection
from time_machine import Traveller

from idp.credentials import factors
from idp.login import changing_factors
from idp.platform import clock, database
from idp.sessions.trusted_devices import TRUSTED
from tests.oauth.actors import Browser, RelyingParty, answer_in, claims_of
from tests.oauth.test_entering import browser, clockwork, demand, present, refused, shop, told
from tests.organizations.actors import ACME, BIRCH, DAN, VERA
from tests.proving import prove, set_up, step_up, trust
from tests.traces import OPERATOR, losses

__all__ = ["browser", "clockwork", "shop"]


@pytest.fixture
def locked() -> Iterator[list[str]]:
    """The tables of which rows are locked, in order; nothing where the database has no such locks."""
    found: list[str] = []

    def note(_c: Connection, _cur: object, statement: str, *_: object) -> None:
        if "FOR NO KEY UPDATE" in statement:
            found.append(statement.partition("FROM ")[2].split()[0])

    event.listen(database.db.engine, "before_cursor_execute", note)
    yield found
    event.remove(database.db.engine, "before_cursor_execute", note)


@pytest.mark.rule("TOT-07")
@pytest.mark.parametrize(("methods", "by"), [(("password", "passkey"), "totp"), (("password", "totp"), "")])
def test_trust_spares_only_what_would_count(
    browser: Browser, shop: RelyingParty, methods: tuple[str, ...], by: str
) -> None:
    demand(mfa="required", methods=methods)
    demand(BIRCH, mfa="required")
    for kind in ("passkey", "totp"):
        set_up(VERA.id, kind)
    trust(browser, VERA.id, next((one.id for one in factors.of(VERA.id) if one.kind == by), ""))
    step_up(browser, VERA.id, "password")
    assert told(shop, browser.get(shop.authorize_url(organization="birch")))[:2] == (BIRCH, "aal1")
    silent = browser.get(shop.authorize_url(organization="acme", prompt="none"))
    assert refused(silent) == ("interaction_required", "mfa_required")
    page = browser.get(shop.authorize_url(organization="acme"))
    assert page.path == "/login/verify"
    assert told(shop, prove(browser, page, "passkey" if by else "totp"))[0] == ACME


@pytest.mark.rule("TOT-07")
def test_a_session_in_a_browser_that_was_trusted_is_asked_once_that_is_over(
    clockwork: Traveller, browser: Browser, shop: RelyingParty
) -> None:
    demand(mfa="required")
    set_up(DAN.id)
    trust(browser, DAN.id, factors.of(DAN.id)[0].id)
    clockwork.shift(TRUSTED // clock.SECOND - 60)
    step_up(browser, DAN.id, "password")
    assert "code" in answer_in(browser.get(shop.authorize_url(organization="acme")))
    clockwork.shift(61)
    assert browser.get(shop.authorize_url(organization="acme")).path == "/login/verify"


def test_a_person_is_locked_before_their_browser(browser: Browser, shop: RelyingParty, locked: list[str]) -> None:
    demand(mfa="required")
    set_up(DAN.id)
    step_up(browser, DAN.id, "password")
    trust(browser, DAN.id, factors.of(DAN.id)[0].id)
    locked.clear()
    assert "code" in answer_in(browser.get(shop.authorize_url(organization="acme")))
    assert locked[:1] in ([], ["users"])


# What services are told that follow the feed


@pytest.mark.rule("REF-09")
def test_what_was_issued_by_a_factor_that_is_removed_is_superseded_also_where_the_session_goes_on(
    browser: Browser, shop: RelyingParty
) -> None:
    set_up(DAN.id)
    step_up(browser, DAN.id, "password", "totp")
    tokens = shop.redeem(browser.get(shop.authorize_url(organization="acme", scope="openid offline_access")))
    database.session().rollback()
    before = losses()
    with database.writing():
        changing_factors.remove(DAN.id, factors.of(DAN.id)[0].id, by=OPERATOR)
    sid = claims_of(tokens["access_token"])["sid"]
    assert losses()[len(before) :] == [("session", {"sid": sid})]
    assert [one.id for one in present(browser)] == [sid]
