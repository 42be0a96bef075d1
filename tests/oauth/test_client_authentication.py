"""Who calls: one method a request, the registered one, and nothing told about the reason of a no."""

import base64

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.cli import serve
from idp.clients import clients, secrets
from idp.clients.clients import ClientSettings
from idp.clients.metadata import Json
from idp.clients.models import ClientSecret
from idp.oauth import client_authentication
from idp.oauth.errors import InvalidClient, InvalidRequest, OAuthError
from idp.oauth.views.authentication import authenticate
from idp.platform import bearer, clock, database
from idp.platform.calls import Call
from idp.platform.prepared import Prepared
from tests.oauth.calls import basic, posted, raw_basic
from tests.traces import OPERATOR

ENDPOINTS = ("/oauth2/token", "/oauth2/introspect", "/oauth2/revoke")
REDIRECT = ["https://shop.example.com/cb"]


def register(client_id: str = "shop", *, secret: str = "", **metadata: Json) -> str:
    """A client; its secret, if it uses one."""
    with database.writing():
        client = clients.create(ClientSettings({"redirect_uris": REDIRECT, **metadata}), by=OPERATOR, id=client_id)
        uses_one = metadata.get("token_endpoint_auth_method", "client_secret_basic").startswith("client_secret")
        return secrets.add(client, by=OPERATOR, given=secret).secret if uses_one else ""


def refused(call: Call) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        authenticate(call)
    return caught.value


def told(call: Call) -> tuple[int, dict[str, str], str]:
    error = refused(call)
    assert isinstance(error, InvalidClient)
    return error.status, error.body(), error.challenge


def test_a_client_authenticates_by_the_method_that_is_registered(app: Flask) -> None:
    by_header = register("by-header")
    by_body = register("by-body", token_endpoint_auth_method="client_secret_post")
    register("public", token_endpoint_auth_method="none")
    assert authenticate(posted(authorization=basic("by-header", by_header))).id == "by-header"
    assert authenticate(posted({"client_id": "by-body", "client_secret": by_body})).id == "by-body"
    assert authenticate(posted({"client_id": "public"})).id == "public"


@pytest.mark.rule("CLI-01")
def test_a_wrong_secret_an_unknown_and_a_disabled_client_get_the_same_answer(app: Flask) -> None:
    secret = register()
    known = told(posted(authorization=basic("shop", "wrong")))
    assert known == told(posted(authorization=basic("nobody", secret)))
    with database.writing():
        clients.disable(clients.named("shop"), by=OPERATOR)
    assert known == told(posted(authorization=basic("shop", secret)))
    assert known[0] == 401
    assert known[1]["error"] == "invalid_client"
    assert known[2].startswith("Basic ")


@pytest.mark.rule("CLI-01")
def test_the_same_work_is_done_for_every_answer(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = register()
    register("disabled", secret=secret)
    with database.writing():
        clients.disable(clients.named("disabled"), by=OPERATOR)
    work: list[str] = []
    run, same = Prepared._run, bearer.same

    def running(statement: Prepared[object], values: dict[str, object]) -> object:
        work.append(statement.sql())
        return run(statement, values)

    def comparing(one: bytes, other: bytes) -> bool:
        work.append("compare")
        return same(one, other)

    monkeypatch.setattr(Prepared, "_run", running)
    monkeypatch.setattr(bearer, "same", comparing)
    done = []
    for client_id, presented in (("shop", "wrong"), ("nobody", secret), ("disabled", secret)):
        work.clear()
        told(posted(authorization=basic(client_id, presented)))
        done.append([step for step in work if step != "compare"])
        assert "compare" in work
    assert done[0] == done[1] == done[2]
    assert len(done[0]) == 2


@pytest.mark.rule("CLI-01")
@pytest.mark.parametrize("path", ENDPOINTS)
def test_every_endpoint_tells_a_wrong_secret_and_an_unknown_client_the_same(app: Flask, path: str) -> None:
    register()
    answers = [_knock(app, path, basic(client_id, "wrong")) for client_id in ("shop", "nobody")]
    assert [(answer.status_code, answer.data) for answer in answers] == [(401, answers[0].data)] * 2
    for answer in answers:
        assert answer.get_json()["error"] == "invalid_client"
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.rule("CLI-03")
@pytest.mark.parametrize("path", ENDPOINTS)
def test_every_endpoint_takes_the_registered_method_alone(app: Flask, path: str) -> None:
    secret = register()
    assert _knock(app, path, basic("shop", secret)).status_code != 401
    for form in ({"client_id": "shop", "client_secret": secret}, {"client_id": "shop"}):
        assert _knock(app, path, "", **form).status_code == 401


def _knock(app: Flask, path: str, authorization: str, **form: str) -> TestResponse:
    headers = {"Authorization": authorization} if authorization else {}
    asked = {"grant_type": "authorization_code", "code": "x", "redirect_uri": REDIRECT[0], "token": "x"}
    return app.test_client().post(path, data={**asked, **form}, headers=headers)


@pytest.mark.rule("CLI-01")
def test_a_secret_in_the_body_is_refused_without_a_challenge(app: Flask) -> None:
    register(token_endpoint_auth_method="client_secret_post")
    wrong = told(posted({"client_id": "shop", "client_secret": "wrong"}))
    assert wrong == told(posted({"client_id": "nobody", "client_secret": "wrong"}))
    assert wrong[2] == ""


@pytest.mark.rule("CLI-02")
@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("shop", {"client_secret": "SECRET"}),
        ("shop", {"client_id": "shop", "client_secret": "SECRET"}),
        ("shop", {"client_id": "other"}),
    ],
)
def test_two_methods_or_two_names_in_one_request_are_refused(app: Flask, header: str, form: dict[str, str]) -> None:
    secret = register()
    register("other", token_endpoint_auth_method="none")
    form = {name: secret if value == "SECRET" else value for name, value in form.items()}
    error = refused(posted(form, authorization=basic(header, secret) if header else ""))
    assert isinstance(error, InvalidRequest)
    assert error.status == 400


