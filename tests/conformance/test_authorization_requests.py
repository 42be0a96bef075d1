"""What the specifications demand of an authorization endpoint: requests that are refused, and how; answers, and how."""

import pytest
from flask import Flask

from tests.oauth.actors import CALLBACK, RelyingParty, relying_party
from tests.oauth.asking import ISSUER, PATH, ask, is_shown, posted, sent_back


@pytest.fixture
def shop(app: Flask) -> RelyingParty:
    return relying_party(app, "app_shop")


# RFC 6749


def test_rfc6749_3_1_parameters_without_a_value_count_as_omitted(shop: RelyingParty) -> None:
    assert sent_back(ask(shop, response_type="", state="s")) == sent_back(ask(shop, response_type=None, state="s"))
    assert "state" not in sent_back(ask(shop, response_type="", state=""))
    is_shown(ask(shop, redirect_uri=""), "invalid_request")


def test_rfc6749_3_1_unrecognized_parameters_are_ignored(shop: RelyingParty) -> None:
    told = sent_back(ask(shop, response_type="x", state="s", unrecognized="y"))
    assert told == sent_back(ask(shop, response_type="x", state="s"))


def test_rfc6749_3_1_parameters_are_not_included_more_than_once(shop: RelyingParty) -> None:
    assert sent_back(ask(shop, ("scope", "email")))["error"] == "invalid_request"


def test_rfc6749_3_1_get_is_supported_and_post_may_be(shop: RelyingParty) -> None:
    assert ask(shop).status_code == 303
    form = {"client_id": shop.id, "redirect_uri": CALLBACK, "response_type": "x"}
    assert sent_back(shop.app.test_client().post(PATH, data=form))["error"] == "unsupported_response_type"


def test_rfc6749_3_1_1_a_missing_response_type_is_an_invalid_request(shop: RelyingParty) -> None:
    assert sent_back(ask(shop, response_type=None))["error"] == "invalid_request"


def test_rfc6749_3_1_2_the_query_of_the_redirection_endpoint_is_retained(app: Flask) -> None:
    shop = relying_party(app, "app_shop", redirect_uris=[CALLBACK + "?tenant=1"])
    assert sent_back(ask(shop, response_type="x"))["tenant"] == "1"


def test_rfc6749_3_1_2_4_nobody_is_redirected_to_an_invalid_redirection_uri(shop: RelyingParty) -> None:
    is_shown(ask(shop, redirect_uri="https://other.example/cb"), "redirect_uri_mismatch")
    is_shown(ask(shop, redirect_uri=None), "invalid_request")


def test_rfc6749_4_1_2_1_an_invalid_client_is_told_to_the_resource_owner(shop: RelyingParty) -> None:
    is_shown(ask(shop, client_id="app_unknown"), "unknown_client")
    is_shown(ask(shop, client_id=None), "unknown_client")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": '"'}, "invalid_scope"),
        ({"max_age": "soon"}, "invalid_request"),
    ],
)
def test_rfc6749_4_1_2_1_errors_are_sent_back_with_the_state(
    shop: RelyingParty, changed: dict[str, str], error: str
) -> None:
    told = sent_back(ask(shop, state="exactly this", **changed))
    assert (told["error"], told["state"]) == (error, "exactly this")
    assert not {ord(sign) for sign in told["error_description"]} & {*range(0x20), 0x22, 0x5C, *range(0x7F, 0x110000)}


def test_rfc6749_4_1_2_1_a_client_without_the_grant_is_unauthorized(app: Flask) -> None:
    machine = relying_party(app, "app_machine", grant_types=["client_credentials"])
    assert sent_back(ask(machine))["error"] == "unauthorized_client"


# RFC 7636


def test_rfc7636_4_4_1_a_missing_challenge_is_an_invalid_request(shop: RelyingParty) -> None:
    told = sent_back(ask(shop, code_challenge=None))
    assert (told["error"], told["error_description"]) == ("invalid_request", "code_challenge is missing")


