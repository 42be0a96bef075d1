"""Services in Flask and ASGI: who gets in, and how the others are told (RFC 6750, RFC 9470)."""

import asyncio
import json
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient

from idp_verifier import Forbidden, InvalidToken, Verifier
from idp_verifier.asgi import PRINCIPAL, BearerMiddleware, Message, Receive, Scope, Send
from idp_verifier.flask import Guard
from tests.verifier.provider import FakeClock, FakeProvider


@pytest.fixture
def service(verifier: Verifier) -> FlaskClient:
    app = Flask(__name__)
    guard = Guard(verifier, app)

    @app.route("/balance", methods=["GET", "POST"])
    @guard.requires("payments.read", scope="payments")
    def balance() -> dict[str, str]:
        return {"of": guard.principal.subject}

    @app.post("/payouts")
    @guard.requires(role="view_only", acr="aal2", max_age=300)
    def payout() -> dict[str, str]:
        return {}

    return app.test_client()


def bearer(token: str, **other: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} | other


def test_who_may_gets_in(service: FlaskClient, provider: FakeProvider) -> None:
    answer = service.get("/balance", headers=bearer(provider.token(permissions=["payments.read"])))
    assert answer.get_json() == {"of": "usr_alice"}


def test_without_a_token_the_challenge_names_no_error(service: FlaskClient) -> None:
    for headers in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": ""}):
        answer = service.get("/balance", headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.get_json().keys() == {"error_description"}


def test_a_token_in_the_address_or_the_form_is_none(service: FlaskClient, provider: FakeProvider) -> None:
    token = provider.token(permissions=["payments.read"])
    assert service.get(f"/balance?access_token={token}").status_code == 401
    assert service.post("/balance", data={"access_token": token}).status_code == 401


@pytest.mark.parametrize("value", ["Bearer", "Bearer a b", "Bearer ä", 'Bearer "x"'])
def test_what_is_no_token_is_a_bad_request(service: FlaskClient, value: str) -> None:
    answer = service.get("/balance", headers={"Authorization": value})
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def test_two_tokens_are_none(service: FlaskClient, provider: FakeProvider) -> None:
    value = bearer(provider.token(permissions=["payments.read"]))["Authorization"]
    answer = service.get("/balance", headers=[("Authorization", value), ("Authorization", value)])
    assert answer.status_code == 400


def test_a_superseded_token_is_told_so(service: FlaskClient, verifier: Verifier, provider: FakeProvider) -> None:
    old = provider.token(permissions=["payments.read"])
    provider.lose(sub="usr_alice", org_id="org_a")
    verifier.poll()
    answer = service.get("/balance", headers=bearer(old))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token", error_description="superseded"'
    assert answer.headers["Cache-Control"] == "no-store"


def test_whose_roles_do_not_allow_it_needs_no_other_token(service: FlaskClient, provider: FakeProvider) -> None:
    answer = service.get("/balance", headers=bearer(provider.token(permissions=[])))
    assert (answer.status_code, answer.get_json()["error"]) == (403, "access_denied")
    assert answer.get_json()["permission"] == "payments.read"
    assert "WWW-Authenticate" not in answer.headers


def test_the_account_in_the_header_is_checked(service: FlaskClient, provider: FakeProvider) -> None:
    of_ours = {"account_id": "acct_1", "org_id": "org_a", "livemode": True, "status": "active"}
    provider.accounts = {"acct_1": of_ours, "acct_2": of_ours | {"account_id": "acct_2", "org_id": "org_b"}}
    token = provider.token(permissions=["payments.read"])
    got = [
        service.get("/balance", headers=bearer(token, **{"Canopy-Account": account})).status_code
        for account in ("acct_1", "acct_2", "acct_3")
    ]
    assert got == [200, 403, 403]


def test_more_proof_is_asked_for(service: FlaskClient, provider: FakeProvider) -> None:
    assert service.post("/payouts", headers=bearer(provider.token(acr="aal2"))).status_code == 200
    answer = service.post("/payouts", headers=bearer(provider.token()))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="insufficient_user_authentication", ')
    assert answer.headers["WWW-Authenticate"].endswith('acr_values="aal2", max_age="300"')


@pytest.mark.parametrize("method", ["get", "head", "post", "options"])
@pytest.mark.parametrize("place", ["app", "blueprint"])
def test_a_guard_that_stands_outside_of_the_route_is_found_out(verifier: Verifier, place: str, method: str) -> None:
    app, blueprint = Flask(__name__), Blueprint("payouts", __name__)
    guard, done = Guard(verifier, app), []

    @guard.requires("payouts.write")
    @(app if place == "app" else blueprint).route("/payouts", methods=["GET", "POST", "OPTIONS"])
    def payouts() -> dict[str, str]:
        done.append(1)
        return {}

    app.register_blueprint(blueprint)
    answer = getattr(app.test_client(), method)("/payouts")
    assert (answer.status_code, done) == (500, [])


def test_a_view_may_be_guarded_twice(verifier: Verifier, provider: FakeProvider) -> None:
    app = Flask(__name__)
    guard = Guard(verifier, app)

    @app.get("/payouts")
    @guard.requires("payouts.read")
    @guard.requires(scope="payments")
    def payouts() -> dict[str, str]:
        return {}

    answer = app.test_client().get("/payouts", headers=bearer(provider.token(permissions=["payouts.read"])))
    assert answer.status_code == 200
    assert app.test_client().get("/payouts").status_code == 401


def test_when_nobody_can_say_the_answer_is_503(service: FlaskClient, provider: FakeProvider, clock: FakeClock) -> None:
    token = bearer(provider.token(permissions=["payments.read"]))
    assert service.get("/balance", headers=token).status_code == 200
    provider.failing = {"/oauth2/introspect": 503}
    clock.seconds += 3.1
    answer = service.get("/balance", headers=token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "WWW-Authenticate" not in answer.headers


def test_a_challenge_stays_within_its_quotes() -> None:
    challenge = InvalidToken('a "b"\r\nSet-Cookie: x=1 \\ é').challenge()
    assert challenge == 'Bearer error="invalid_token", error_description="a  b   Set-Cookie: x=1    "'


# ASGI


async def _application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
        return
    if scope["path"] == "/forbidden":
        raise Forbidden("Not you.")
    principal = scope.get(PRINCIPAL)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/late":
        raise Forbidden("Too late.")
    await send({"type": "http.response.body", "body": principal.subject.encode() if principal else b"nobody"})


def called(verifier: Verifier, path: str, *headers: str, type: str = "http") -> list[Message]:
    """What the middleware sent to a request with these `Authorization` headers."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope: dict[str, Any] = {
        "type": type,
        "path": path,
        "method": "GET",
        "headers": [(b"authorization", header.encode()) for header in headers],
    }
    asyncio.run(BearerMiddleware(_application, verifier, public=["/healthz"])(scope, receive, send))
    return sent


def test_asgi_finds_the_principal_in_the_scope(verifier: Verifier, provider: FakeProvider) -> None:
    assert called(verifier, "/", f"Bearer {provider.token()}")[1]["body"] == b"usr_alice"


def test_asgi_answers_the_others(verifier: Verifier, provider: FakeProvider) -> None:
    start, body = called(verifier, "/", "Bearer x.y.z")
    assert start["status"] == 401
    assert dict(start["headers"])[b"www-authenticate"].startswith(b'Bearer error="invalid_token"')
    assert json.loads(body["body"])["error"] == "invalid_token"
    assert called(verifier, "/")[0]["status"] == 401
    assert called(verifier, "/", "Bearer a", "Bearer a")[0]["status"] == 400
    assert called(verifier, "/forbidden", f"Bearer {provider.token()}")[0]["status"] == 403


def test_asgi_leaves_alone_what_is_public_and_what_is_no_request(verifier: Verifier) -> None:
    assert called(verifier, "/healthz")[1]["body"] == b"nobody"
    assert called(verifier, "", type="lifespan") == [{"type": "lifespan.startup.complete"}]


def test_asgi_lets_nothing_through_that_it_does_not_know(verifier: Verifier, provider: FakeProvider) -> None:
    for path in ("/", "/healthz"):
        with pytest.raises(ValueError, match="webtransport"):
            called(verifier, path, f"Bearer {provider.token()}", type="webtransport")


def test_asgi_closes_websockets_of_nobody(verifier: Verifier) -> None:
    assert called(verifier, "/", type="websocket") == [{"type": "websocket.close", "code": 1008}]


def test_asgi_does_not_answer_twice(verifier: Verifier, provider: FakeProvider) -> None:
    with pytest.raises(Forbidden):
        called(verifier, "/late", f"Bearer {provider.token()}")
