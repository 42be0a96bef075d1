"""Codes on their way to the client: with what they come, in which way, and where they never stand."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.platform.calls import FORM
from idp.platform.settings import Settings, configure, settings
from tests.login.conftest import made
from tests.oauth.actors import CALLBACK, Browser, RelyingParty, claims_of, relying_party
from tests.oauth.asking import ISSUER, PATH, posted, sent_back
from tests.oauth.minting import make_keys
from tests.oauth.test_authorize import STATES

WITHOUT_PKCE: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None, "nonce": None}


@pytest.fixture
def olivia(app: Flask) -> Browser:
    """Olivia's browser, in which she is signed in."""
    made("olivia")
    browser = Browser(app)
    browser.sign_in("olivia")
    return browser


@pytest.fixture
def shop(app: Flask) -> RelyingParty:
    """A client that asks for no consent, so that answers come at once."""
    return relying_party(app, "app_shop", first_party=True, consent="skip", id_token_signed_response_alg="ES256")


def answered(browser: Browser, party: RelyingParty, **changed: str | None) -> TestResponse:
    """What the browser is told at once."""
    return browser.client.get(party.authorize_url(**changed))


@pytest.mark.rule("AUZ-08")
@pytest.mark.rule("AUZ-09")
@pytest.mark.parametrize("state", STATES, ids=range(len(STATES)))
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_a_code_comes_with_state_and_issuer(olivia: Browser, shop: RelyingParty, state: str, mode: str) -> None:
    response = answered(olivia, shop, state=state, response_mode=mode)
    told = sent_back(response) if mode == "query" else posted(response)
    assert told.pop("code")
    assert told == {"state": state, "iss": ISSUER}


def test_rfc6749_4_1_2_without_state_none_comes_back(olivia: Browser, shop: RelyingParty) -> None:
    assert sent_back(answered(olivia, shop, state=None)).keys() == {"code", "iss"}


@pytest.mark.rule("AUZ-16")
def test_no_page_but_that_of_a_form_has_the_code_in_it(olivia: Browser, shop: RelyingParty) -> None:
    redirected = answered(olivia, shop)
    assert redirected.text == ""
    assert redirected.headers["Cache-Control"] == "no-store"
    assert redirected.headers["Referrer-Policy"] == "same-origin"
    page = answered(olivia, shop, response_mode="form_post")
    assert page.headers["Cache-Control"] == "no-store"
    assert page.text.count(posted(page)["code"]) == 1


@pytest.mark.rule("SES-03")
def test_a_post_gets_its_code_by_the_get_that_follows(olivia: Browser, shop: RelyingParty) -> None:
    query = urlsplit(shop.authorize_url()).query
    again = olivia.client.post(PATH, data=query, content_type=FORM, headers={"Origin": "https://shop.example.com"})
    assert "code=" not in again.headers["Location"]
    assert "code" in sent_back(olivia.client.get(again.headers["Location"]))


@pytest.mark.rule("PKC-01")
def test_a_confidential_client_without_pkce_and_nonce_works_where_the_operator_says_so(
    app: Flask, olivia: Browser, shop: RelyingParty
) -> None:
    make_keys()
    refused = sent_back(answered(olivia, shop, **WITHOUT_PKCE))
    assert (refused["error"], refused["error_description"]) == ("invalid_request", "code_challenge is missing")
    configure(app, _except_confidential(settings()))
    code = sent_back(answered(olivia, shop, **WITHOUT_PKCE))["code"]
    tokens = shop.token(grant_type="authorization_code", code=code, redirect_uri=CALLBACK)
    assert tokens.status_code == 200, tokens.text
    assert "nonce" not in claims_of(tokens.get_json()["id_token"])
    assert sent_back(answered(olivia, shop, **WITHOUT_PKCE, scope="email"))["error"] == "invalid_request"
    spa = relying_party(app, "app_spa", public=True, first_party=True, consent="skip")
    assert sent_back(answered(olivia, spa, **WITHOUT_PKCE))["error"] == "invalid_request"


def _except_confidential(known: Settings) -> Settings:
    return known.model_copy(update={"require_pkce": "public"})


@pytest.mark.rule("AUZ-10")
@pytest.mark.parametrize("kind", ["token", "id_token", "code id_token", "none"])
def test_nothing_is_given_to_whoever_asks_for_something_else(olivia: Browser, shop: RelyingParty, kind: str) -> None:
    told = sent_back(answered(olivia, shop, response_type=kind))
    assert not {"code", "access_token", "id_token"} & told.keys()
    assert told["error"] == "unsupported_response_type"


@pytest.mark.rule("AUZ-01")
def test_nobody_who_is_signed_in_is_sent_to_another_address(olivia: Browser, shop: RelyingParty) -> None:
    for uri in (CALLBACK + "/", "https://evil.example/cb", CALLBACK + "#x"):
        response = answered(olivia, shop, redirect_uri=uri)
        assert (response.status_code, "Location" in response.headers) == (400, False)


def test_whoever_only_looks_gets_no_code(olivia: Browser, shop: RelyingParty) -> None:
    assert olivia.client.head(shop.authorize_url()).status_code == 405


def test_the_query_of_the_address_is_kept_beside_the_code(app: Flask, olivia: Browser) -> None:
    uri = CALLBACK + "?tenant=1"
    shop = relying_party(app, "app_two", first_party=True, consent="skip", redirect_uris=[uri])
    location = answered(olivia, shop, state="s").headers["Location"]
    assert location.startswith(f"{uri}&code=")
    assert dict(parse_qsl(urlsplit(location).query)).keys() == {"tenant", "code", "state", "iss"}
