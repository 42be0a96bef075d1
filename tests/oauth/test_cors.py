"""Which scripts may read what programs are answered: those of registered origins, and never with credentials."""

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.audit.trail import SYSTEM
from idp.clients import clients
from idp.platform import database
from tests.oauth.actors import RelyingParty, relying_party

SPA = "https://spa.example.com"
ENDPOINTS = {
    "/oauth2/token": "POST",
    "/oauth2/revoke": "POST",
    "/oauth2/introspect": "POST",
    "/oauth2/userinfo": "GET, POST",
}
PAGES = ("/login", "/select", "/me", "/logout", "/oauth2/authorize", "/oauth2/logout", "/oauth2/authorize/req_x")


@pytest.fixture
def spa(app: Flask) -> RelyingParty:
    return relying_party(app, "app_spa", public=True, cors_origins=[SPA, "http://localhost:3000"])


def ask(app: Flask, path: str, method: str, origin: str, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().open(path, method=method, headers={"Origin": origin, **named})


def sharing(answer: TestResponse) -> dict[str, str]:
    """The headers by which a browser decides."""
    return {name: value for name, value in answer.headers if name.startswith("Access-Control-")}


@pytest.mark.rule("INT-09")
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("origin", [SPA, "http://localhost:3000"])
def test_scripts_of_a_registered_origin_read_answers_and_refusals_without_credentials(
    app: Flask, spa: RelyingParty, path: str, origin: str
) -> None:
    answer = ask(app, path, "POST", origin)
    assert answer.status_code in (400, 401)
    assert sharing(answer) == {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "WWW-Authenticate",
    }
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.rule("INT-09")
@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_preflight_is_told_what_may_be_sent(app: Flask, spa: RelyingParty, path: str) -> None:
    asked = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization"}
    answer = ask(app, path, "OPTIONS", SPA, **asked)
    assert (answer.status_code, answer.data) == (204, b"")
    assert sharing(answer) == {
        "Access-Control-Allow-Origin": SPA,
        "Access-Control-Allow-Methods": ENDPOINTS[path],
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Max-Age": "600",
        "Access-Control-Expose-Headers": "WWW-Authenticate",
    }
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.rule("INT-09")
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.test",
        f"{SPA}.evil.test",
        f"{SPA}/",
        f"{SPA}:444",
        "https://SPA.example.com",
        "http://spa.example.com",
        "https://a.spa.example.com",
        "*",
        "",
        "é",
    ],
)
def test_scripts_of_others_read_nothing(app: Flask, spa: RelyingParty, path: str, origin: str) -> None:
    for method in ("POST", "OPTIONS"):
        answer = ask(app, path, method, origin, Access_Control_Request_Method="POST")
        assert sharing(answer) == {}
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.rule("INT-09")
def test_the_origin_of_a_client_that_is_disabled_or_has_taken_it_back_counts_no_more(
    app: Flask, spa: RelyingParty
) -> None:
    def is_open() -> bool:
        return bool(sharing(ask(app, "/oauth2/token", "POST", SPA)))

    assert is_open()
    with database.writing():
        clients.disable(clients.named(spa.id), by=SYSTEM)
    assert not is_open()
    with database.writing():
        clients.enable(clients.named(spa.id), by=SYSTEM)
    assert is_open()
    with database.writing():
        client = clients.named(spa.id)
        said = clients.settings_of(client)
        less = {name: value for name, value in said.metadata.items() if name != "cors_origins"}
        clients.reconfigure(client, clients.ClientSettings(less, said.context), by=SYSTEM)
    assert not is_open()


@pytest.mark.rule("INT-09")
@pytest.mark.parametrize("path", PAGES)
def test_pages_are_for_no_script(app: Flask, spa: RelyingParty, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        assert sharing(ask(app, path, method, SPA, Access_Control_Request_Method="POST")) == {}


@pytest.mark.rule("HTT-07")
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_refused_with_those_that_are_taken(app: Flask, path: str, method: str) -> None:
    answer = app.test_client().open(path, method=method)
    if method == "GET" and "GET" in ENDPOINTS[path]:
        assert answer.status_code == 401
        return
    assert answer.status_code == 405
    assert answer.headers["Allow"] == f"{ENDPOINTS[path]}, OPTIONS"


@pytest.mark.rule("HTT-07")
def test_options_is_answered_where_no_script_asks(app: Flask) -> None:
    answer = app.test_client().options("/oauth2/token")
    assert (answer.status_code, answer.headers["Allow"]) == (204, "POST, OPTIONS")
    assert "Content-Length" not in answer.headers
