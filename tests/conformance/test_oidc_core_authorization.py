"""OpenID Connect Core: what the authorization endpoint asks of people, and what it must not (§3.1.2, §5.5.1, §11)."""

import json

import pytest
import time_machine
from flask import Flask

from tests.actors import GOOD
from tests.login.conftest import made
from tests.oauth import minting
from tests.oauth.actors import Browser, RelyingParty, answer_in, claims_of, relying_party


@pytest.fixture
def olivia(app: Flask) -> str:
    minting.make_keys()
    return made("olivia", email="olivia@northwind.test")


@pytest.fixture
def browser(app: Flask, olivia: str) -> Browser:
    return Browser(app)


@pytest.fixture
def shop(app: Flask) -> RelyingParty:
    return relying_party(app, "shop", first_party=True, id_token_signed_response_alg="ES256")


@pytest.fixture
def ledger(app: Flask) -> RelyingParty:
    return relying_party(app, "ledger", id_token_signed_response_alg="ES256")


def test_oidc_core_3_1_2_1_prompt_none_shows_no_page(browser: Browser, ledger: RelyingParty) -> None:
    for error in ("login_required", "consent_required"):
        page = browser.get(ledger.authorize_url(prompt="none", state="s-1"))
        assert (page.status, answer_in(page)["error"], answer_in(page)["state"]) == (303, error, "s-1")
        browser.sign_in("olivia")


def test_oidc_core_3_1_2_1_prompt_login_asks_again(browser: Browser, shop: RelyingParty) -> None:
    browser.sign_in("olivia")
    page = browser.get(shop.authorize_url(prompt="login"))
    assert page.name == "password"
    assert "code" in answer_in(browser.send(page, "password", password=GOOD))


def test_oidc_core_3_1_2_1_prompt_consent_asks_again(browser: Browser, ledger: RelyingParty) -> None:
    browser.allow(browser.sign_in("olivia", path=ledger.authorize_url()))
    assert "code" in answer_in(browser.get(ledger.authorize_url()))
    assert browser.get(ledger.authorize_url(prompt="consent")).name == "consent"


def test_oidc_core_3_1_2_1_prompt_select_account_asks_who(browser: Browser, shop: RelyingParty) -> None:
    browser.sign_in("olivia")
    page = browser.get(shop.authorize_url(prompt="select_account"))
    assert (page.name, "olivia" in page.text) == ("login", True)


def test_oidc_core_3_1_2_1_an_older_session_than_max_age_is_authenticated_anew(
    browser: Browser, shop: RelyingParty
) -> None:
    with time_machine.travel(1_900_000_000, tick=True) as clockwork:
        browser.sign_in("olivia")
        clockwork.shift(120)
        minting.make_keys()
        page = browser.get(shop.authorize_url(max_age="60"))
        assert page.name == "password"
        said = claims_of(shop.redeem(browser.send(page, "password", password=GOOD))["id_token"])
        assert 1_900_000_120 <= said["auth_time"] <= said["iat"]


def test_oidc_core_3_1_2_1_a_hint_for_somebody_else_is_no_success(
    browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    made("bob")
    hint = shop.redeem(browser.sign_in("olivia", path=shop.authorize_url()))["id_token"]
    browser.send(browser.get("/logout"), "logout-confirm")
    browser.sign_in("bob")
    page = browser.get(shop.authorize_url(prompt="none", id_token_hint=hint))
    assert answer_in(page)["error"] == "login_required"


def test_oidc_core_3_1_2_2_a_subject_that_is_asked_for_is_who_is_authenticated(
    browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    asked = json.dumps({"id_token": {"sub": {"value": olivia}}})
    page = browser.sign_in("olivia", path=shop.authorize_url(claims=asked))
    assert claims_of(shop.redeem(page)["id_token"])["sub"] == olivia
    other = json.dumps({"id_token": {"sub": {"value": "usr_somebody_else"}}})
    assert answer_in(browser.get(shop.authorize_url(claims=other, prompt="none")))["error"] == "login_required"


def test_oidc_core_3_1_2_3_forging_and_framing_are_prevented(browser: Browser, ledger: RelyingParty) -> None:
    page = browser.sign_in("olivia", path=ledger.authorize_url())
    assert page.response.headers["X-Frame-Options"] == "DENY"
    form = page.form("consent-allow")
    del form.fields["csrf_token"]
    assert browser.post(page, "consent-allow", decision="allow").status_code == 403


def test_oidc_core_3_1_2_4_somebody_agrees_before_anything_is_released(browser: Browser, ledger: RelyingParty) -> None:
    page = browser.sign_in("olivia", path=ledger.authorize_url(scope="openid email"))
    assert (page.name, "See your e-mail address" in page.text) == ("consent", True)


def test_oidc_core_3_1_2_6_a_person_who_says_no_is_access_denied(browser: Browser, ledger: RelyingParty) -> None:
    page = browser.deny(browser.sign_in("olivia", path=ledger.authorize_url(state="s-1")))
    assert (answer_in(page)["error"], answer_in(page)["state"]) == ("access_denied", "s-1")


def test_oidc_core_5_5_1_1_an_essential_acr_that_is_not_met_is_a_failure(browser: Browser, shop: RelyingParty) -> None:
    asked = json.dumps({"id_token": {"acr": {"essential": True, "value": "phr"}}})
    browser.sign_in("olivia")
    assert browser.get(shop.authorize_url(claims=asked)).path == "/login/enrol"
    assert "code" not in answer_in(browser.get(shop.authorize_url(claims=asked, prompt="none")))
    unknown = json.dumps({"id_token": {"acr": {"essential": True, "value": "urn:example:gold"}}})
    page = browser.get(shop.authorize_url(claims=unknown))
    assert answer_in(page)["error"] == "unmet_authentication_requirements"


def test_oidc_core_11_offline_access_takes_consent(browser: Browser, ledger: RelyingParty) -> None:
    page = browser.sign_in("olivia", path=ledger.authorize_url(scope="openid"))
    browser.allow(page)
    page = browser.get(ledger.authorize_url(scope="openid offline_access"))
    assert (page.name, "Stay connected" in page.text) == ("consent", True)


def test_oidc_core_11_offline_access_is_ignored_where_nothing_can_be_refreshed(app: Flask, browser: Browser) -> None:
    plain = relying_party(app, "plain", first_party=True, grant_types=["authorization_code"])
    page = browser.sign_in("olivia", path=plain.authorize_url(scope="openid offline_access"))
    assert "code" in answer_in(page)
    assert (
        "Stay connected" not in browser.get(plain.authorize_url(scope="openid offline_access", prompt="consent")).text
    )
