"""Ways around what was granted: by another parameter, another API of one name, a detour, or a registration of old."""

import json
from typing import Any

import pytest
from flask import Flask

from idp.clients import apis, clients
from idp.clients.apis import ApiSettings, ScopeSettings
from idp.clients.clients import ClientContext, ClientSettings
from idp.clients.metadata import InvalidMetadata, parse
from idp.oauth import contexts
from idp.oauth.errors import InvalidTarget
from idp.organizations import policies
from idp.organizations.effective import Context
from idp.organizations.policies import PolicySettings
from idp.platform import database
from tests.login.conftest import made
from tests.oauth import issuing, minting
from tests.oauth.actors import CALLBACK, Browser, RelyingParty, answer_in, claims_of, relying_party
from tests.oauth.decisions import code_for, decide, redemption, signed_in
from tests.oauth.decisions import shop as confidential
from tests.organizations.actors import ACME, BIRCH, MIA, VERA
from tests.traces import OPERATOR

PAYMENTS, NOTES = "https://payments.example.com", "https://notes.example.com"


@pytest.fixture
def browser(app: Flask) -> Browser:
    """Olivia's browser."""
    minting.make_keys()
    made("olivia", email="olivia@northwind.test")
    found = Browser(app)
    found.sign_in("olivia")
    return found


@pytest.fixture
def two_apis(app: Flask) -> None:
    """Two APIs with a scope of one name, which means something else at each."""
    for audience, words in ((PAYMENTS, "Pay out money"), (NOTES, "Change your notes")):
        with database.writing():
            apis.declare(ApiSettings(audience, "API", (ScopeSettings("write", words),)), by=OPERATOR)


def party(app: Flask, client_id: str = "ledger", **metadata: Any) -> RelyingParty:
    return relying_party(app, client_id, id_token_signed_response_alg="ES256", **metadata)


def register(client_id: str, **changed: Any) -> None:
    """Change what is registered of a client."""
    with database.writing():
        client = clients.named(client_id)
        was = clients.settings_of(client)
        wanted = ClientSettings(dict(was.metadata) | changed, was.context, was.enabled_for, was.first_party)
        clients.reconfigure(client, wanted, by=OPERATOR)


# Consent


@pytest.mark.rule("CON-03")
def test_what_was_agreed_to_at_one_api_is_not_agreed_to_at_another(
    app: Flask, browser: Browser, two_apis: None
) -> None:
    ledger = party(app, resources=[PAYMENTS, NOTES])
    browser.allow(browser.get(ledger.authorize_url(scope="openid write", resource=NOTES)))
    browser.allow(browser.get(ledger.authorize_url(scope="openid", resource=PAYMENTS)))
    for scope, resource in (("openid write", NOTES), ("openid", PAYMENTS)):
        assert "code" in answer_in(browser.get(ledger.authorize_url(scope=scope, resource=resource, prompt="none")))
    silent = browser.get(ledger.authorize_url(scope="openid write", resource=PAYMENTS, prompt="none"))
    assert answer_in(silent)["error"] == "consent_required"
    page = browser.get(ledger.authorize_url(scope="openid write", resource=PAYMENTS))
    assert "Pay out money" in page.text
    browser.allow(page)
    assert "code" in answer_in(
        browser.get(ledger.authorize_url(scope="openid write", resource=PAYMENTS, prompt="none"))
    )


@pytest.mark.rule("CON-01")
@pytest.mark.parametrize("order", [(PAYMENTS, NOTES), (NOTES, PAYMENTS)])
def test_scopes_of_one_name_are_shown_in_the_words_of_every_api(
    app: Flask, browser: Browser, two_apis: None, order: tuple[str, str]
) -> None:
    ledger = party(app, resources=[PAYMENTS, NOTES])
    page = browser.get(ledger.authorize_url(scope="write", resource=order[0]) + f"&resource={order[1]}")
    assert ("Pay out money" in page.text, "Change your notes" in page.text) == (True, True)


@pytest.mark.parametrize("first_party", [False, True])
def test_claims_by_name_bring_nothing_that_the_client_may_not_ask_for(
    app: Flask, browser: Browser, first_party: bool
) -> None:
    ledger = party(app, scope="openid", first_party=first_party)
    by_name = json.dumps({"userinfo": {"email": None}, "id_token": {"email": None}})
    page = browser.get(ledger.authorize_url(claims=by_name))
    assert "e-mail" not in page.text
    tokens = ledger.redeem(page if first_party else browser.allow(page))
    header = {"Authorization": f"Bearer {tokens['access_token']}"}
    told = app.test_client().get("/oauth2/userinfo", headers=header).get_json()
    assert ("email" in told, "email" in claims_of(tokens["id_token"])) == (False, False)


# A registration of old


