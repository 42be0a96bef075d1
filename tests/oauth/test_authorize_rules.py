"""What an authorization request says, and the rules that it satisfies: tables of cases over functions."""

import contextlib
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from idp.clients import metadata
from idp.clients.clients import ClientContext
from idp.clients.metadata import Json
from idp.clients.registered import RegisteredClient
from idp.oauth import authorize
from idp.oauth.authorize import LIMITS, MOST_RESOURCES, PROMPTS, AuthorizeRequest
from idp.oauth.claims_request import ClaimsRequest
from idp.oauth.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from idp.oauth.responses import Destination
from idp.platform.http_refusals import Malformed, TooLarge
from idp.platform.settings import configure
from tests.databases import settings_for

CALLBACK = "https://shop.example.com/cb"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
GOOD = {
    "client_id": "app_shop",
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "openid email",
    "state": "s-1",
    "nonce": "n-1",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


def client(**said: Json) -> RegisteredClient:
    """A client with this metadata."""
    registered = metadata.with_defaults({"redirect_uris": [CALLBACK], **said})
    return RegisteredClient("app_shop", "operator", "Shop", registered, ClientContext(), False)


def parsed(*more: tuple[str, str], **changed: str | None) -> AuthorizeRequest:
    """The good request with something `changed` (`None`: left out), and `more` after it."""
    values = [(name, value) for name, value in {**GOOD, **changed}.items() if value is not None]
    return authorize.parse(authorize.sent(urlencode([*values, *more], quote_via=quote).encode()))


def refused(request: AuthorizeRequest, asking: RegisteredClient | None = None) -> type[OAuthError] | None:
    """The kind of refusal that `check` raises, if any."""
    try:
        authorize.check(request, asking or client())
    except OAuthError as error:
        return type(error)
    return None


@pytest.fixture(autouse=True)
def configured() -> Iterator[Flask]:
    """Settings as they are by default, without a provider."""
    app = Flask("settings")
    configure(app, settings_for("sqlite:////nowhere.db"))
    with app.app_context():
        yield app


def except_confidential(app: Flask) -> None:
    """Let the operator except confidential clients from PKCE."""
    configure(app, settings_for("sqlite:////nowhere.db").model_copy(update={"require_pkce": "public"}))


# What it says


def test_every_parameter_is_read() -> None:
    request = parsed(
        ("resource", "https://b.example"),
        ("resource", "https://a.example"),
        ("resource", "https://b.example"),
        response_mode="form_post",
        prompt="login consent",
        max_age="300",
        acr_values="phr aal2",
        login_hint="olivia",
        id_token_hint="a.b.c",
        ui_locales="de fr",
        claims_locales="ja",
        display="popup",
        claims='{"id_token": {"email": null}}',
        organization="org_1",
        account="acct_1",
    )
    assert request == AuthorizeRequest(
        client_id="app_shop",
        redirect_uri=CALLBACK,
        response_type="code",
        response_mode="form_post",
        scope=("openid", "email"),
        state="s-1",
        nonce="n-1",
        code_challenge=CHALLENGE,
        code_challenge_method="S256",
        prompt=frozenset({"login", "consent"}),
        max_age=300,
        acr_values=("phr", "aal2"),
        login_hint="olivia",
        id_token_hint="a.b.c",
        ui_locales=("de", "fr"),
        claims_locales=("ja",),
        display="popup",
        claims=ClaimsRequest({"email": {}}),
        resources=("https://b.example", "https://a.example"),
        organization="org_1",
        account="acct_1",
    )
    assert AuthorizeRequest.load(request.dump()) == request
    assert refused(request) is None


def test_what_is_sent_empty_was_not_sent() -> None:
    empty = parsed(("resource", ""), **dict.fromkeys(set(LIMITS) - set(GOOD) - {"resource"}, ""))
    assert empty == parsed()
    assert AuthorizeRequest.load(empty.dump()) == empty


def test_parameters_that_nobody_knows_are_ignored() -> None:
    assert parsed(unknown="x" * 100_000, authorization_details="[{]", registration="{}", audience="x") == parsed()


def test_words_are_separated_by_blanks_and_count_once() -> None:
    assert parsed(scope=" openid  openid email ").scope == ("openid", "email")
    assert parsed(acr_values="aal2 aal2").acr_values == ("aal2",)
    assert parsed(ui_locales="xx de-AT").ui_locales == ("xx", "de-AT")


def test_ways_to_show_pages_that_nobody_knows_are_ignored() -> None:
    assert parsed(display="hologram").display == ""
    assert [parsed(display=one).display for one in ("page", "touch", "wap")] == ["page", "touch", "wap"]


@pytest.mark.parametrize(("sent", "read"), [("0", 0), ("1", 1), ("0060", 60), ("9" * 20, 10**10), ("", None)])
def test_an_age_is_a_number_of_seconds(sent: str, read: int | None) -> None:
    assert parsed(max_age=sent).max_age == read


@pytest.mark.rule("AUZ-15")
@pytest.mark.parametrize("sent", ["-1", "+1", "1.5", "1e3", "x", " 1", "٣", "²", "0x10", "1_0", "9" * 21])
def test_an_age_that_is_none_is_an_invalid_request(sent: str) -> None:
    with pytest.raises(InvalidRequest, match="max_age"):
        parsed(max_age=sent)


@pytest.mark.rule("AUZ-07")
@pytest.mark.parametrize("name", [*sorted(set(LIMITS) - {"resource"}), "unknown", ""])
def test_a_parameter_that_is_sent_twice_is_an_invalid_request(name: str) -> None:
    for twice in ([(name, "1"), (name, "1")], [(name, ""), (name, "1")]):
        with pytest.raises(InvalidRequest, match="sent twice"):
            authorize.parse(authorize.sent(urlencode(twice).encode()))


def test_resources_and_audiences_may_repeat() -> None:
    assert parsed(("audience", "a"), ("audience", "b"), ("resource", "x:1"), ("resource", "x:2")).resources


def test_a_parameter_in_the_address_and_in_the_body_is_sent_twice() -> None:
    with pytest.raises(InvalidRequest, match="state was sent twice"):
        authorize.parse(authorize.sent(b"state=1", b"state=1"))


@pytest.mark.rule("AUZ-15")
@pytest.mark.parametrize("name", sorted(LIMITS))
def test_what_is_too_long_is_not_even_read(name: str) -> None:
    for value in ("x" * (LIMITS[name] + 1), "é" * (LIMITS[name] // 2 + 1), "x" * 1_000_000):
        with pytest.raises(InvalidRequest, match=f"^{name} is longer than {LIMITS[name]} bytes$"):
            parsed(**{name: value})


@pytest.mark.rule("AUZ-15")
def test_so_many_resources_are_not_even_read() -> None:
    some = [("resource", f"https://{number}.example") for number in range(MOST_RESOURCES)]
    assert len(parsed(*some).resources) == MOST_RESOURCES
    with pytest.raises(InvalidRequest, match="resource"):
        parsed(*some, ("resource", "https://more.example"))


@pytest.mark.rule("AUZ-15")
@given(st.binary(max_size=300))
def test_whatever_is_sent_is_read_or_refused(encoded: bytes) -> None:
    with contextlib.suppress(OAuthError, Malformed, TooLarge):
        authorize.check(authorize.parse(authorize.sent(encoded)), client())


# What it must satisfy


def test_a_good_request_passes() -> None:
    assert refused(parsed()) is None


@pytest.mark.rule("AUZ-10")
@pytest.mark.parametrize(
    "kind",
    [
        "token",
        "id_token",
        "id_token token",
        "token id_token",
        "code token",
        "token code",
        "code id_token",
        "code id_token token",
        "none",
        "code code",
        " code",
        "code ",
        "CODE",
        "password",
    ],
)
def test_tokens_come_from_the_token_endpoint_alone(kind: str) -> None:
    assert refused(parsed(response_type=kind)) is UnsupportedResponseType


def test_the_kind_of_answer_has_to_be_named() -> None:
    assert refused(parsed(response_type=None)) is InvalidRequest


@pytest.mark.rule("AUZ-10")
def test_a_client_gets_codes_only_if_it_may_redeem_them() -> None:
    assert refused(parsed(), client(grant_types=["client_credentials"])) is UnauthorizedClient


@pytest.mark.rule("AUZ-11")
@pytest.mark.parametrize(
    "mode", ["fragment", "web_message", "query.jwt", "jwt", "form_post.jwt", "Query", "query query"]
)
def test_answers_go_by_query_or_form_alone(mode: str) -> None:
    assert refused(parsed(response_mode=mode)) is InvalidRequest


@pytest.mark.rule("AUZ-11")
def test_a_form_goes_to_a_web_address_alone() -> None:
    private = "com.example.app:/cb"
    assert refused(parsed(response_mode="form_post", redirect_uri=private)) is InvalidRequest
    assert refused(parsed(redirect_uri=private)) is None
    assert refused(parsed(response_mode="form_post", redirect_uri="http://127.0.0.1:8080/cb")) is None


@pytest.mark.rule("AUZ-15")
@pytest.mark.parametrize("scope", ['openid "', "openid\\", "openid\temail", "openid é", "openid\x7f", "a\nb"])
def test_scopes_are_printable_words(scope: str) -> None:
    assert refused(parsed(scope=scope)) is InvalidScope


def test_scopes_that_nobody_knows_do_no_harm() -> None:
    assert refused(parsed(scope="openid unheard:of https://scope.example/x")) is None


@pytest.mark.parametrize(
    "resource", ["/relative", "x", "https://api.example/#x", "https://api.example/ x", "a:é", "1:x", "a:"]
)
def test_resources_are_absolute_addresses_without_a_fragment(resource: str) -> None:
    assert refused(parsed(("resource", "https://good.example"), ("resource", resource))) is InvalidTarget


@pytest.mark.parametrize("resource", ["https://api.example", "https://api.example/v1?x=y", "urn:example:api"])
def test_resources_have_whatever_scheme(resource: str) -> None:
    assert refused(parsed(("resource", resource))) is None


@pytest.mark.rule("PAR-07")
def test_request_objects_are_not_supported() -> None:
    assert refused(parsed(request="a.b.c")) is RequestNotSupported
    assert refused(parsed(request_uri="https://shop.example.com/request.jwt")) is RequestUriNotSupported
    assert (
        refused(parsed(request_uri="urn:ietf:params:oauth:request_uri:x", response_type=None)) is RequestUriNotSupported
    )


def test_who_is_registered_to_sign_its_requests_is_not_heard_without() -> None:
    assert refused(parsed(), client(require_signed_request_object=True)) is InvalidRequest


@pytest.mark.parametrize("prompt", [*PROMPTS, "login consent", "select_account select_context consent login"])
def test_prompts_are_known(prompt: str) -> None:
    assert refused(parsed(prompt=prompt)) is None


@pytest.mark.parametrize("prompt", ["create", "None", "login none", "none none consent", "login x"])
def test_prompts_that_are_unknown_or_contradict_each_other_are_invalid_requests(prompt: str) -> None:
    assert refused(parsed(prompt=prompt)) is InvalidRequest


# PKCE


@pytest.mark.rule("PKC-01")
@pytest.mark.parametrize("method", ["none", "client_secret_basic", "private_key_jwt"])
@pytest.mark.parametrize("scope", ["openid", "email", None])
def test_every_client_proves_possession_of_its_code(method: str, scope: str | None) -> None:
    asking = client(token_endpoint_auth_method=method)
    without = parsed(code_challenge=None, code_challenge_method=None, scope=scope)
    assert refused(without, asking) is InvalidRequest
    assert refused(parsed(code_challenge="", code_challenge_method=None, scope=scope), asking) is InvalidRequest


CONFIDENTIAL: dict[str, Json] = {"token_endpoint_auth_method": "client_secret_basic"}
EXCEPTED: dict[str, Json] = {**CONFIDENTIAL, "require_pkce": False}
WITHOUT: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None}


def test_a_confidential_client_is_excepted_by_its_registration_or_by_the_operator(
    configured: Flask,
) -> None:
    assert refused(parsed(**WITHOUT), client(**EXCEPTED)) is None
    assert refused(parsed(**WITHOUT, nonce=None), client(**EXCEPTED)) is None
    except_confidential(configured)
    assert refused(parsed(**WITHOUT), client(**CONFIDENTIAL)) is None
    assert refused(parsed(**WITHOUT, nonce=None), client(**CONFIDENTIAL)) is None


@pytest.mark.rule("PKC-01")
@pytest.mark.parametrize("by_the_operator", [True, False])
@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("openid", {"token_endpoint_auth_method": "none"}),
        ("email", {}),
        (None, {}),
        ("openid", {"profile": "fapi2"}),
    ],
    ids=["public", "not openid", "no scope", "fapi2"],
)
def test_nobody_else_is_excepted(
    scope: str | None, said: dict[str, Json], by_the_operator: bool, configured: Flask
) -> None:
    if by_the_operator:
        except_confidential(configured)
    asking = client(**{**(CONFIDENTIAL if by_the_operator else EXCEPTED), **said})
    assert refused(parsed(**WITHOUT, scope=scope), asking) is InvalidRequest


