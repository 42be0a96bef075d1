"""OpenID Connect RP-Initiated Logout 1.0: one test a MUST, named by section."""

from flask import Flask

from tests.oauth.actors import Browser, RelyingParty
from tests.oauth.test_logout import GOODBYE, LOGOUT, address, browser, id_token, olivia, sent_to, sessions, shop

__all__ = ["browser", "olivia", "shop"]


def test_oidc_rp_logout_2_get_and_post_are_taken(app: Flask, browser: Browser, shop: RelyingParty, olivia: str) -> None:
    assert browser.get(LOGOUT).name == "logout"
    answer = browser.client.post(LOGOUT, data={"id_token_hint": id_token(olivia)})
    assert browser.get(answer.location).name == "logged-out"


def test_oidc_rp_logout_2_an_expired_hint_is_accepted(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    browser.get(address(id_token_hint=id_token(olivia, exp=1)))
    assert sessions(olivia) == []


def test_oidc_rp_logout_2_client_id_and_hint_have_to_agree(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    asked = browser.get(
        address(id_token_hint=id_token(olivia), client_id="app_other", post_logout_redirect_uri=GOODBYE)
    )
    assert asked.name == "logout"
    assert browser.send(asked, "logout-confirm").name == "logged-out"


def test_oidc_rp_logout_2_without_a_hint_the_person_is_asked(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    assert browser.get(address(client_id=shop.id)).name == "logout"
    assert sessions(olivia)


def test_oidc_rp_logout_3_no_redirect_where_the_address_is_not_registered(
    browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    page = browser.get(address(id_token_hint=id_token(olivia), post_logout_redirect_uri="https://shop.example.com/"))
    assert sent_to(page) == ""


def test_oidc_rp_logout_3_the_state_comes_back(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    page = browser.get(address(id_token_hint=id_token(olivia), post_logout_redirect_uri=GOODBYE, state="xyz"))
    assert sent_to(page) == f"{GOODBYE}?state=xyz"
