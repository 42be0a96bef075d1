"""How long ago: what was proven grows old for an organization by itself, and nothing renews it that does not count."""

import json

import pytest
from time_machine import Traveller

from idp.credentials import passwords
from idp.platform import clock, database
from tests.oauth.actors import Browser, RelyingParty, claims_of
from tests.oauth.test_entering import GOOD_HASH, browser, clockwork, demand, how_many, refused, shop, told
from tests.organizations.actors import ACME, DAN
from tests.proving import decline, prove, set_up, step_up
from tests.traces import OPERATOR

__all__ = ["browser", "clockwork", "shop"]


@pytest.mark.rule("SES-06", "TOT-07")
def test_what_does_not_count_renews_nothing(clockwork: Traveller, browser: Browser, shop: RelyingParty) -> None:
    demand(methods=("passkey",), session_idle=3_600, session_max=3_600)
    set_up(DAN.id, "passkey")
    step_up(browser, DAN.id, "passkey")
    clockwork.shift(3_000)
    step_up(browser, DAN.id, "password", "totp")
    assert told(shop, browser.get(shop.authorize_url(organization="acme")))[0] == ACME
    clockwork.shift(601)
    assert refused(browser.get(shop.authorize_url(organization="acme", prompt="none")))[0] == "login_required"
    page = browser.get(shop.authorize_url(organization="acme"))
    assert (page.path, page.heading) == ("/login/verify", "Use your passkey")
    assert told(shop, prove(browser, page, "passkey"))[:2] == (ACME, "phr")


@pytest.mark.rule("SES-06", "TOT-07")
def test_what_is_weaker_renews_nothing(clockwork: Traveller, browser: Browser, shop: RelyingParty) -> None:
    demand(mfa="required", session_idle=3_600, session_max=3_600)
    set_up(DAN.id)
    step_up(browser, DAN.id, "password", "totp")
    clockwork.shift(3_000)
    step_up(browser, DAN.id, "password")
    tokens = shop.redeem(browser.get(shop.authorize_url(organization="acme")))
    clockwork.shift(601)
    answer = shop.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.get_json()["error"] == "insufficient_user_authentication"
    page = browser.get(shop.authorize_url(organization="acme"))
    assert page.path == "/login/verify"
    assert told(shop, prove(browser, page, "totp"))[:2] == (ACME, "aal2")


@pytest.mark.rule("SES-06")
def test_a_password_renews_a_password_beside_a_passkey_that_does_not_count(
    clockwork: Traveller, browser: Browser, shop: RelyingParty
) -> None:
    demand(methods=("password",), session_idle=3_600, session_max=3_600)
    set_up(DAN.id, "passkey")
    with database.writing():
        passwords.store(DAN.id, GOOD_HASH, by=OPERATOR)
    step_up(browser, DAN.id, "password", "passkey")
    clockwork.shift(3_601)
    page = browser.get(shop.authorize_url(organization="acme"))
    assert page.path == "/login/password"
    assert told(shop, prove(browser, page, "password"))[:2] == (ACME, "aal1")


@pytest.mark.rule("JWT-12")
@pytest.mark.rule("TOT-07")
def test_of_several_essential_levels_one_is_met_by_what_counts(browser: Browser, shop: RelyingParty) -> None:
    demand(methods=("password", "passkey"))
    step_up(browser, DAN.id, "password", "totp")
    wanted = json.dumps({"id_token": {"acr": {"essential": True, "values": ["phr", "aal2"]}}})
    asked = {"organization": "acme", "claims": wanted}
    page = browser.get(shop.authorize_url(**asked))
    page = decline(browser, page) if page.path == "/login/enrol" else page
    assert how_many() == 0
    assert told(shop, prove(browser, browser.get(shop.authorize_url(**asked)), "passkey"))[1] == "phr"


@pytest.mark.rule("JWT-12")
@pytest.mark.parametrize("max_age", [600, 0])
def test_how_old_a_sign_in_is_for_a_client_is_said_by_what_counts_there(
    clockwork: Traveller, browser: Browser, shop: RelyingParty, max_age: int
) -> None:
    demand(methods=("passkey",))
    set_up(DAN.id, "passkey")
    step_up(browser, DAN.id, "passkey")
    by_passkey = clock.now() // clock.SECOND
    clockwork.shift(601)
    step_up(browser, DAN.id, "password")
    tokens = shop.redeem(browser.get(shop.authorize_url(organization="acme")))
    assert (claims_of(tokens["access_token"])["auth_time"], claims_of(tokens["id_token"])["auth_time"]) == (
        by_passkey,
        by_passkey,
    )
    assert refused(browser.get(shop.authorize_url(organization="acme", prompt="none", max_age="600")))[0] == (
        "login_required"
    )
    clockwork.shift(5)
    page = browser.get(shop.authorize_url(organization="acme", max_age=str(max_age)))
    if page.path == "/login/password":
        page = prove(browser, page, "password")
    assert page.path == "/login/verify"
    tokens = shop.redeem(prove(browser, page, "passkey"))
    assert claims_of(tokens["id_token"])["auth_time"] == clock.now() // clock.SECOND