@pytest.mark.rule("PKC-02")
@pytest.mark.parametrize("method", [None, "", "plain", "s256", "S512", "S256 plain"])
@pytest.mark.parametrize("said", [CONFIDENTIAL, EXCEPTED], ids=["required", "excepted"])
def test_a_challenge_counts_with_its_method_alone(method: str | None, said: dict[str, Json]) -> None:
    assert refused(parsed(code_challenge_method=method), client(**said)) is InvalidRequest


@pytest.mark.rule("PKC-02")
def test_a_method_without_a_challenge_is_no_exception() -> None:
    assert refused(parsed(code_challenge=None), client(**EXCEPTED)) is InvalidRequest


@pytest.mark.rule("PKC-05")
@pytest.mark.parametrize(
    "challenge",
    [
        "x",
        CHALLENGE[:-1],
        CHALLENGE + "A",
        CHALLENGE + "=",
        CHALLENGE[:-1] + "+",
        CHALLENGE[:-1] + "/",
        CHALLENGE[:-1] + "é",
        CHALLENGE[:-1] + "\n",
        " " + CHALLENGE[1:],
    ],
)
@pytest.mark.parametrize("said", [CONFIDENTIAL, EXCEPTED], ids=["required", "excepted"])
def test_a_challenge_is_the_digest_of_a_verifier(challenge: str, said: dict[str, Json]) -> None:
    assert refused(parsed(code_challenge=challenge), client(**said)) is InvalidRequest


# Where a refusal goes


@pytest.mark.parametrize(
    ("query", "destination"),
    [
        ("state=s", Destination(CALLBACK, "query", "s")),
        ("state=s&state=t", Destination(CALLBACK, "query", "")),
        ("response_mode=form_post", Destination(CALLBACK, "form_post", "")),
        ("response_mode=fragment&state=s", Destination(CALLBACK, "query", "s")),
        ("response_mode=form_post&response_mode=query", Destination(CALLBACK, "query", "")),
        ("state=" + "x" * LIMITS["state"], Destination(CALLBACK, "query", "x" * LIMITS["state"])),
        ("state=" + "x" * (LIMITS["state"] + 1), Destination(CALLBACK, "query", "")),
    ],
)
def test_a_refusal_goes_where_the_request_says_as_far_as_it_can_be_read(query: str, destination: Destination) -> None:
    fields = authorize.sent(urlencode({"redirect_uri": CALLBACK}).encode(), query.encode())
    assert authorize.destination_of(fields) == destination
