"""RFC 6750, bearer tokens, at our own protected resource (userinfo): one test a MUST, named by section."""

import pytest
from flask import Flask

from tests.oauth import minting
from tests.oauth.actors import relying_party
from tests.oauth.holding import Held, hold
from tests.oauth.test_userinfo import USERINFO, ask, refusal


@pytest.fixture
def held(app: Flask) -> Held:
    minting.make_keys()
    return hold(relying_party(app))


def test_rfc6750_2_1_the_token_is_taken_from_the_header(app: Flask, held: Held) -> None:
    assert ask(app, held.access_token()).status_code == 200


def test_rfc6750_2_2_the_form_counts_only_as_urlencoded_and_not_with_get(app: Flask, held: Held) -> None:
    token, client = held.access_token(), app.test_client()
    assert client.post(USERINFO, data={"access_token": token}).status_code == 200
    multipart = client.post(USERINFO, data={"access_token": token}, content_type="multipart/form-data")
    assert multipart.status_code == 401
    assert client.post(USERINFO, json={"access_token": token}).status_code == 401
    assert client.get(USERINFO, data={"access_token": token}).status_code == 401


def test_rfc6750_2_more_than_one_way_of_sending_it_is_invalid_request(app: Flask, held: Held) -> None:
    token = held.access_token()
    assert refusal(ask(app, token, "POST", data={"access_token": token})) == (400, "invalid_request")


def test_rfc6750_3_a_refusal_carries_www_authenticate_with_bearer(app: Flask, held: Held) -> None:
    for token in (None, "x", held.access_token(scope="profile")):
        assert ask(app, token).headers["WWW-Authenticate"].startswith("Bearer ")


def test_rfc6750_3_1_a_request_without_a_token_names_no_error(app: Flask, held: Held) -> None:
    assert "error" not in ask(app, None).headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("malformed", (401, "invalid_token")),
        ("expired", (401, "invalid_token")),
        ("scope", (403, "insufficient_scope")),
    ],
)
def test_rfc6750_3_1_each_error_has_its_status(app: Flask, held: Held, token: str, expected: tuple[int, str]) -> None:
    sent = {
        "malformed": "x.y",
        "expired": held.access_token(exp=minting.seconds(-1)),
        "scope": held.access_token(scope="profile"),
    }
    assert refusal(ask(app, sent[token])) == expected


def test_rfc6750_3_descriptions_have_no_characters_that_headers_cannot_carry(app: Flask, held: Held) -> None:
    header = ask(app, "x").headers["WWW-Authenticate"]
    description = header.partition('error_description="')[2].rpartition('"')[0]
    assert description
    assert all(letter.isascii() and letter.isprintable() and letter not in '"\\' for letter in description)


def test_rfc6750_5_3_answers_are_not_cached(app: Flask, held: Held) -> None:
    assert ask(app, held.access_token()).headers["Cache-Control"] == "no-store"
