"""The token endpoint: what it takes, how it says no, and machines that act for themselves."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from idp.clients import clients, secrets
from idp.oauth.token import GRANTS
from idp.platform import database
from tests.oauth import minting
from tests.oauth.actors import RelyingParty, claims_of, relying_party
from tests.oauth.decisions import code_for, decide, redemption, shop, somebody
from tests.oauth.issuing import PAYMENTS, api
from tests.organizations.actors import ACME, DE, ROBOT, at, give, to
from tests.traces import OPERATOR

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def machine(app: Flask) -> RelyingParty:
    minting.make_keys()
    api(PAYMENTS, "payments", "refunds")
    return relying_party(app, "robot", grant_types=["client_credentials"], resources=[PAYMENTS], scope="payments")


def post(app: Flask, body: str | bytes, **more: Any) -> TestResponse:
    return app.test_client().post("/oauth2/token", data=body, **({"content_type": FORM} | more))


def error(answer: TestResponse) -> tuple[int, str]:
    """Status and error of a refusal in the shape of RFC 6749 §5.2."""
    body = answer.get_json()
    assert body.keys() <= {"error", "error_description", "error_detail"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert body["error_description"].isascii()
    return answer.status_code, body["error"]


# What it takes


@pytest.mark.rule("HTT-07")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE"])
def test_only_post_is_taken(app: Flask, method: str) -> None:
    answer = app.test_client().open("/oauth2/token", method=method)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST, OPTIONS"


@pytest.mark.rule("HTT-07")
def test_nothing_is_taken_from_the_address(app: Flask) -> None:
    client = shop(app)
    code = code_for(decide(somebody(), client.id), client.id)
    for query in (urlencode(redemption(code)), "client_secret=x", "x"):
        answer = post(app, urlencode(redemption(code)), query_string=query, auth=(client.id, client.secret))
        assert error(answer) == (400, "invalid_request")
    assert post(app, urlencode(redemption(code)), auth=(client.id, client.secret)).status_code == 200


@pytest.mark.parametrize(
    ("form", "refusal"),
    [
        ("", (400, "invalid_request")),
        ("grant_type=", (400, "invalid_request")),
        ("grant_type=client_credentials&grant_type=client_credentials", (400, "invalid_request")),
        ("grant_type=client_credentials&unknown=1&unknown=2", (400, "invalid_request")),
        ("grant_type=password&username=alice&password=secret", (400, "unsupported_grant_type")),
        ("grant_type=implicit", (400, "unsupported_grant_type")),
        ("grant_type=refresh_token&refresh_token=x", (400, "unauthorized_client")),
        ("grant_type=client_credentials&scope=%ff", (400, "invalid_request")),
        ("grant_type=client_credentials%00", (400, "invalid_request")),
    ],
)
def test_malformed_requests_are_refused_in_the_words_of_oauth(
    machine: RelyingParty, form: str, refusal: tuple[int, str]
) -> None:
    assert error(post(machine.app, form, auth=(machine.id, machine.secret))) == refusal


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_only_forms_are_read(machine: RelyingParty, content_type: str) -> None:
    body = json.dumps({"grant_type": "client_credentials"})
    answer = post(machine.app, body, content_type=content_type, auth=(machine.id, machine.secret))
    assert error(answer) == (400, "invalid_request")


def test_too_much_is_refused_as_such(machine: RelyingParty) -> None:
    answer = post(machine.app, "grant_type=client_credentials" + "&a=" * 1_001, auth=(machine.id, machine.secret))
    assert error(answer) == (413, "invalid_request")


def test_who_nobody_is_gets_a_challenge_only_if_the_header_was_tried(machine: RelyingParty) -> None:
    by_header = post(machine.app, "grant_type=client_credentials", auth=(machine.id, "wrong"))
    by_body = post(machine.app, "grant_type=client_credentials&client_id=robot&client_secret=wrong")
    assert error(by_header) == error(by_body) == (401, "invalid_client")
    assert by_header.headers["WWW-Authenticate"].startswith("Basic ")
    assert "WWW-Authenticate" not in by_body.headers


def test_what_goes_wrong_on_our_side_is_told_as_that(machine: RelyingParty, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise database.DatabaseUnavailable

    monkeypatch.setattr("idp.oauth.views.token.issue", away)
    answer = machine.token(grant_type="client_credentials")
    assert error(answer) == (503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0

    monkeypatch.setattr("idp.oauth.views.token.issue", lambda _: 1 / 0)
    answer = machine.token(grant_type="client_credentials")
    assert error(answer) == (500, "server_error")
    assert "division" not in answer.text


OF_GRANTS = ("grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource", "audience")
OF_CLIENTS = ("client_id", "client_secret", "client_assertion", "client_assertion_type", "organization", "account", "x")
NAMES = st.sampled_from((*OF_GRANTS, *OF_CLIENTS))
VALUES = st.one_of(
    st.sampled_from(
        [*GRANTS, "", " ", "robot", PAYMENTS, "organization:x account:", "%", "%00", "%ff", "\ud800", "\n"]
    ),
    st.text(max_size=20),
)
CREDENTIALS = st.sampled_from(["", "Basic", "Basic !", "Basic Og==", "Basic cm9ib3Q6", "Bearer x", "basic 8J+YgA=="])


def test_whatever_is_sent_is_never_a_fault_of_ours(machine: RelyingParty) -> None:
    @settings(max_examples=1_000, deadline=None)
    @given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.binary(max_size=30), st.booleans(), CREDENTIALS)
    def try_it(pairs: list[tuple[str, str]], junk: bytes, encode: bool, header: str) -> None:
        if encode:
            body = urlencode(pairs, errors="surrogatepass").encode() + b"&" * bool(pairs)
        else:
            body = "&".join(f"{name}={value}" for name, value in pairs).encode("utf-8", "surrogatepass") + junk
        answer = post(machine.app, body, headers={"Authorization": header} if header else {})
        status, word = error(answer)
        assert 400 <= status < 500
        assert word

    try_it()


# Machines


def test_a_machine_gets_a_token_for_itself(machine: RelyingParty) -> None:
    answer = machine.token(grant_type="client_credentials", scope="payments")
    assert answer.status_code == 200, answer.text
    tokens = answer.get_json()
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope"}
    said = claims_of(tokens["access_token"])
    assert (said["sub"], said["client_id"], said["aud"]) == ("robot", "robot", PAYMENTS)
    assert said["jti"].startswith("c.")


def test_a_machine_gets_no_scope_that_it_is_not_registered_for(machine: RelyingParty) -> None:
    for scope in ("refunds", "openid", "payments offline_access"):
        answer = machine.token(grant_type="client_credentials", scope=scope)
        assert error(answer) == (400, "invalid_scope")
    answer = machine.token(grant_type="client_credentials", resource="https://other.example.com")
    assert error(answer) == (400, "invalid_target")


def test_a_machine_writes_nothing(machine: RelyingParty, monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> None:
        raise AssertionError("written")

    assert machine.token(grant_type="client_credentials").status_code == 200  # notes the use of the secret
    monkeypatch.setattr(database, "writing", never)
    assert machine.token(grant_type="client_credentials").status_code == 200


def test_a_machine_has_the_roles_of_now_in_the_context_that_it_names(acme: Flask) -> None:
    minting.make_keys()
    with database.writing():
        secret = secrets.add(clients.named(ROBOT), by=OPERATOR).secret
    robot = RelyingParty(acme, ROBOT, secret)
    assert error(robot.token(grant_type="client_credentials", account=DE)) == (400, "invalid_target")
    give(to(ROBOT, "developer", at(DE)))
    said = claims_of(robot.token(grant_type="client_credentials", account=DE).get_json()["access_token"])
    assert (said["org_id"], said["account_id"], said["roles"]) == (ACME, DE, ["developer"])
    with database.writing():
        clients.disable(clients.named(ROBOT), by=OPERATOR)
    assert error(robot.token(grant_type="client_credentials", account=DE)) == (401, "invalid_client")
