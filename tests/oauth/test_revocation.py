"""Revocation: a token of one's own dies, at once and for good; others' tokens are out of reach."""

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from idp.oauth import access_tokens, authorizations, refresh_tokens, revocation
from idp.oauth.errors import InvalidToken
from idp.oauth.models import RevokedToken
from idp.platform import clock, database
from tests.oauth import minting
from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.holding import Held, ask, hold, said
from tests.oauth.test_introspection import INACTIVE, introspect
from tests.traces import entries, events, losses


@pytest.fixture(autouse=True)
def keys(app: Flask) -> None:
    minting.make_keys()


@pytest.fixture
def held(app: Flask) -> Held:
    return hold(relying_party(app))


def revoke(app: Flask, client: RelyingParty | None, token: str, **form: str) -> TestResponse:
    return ask(app, "/oauth2/revoke", client, token=token, **form)


def is_live(token: str) -> bool:
    database.session().rollback()
    try:
        access_tokens.require_live(access_tokens.read(token))
    except InvalidToken:
        return False
    return True


def stands(held: Held) -> bool:
    database.session().rollback()
    return authorizations.find_live(held.authorization_id) is not None


@pytest.mark.rule("INT-04")
def test_a_revoked_refresh_token_takes_its_family_and_its_access_tokens_along(app: Flask, held: Held) -> None:
    token, other = held.access_token(), held.access_token(aud="https://payments.example.com")
    for _ in range(2):
        answer = revoke(app, held.client, held.refresh_token)
        assert (answer.status_code, answer.text) == (200, "")
        assert not stands(held)
    assert not is_live(token)
    assert not is_live(other)
    assert events(held.authorization_id).count("authorization.ended") == 1


def test_a_revoked_access_token_dies_alone(app: Flask, held: Held) -> None:
    token, other = held.access_token(), held.access_token()
    for _ in range(2):
        assert revoke(app, held.client, token).status_code == 200
    assert not is_live(token)
    assert said(introspect(app, held.client, token)) == INACTIVE
    assert is_live(other)
    assert stands(held)
    jti = access_tokens.read(token).jti
    assert [loss for loss in losses() if loss[0] == "token"] == [("token", {"jti": jti})]
    (entry,) = entries(jti)
    assert (entry.event, entry.actor_kind, entry.actor_id) == ("token.revoked", "client", held.client.id)


def test_the_list_of_revoked_tokens_counts_without_the_feed(app: Flask, held: Held) -> None:
    token = held.access_token()
    with database.writing():
        database.session().add(RevokedToken(jti=access_tokens.read(token).jti, expires_at=clock.now() + clock.HOUR))
    assert not is_live(token)


@pytest.mark.rule("INT-05")
def test_another_client_s_token_stays_and_the_answer_does_not_tell(app: Flask, held: Held) -> None:
    other = relying_party(app, "app_other")
    token = held.access_token()
    for foreign in (token, held.refresh_token):
        answer = revoke(app, other, foreign)
        unknown = revoke(app, other, "nothing")
        assert (answer.status_code, answer.data) == (unknown.status_code, unknown.data) == (200, b"")
    assert is_live(token)
    assert stands(held)


@pytest.mark.rule("INT-06")
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "something", ""])
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_public_client_revokes_with_any_hint(app: Flask, hint: str, kind: str) -> None:
    held = hold(relying_party(app, "app_public", public=True))
    token = held.access_token()
    presented = token if kind == "access_token" else held.refresh_token
    assert revoke(app, held.client, presented, token_type_hint=hint).status_code == 200
    assert not is_live(token)


@pytest.mark.rule("INT-05")
def test_a_public_client_does_not_revoke_what_is_another_s_by_naming_it(app: Flask, held: Held) -> None:
    answer = app.test_client().post("/oauth2/revoke", data={"client_id": held.client.id, "token": held.refresh_token})
    assert (answer.status_code, said(answer)["error"]) == (401, "invalid_client")
    assert stands(held)


@pytest.mark.rule("INT-07")
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_while_the_database_fails_nothing_is_said_to_be_revoked(
    app: Flask, held: Held, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = held.access_token()
    presented = token if kind == "access_token" else held.refresh_token

    def fail(*_: object) -> None:
        raise database.DatabaseUnavailable

    monkeypatch.setattr(database, "_before_commit", [fail])
    answer = revoke(app, held.client, presented)
    assert (answer.status_code, said(answer)["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"]
    monkeypatch.undo()
    assert is_live(token)
    assert revoke(app, held.client, presented).status_code == 200
    assert not is_live(token)


def test_a_token_has_to_be_sent(app: Flask, held: Held) -> None:
    answer = ask(app, "/oauth2/revoke", held.client, token_type_hint="access_token")
    assert (answer.status_code, said(answer)["error"]) == (400, "invalid_request")


def test_what_is_no_token_is_as_good_as_revoked(app: Flask, held: Held) -> None:
    for token in ("x", "é", "a.b.c", "rt_x", held.access_token(exp=minting.seconds(-1))):
        assert revoke(app, held.client, token).status_code == 200
    assert events().count("token.revoked") == 0


def test_two_that_revoke_one_token_at_once_write_one_entry(app: Flask, held: Held) -> None:
    token = access_tokens.read(held.access_token())
    assert isinstance(token, access_tokens.AccessToken)
    for _ in range(2):
        with database.writing():
            revocation.revoke(token, by=minting.SYSTEM)
    assert database.session().scalar(text("SELECT count(*) FROM revoked_tokens")) == 1
    assert events(token.jti) == ["token.revoked"]


def test_a_refresh_token_that_was_spent_still_ends_its_family(app: Flask, held: Held) -> None:
    with database.writing():
        database.session().execute(text("UPDATE refresh_tokens SET spent_at = 1"))
    assert refresh_tokens.find(held.refresh_token) is not None
    assert revoke(app, held.client, held.refresh_token).status_code == 200
    assert not stands(held)