@pytest.mark.parametrize("method", ["plain", "S512", None])
def test_rfc7636_4_4_1_an_unsupported_transformation_is_an_invalid_request(
    shop: RelyingParty, method: str | None
) -> None:
    assert sent_back(ask(shop, code_challenge_method=method))["error"] == "invalid_request"


@pytest.mark.parametrize("challenge", ["x" * 42, "x" * 44, "x" * 42 + "="])
def test_rfc7636_4_2_a_challenge_is_the_base64url_of_a_digest(shop: RelyingParty, challenge: str) -> None:
    assert sent_back(ask(shop, code_challenge=challenge))["error"] == "invalid_request"


# RFC 8252, RFC 8707, RFC 9207, RFC 9700


def test_rfc8252_7_3_any_port_is_allowed_for_loopback_redirects(app: Flask) -> None:
    uris = ["http://127.0.0.1/cb", "http://[::1]/cb"]
    native = relying_party(app, "app_cli", public=True, redirect_uris=uris, application_type="native")
    for uri in ("http://127.0.0.1:50000/cb", "http://[::1]:50000/cb"):
        assert sent_back(ask(native, redirect_uri=uri, response_type="x"), uri)


@pytest.mark.parametrize("resource", ["relative", "https://api.example/#fragment"])
def test_rfc8707_2_a_resource_is_an_absolute_uri_without_a_fragment(shop: RelyingParty, resource: str) -> None:
    assert sent_back(ask(shop, resource=resource))["error"] == "invalid_target"


@pytest.mark.parametrize("mode", [None, "query", "form_post"])
def test_rfc9207_2_errors_name_the_issuer(shop: RelyingParty, mode: str | None) -> None:
    response = ask(shop, response_type="x", response_mode=mode)
    assert (posted(response) if mode == "form_post" else sent_back(response))["iss"] == ISSUER


def test_rfc9700_2_1_redirection_uris_are_compared_exactly(shop: RelyingParty) -> None:
    is_shown(ask(shop, redirect_uri=CALLBACK + "/"), "redirect_uri_mismatch")


def test_rfc9700_4_12_redirects_do_not_repeat_what_was_posted(shop: RelyingParty) -> None:
    form = {"client_id": shop.id, "redirect_uri": CALLBACK, "response_type": "x"}
    assert shop.app.test_client().post(PATH, data=form).status_code == 303


# OpenID Connect


@pytest.mark.parametrize("prompt", ["none login", "consent none", "none select_account"])
def test_oidc_core_3_1_2_1_prompt_none_with_another_value_is_an_error(shop: RelyingParty, prompt: str) -> None:
    assert sent_back(ask(shop, prompt=prompt))["error"] == "invalid_request"


@pytest.mark.parametrize("acr", ["urn:nobody:knows", "aal9 urn:x"])
def test_oidc_core_3_1_2_1_values_that_are_not_understood_are_ignored(shop: RelyingParty, acr: str) -> None:
    asked = ask(shop, acr_values=acr, scope="openid unheard_of", ui_locales="xx", display="hologram")
    assert not asked.headers["Location"].startswith(CALLBACK)


def test_oidc_core_6_1_request_objects_that_are_not_supported_are_refused_by_name(shop: RelyingParty) -> None:
    assert sent_back(ask(shop, request="e30.e30."))["error"] == "request_not_supported"


def test_oidc_core_6_2_request_objects_by_reference_are_refused_by_name(shop: RelyingParty) -> None:
    assert sent_back(ask(shop, request_uri="https://shop.example.com/r"))["error"] == "request_uri_not_supported"


def test_oidc_core_5_5_a_claims_request_that_is_no_object_is_refused(shop: RelyingParty) -> None:
    assert sent_back(ask(shop, claims="[]"))["error"] == "invalid_request"


def test_form_post_2_parameters_are_posted_as_a_form(shop: RelyingParty) -> None:
    told = posted(ask(shop, response_mode="form_post", response_type="x", state="s"))
    assert (told["error"], told["state"]) == ("unsupported_response_type", "s")


def test_multiple_response_types_2_1_unsupported_modes_are_refused(shop: RelyingParty) -> None:
    assert sent_back(ask(shop, response_mode="fragment"))["error"] == "invalid_request"