def test_what_a_client_is_registered_for_no_longer_is_refreshed_no_longer(
    app: Flask, browser: Browser, two_apis: None
) -> None:
    ledger = party(app, resources=[PAYMENTS])
    tokens = ledger.redeem(browser.allow(browser.get(ledger.authorize_url(scope="openid write profile"))))
    register("ledger", scope="openid profile")
    tokens = ledger.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).get_json()
    assert tokens["scope"] == "openid profile"
    register("ledger", resources=[NOTES])
    refused = ledger.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_target")
    register("ledger", resources=[PAYMENTS])
    assert ledger.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).status_code == 200


def test_a_code_brings_nothing_that_its_client_is_registered_for_no_longer(
    app: Flask, browser: Browser, two_apis: None
) -> None:
    ledger = party(app, resources=[PAYMENTS])
    page = browser.allow(browser.get(ledger.authorize_url(scope="openid write", state="s-1")))
    register("ledger", resources=[NOTES])
    form = redemption(answer_in(page)["code"], redirect_uri=CALLBACK, code_verifier=ledger.verifiers["s-1"])
    assert ledger.token(**form).get_json()["error"] == "invalid_target"


@pytest.mark.rule("PKC-01")
def test_a_request_that_waited_is_held_to_what_is_registered_now(app: Flask, browser: Browser) -> None:
    ledger = party(app, require_pkce=False)
    without = ledger.authorize_url(code_challenge=None, code_challenge_method=None)
    page = browser.get(without)
    assert page.name == "consent"
    register("ledger", require_pkce=True)
    assert answer_in(browser.allow(page))["error"] == "invalid_request"


# Organizations


@pytest.mark.rule("ORG-05")
@pytest.mark.parametrize("named", [{}, {"organization": BIRCH}])
def test_a_refresh_enters_no_organization_that_demands_a_second_factor(acme: Flask, named: dict[str, str]) -> None:
    client = confidential(acme, first_party=True, context=ClientContext("any"))
    person = signed_in(VERA.id)
    code = code_for(decide(person, client.id, organization_id=ACME), client.id)
    token = client.token(**redemption(code)).get_json()["refresh_token"]
    demanding = named.get("organization", ACME)
    with database.writing():
        policies.change(demanding, PolicySettings(mfa="required"), by=OPERATOR)
    answer = client.token(grant_type="refresh_token", refresh_token=token, **named)
    told = answer.get_json()
    assert (answer.status_code, told["error"]) == (400, "insufficient_user_authentication")
    assert (told["error_detail"], told["acr_values"]) == ("mfa_required", "aal2")
    with database.writing():
        policies.change(demanding, PolicySettings(), by=OPERATOR)
    assert client.token(grant_type="refresh_token", refresh_token=token, **named).status_code == 200


@pytest.mark.rule("ORG-11")
def test_an_organizations_own_client_learns_nothing_of_who_is_a_member_elsewhere(acme: Flask) -> None:
    client = issuing.shop(owner=BIRCH)
    details = set()
    for person in (VERA, MIA):
        for organization in (ACME, "org_nowhere"):
            with pytest.raises(InvalidTarget) as refused:
                contexts.enter(person.id, Context(organization), client)
            details.add(refused.value.error_detail)
    assert details == {"client_not_enabled"}


# Pairwise subjects


@pytest.mark.rule("JWT-11")
def test_nobody_gets_into_a_sector_by_naming_its_host(app: Flask) -> None:
    addresses = (
        "https://shop.example.com/cb",
        "com.evil.app://shop.example.com/cb",
        "http://127.0.0.1/cb",
        "http://127.0.0.1/cb2",
        "com.evil.app:/cb",
    )
    sectors = [
        issuing.shop(
            f"app_{number}", subject_type="pairwise", redirect_uris=[address], application_type="native"
        ).sector
        for number, address in enumerate(addresses)
    ]
    assert sectors == ["shop.example.com", "app_1", "app_2", "app_3", "app_4"]


@pytest.mark.rule("DCR-05")
def test_an_address_of_its_own_scheme_is_in_no_sector_with_a_host() -> None:
    addresses = ["https://shop.example.com/cb", "com.evil.app://shop.example.com/cb"]
    with pytest.raises(InvalidMetadata) as refused:
        parse({"subject_type": "pairwise", "application_type": "native", "redirect_uris": addresses})
    assert refused.value.field == "sector_identifier_uri"


def test_whoever_allows_a_request_without_scopes_is_not_asked_in_a_circle(app: Flask, browser: Browser) -> None:
    ledger = party(app)
    silent = browser.get(ledger.authorize_url(scope=None, prompt="none"))
    assert answer_in(silent)["error"] == "consent_required"
    assert "code" in answer_in(browser.allow(browser.get(ledger.authorize_url(scope=None))))
    assert "code" in answer_in(browser.get(ledger.authorize_url(scope=None, prompt="none")))