def test_the_name_may_stand_beside_the_header_and_empty_values_were_not_sent(app: Flask) -> None:
    secret = register()
    register("public", token_endpoint_auth_method="none")
    form = {"client_id": "shop", "client_secret": "", "client_assertion": ""}
    assert authenticate(posted(form, authorization=basic("shop", secret))).id == "shop"
    assert authenticate(posted(form | {"client_id": "public"})).id == "public"


@pytest.mark.rule("CLI-03")
@pytest.mark.parametrize("registered", ["client_secret_basic", "client_secret_post", "none"])
@pytest.mark.parametrize("used", ["client_secret_basic", "client_secret_post", "none"])
def test_another_method_than_the_registered_one_is_refused(app: Flask, registered: str, used: str) -> None:
    secret = register(token_endpoint_auth_method=registered) or "none"
    calls = {
        "client_secret_basic": posted(authorization=basic("shop", secret)),
        "client_secret_post": posted({"client_id": "shop", "client_secret": secret}),
        "none": posted({"client_id": "shop"}),
    }
    if used == registered:
        assert authenticate(calls[used]).id == "shop"
    else:
        assert told(calls[used])[0] == 401


@pytest.mark.rule("CLI-03")
def test_a_secret_left_over_from_another_method_opens_nothing(app: Flask) -> None:
    secret = register()
    with database.writing():
        wanted = ClientSettings({"redirect_uris": REDIRECT, "token_endpoint_auth_method": "none"})
        clients.reconfigure(clients.named("shop"), wanted, by=OPERATOR)
    assert told(posted(authorization=basic("shop", secret)))[0] == 401
    assert authenticate(posted({"client_id": "shop"})).is_public


def test_a_request_without_any_client_is_refused(app: Flask) -> None:
    assert told(posted({"grant_type": "client_credentials"})) == (401, InvalidClient().body(), "")


@pytest.mark.rule("CLI-04")
@pytest.mark.parametrize("secret", ["a:b", "50%", "a+b c", "%41", "%25", "p@ss/w?rd&x=y"])
def test_credentials_in_the_header_are_form_decoded_once(app: Flask, secret: str) -> None:
    register(secret=secret)
    assert authenticate(posted(authorization=basic("shop", secret))).id == "shop"


@pytest.mark.rule("CLI-04")
def test_a_colon_needs_no_escape_in_a_secret(app: Flask) -> None:
    register(secret="a:b:c")
    assert authenticate(posted(authorization=raw_basic(b"shop:a:b:c"))).id == "shop"


@pytest.mark.rule("CLI-04")
@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic c2hvcDp4=",
        "Basic c2hvcA==",
        "Basic \xff\xfe",
        raw_basic(b"shop:\xff\xfe"),
        raw_basic(b"shop:%ff%fe"),
        raw_basic(b"shop:a%00b"),
        raw_basic(b"sh%00op:x"),
        raw_basic("shöp:geheim".encode("latin-1")),
        raw_basic("shöp:geheim".encode()),
        raw_basic(b"shop:" + b"x" * 100_000),
        raw_basic(b"x" * 100_000 + b":secret"),
        "Bearer " + base64.b64encode(b"shop:secret").decode(),
        "Basic " * 1000,
    ],
)
def test_malformed_credentials_are_refused_like_wrong_ones(app: Flask, header: str) -> None:
    register(secret="secret")
    assert told(posted(authorization=header)) == told(posted(authorization=basic("shop", "wrong")))


@pytest.mark.rule("CLI-09")
def test_two_secrets_open_at_a_time_and_an_ended_one_no_longer(app: Flask) -> None:
    first = register()
    with database.writing():
        minted = secrets.add(clients.named("shop"), by=OPERATOR)
    for secret in (first, minted.secret):
        assert authenticate(posted(authorization=basic("shop", secret))).id == "shop"
    with database.writing():
        secrets.end(clients.named("shop"), minted.secret_id, by=OPERATOR)
    assert told(posted(authorization=basic("shop", minted.secret)))[0] == 401
    assert authenticate(posted(authorization=basic("shop", first))).id == "shop"


@pytest.mark.rule("CLI-09")
def test_the_last_use_of_a_secret_is_noted_and_written_later(app: Flask) -> None:
    secret = register()
    before = clock.now()
    told(posted(authorization=basic("shop", "wrong")))
    assert _written() == 0
    authenticate(posted(authorization=basic("shop", secret)))
    assert _last_used() is None
    assert _written() == 1
    assert before <= (_last_used() or 0) <= clock.now()
    assert _written() == 0


@pytest.mark.rule("CLI-09")
def test_a_server_writes_uses_down_from_time_to_time(app: Flask) -> None:
    secret = register()
    authenticate(posted(authorization=basic("shop", secret)))
    assert serve.write_uses() is False
    used = _last_used()
    assert used
    serve.write_uses()  # it finds the use there and forgets it
    assert not secrets.were_used()
    assert _last_used() == used


def _written() -> int:
    with database.writing():
        return secrets.write_uses()


def _last_used() -> int | None:
    database.session().rollback()
    return database.session().query(ClientSecret).one().last_used_at


def test_every_method_is_one_that_clients_can_register(app: Flask) -> None:
    for method in client_authentication.METHODS:
        keys: Json = "https://shop.example.com/keys"
        register(f"by-{method.replace('_', '-')}", token_endpoint_auth_method=method, jwks_uri=keys)
