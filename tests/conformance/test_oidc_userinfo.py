"""OpenID Connect Core §5.3, userinfo: one test a MUST, named by section."""

import pytest
from flask import Flask

from tests.oauth import minting
from tests.oauth.actors import relying_party
from tests.oauth.holding import Held, hold, said
from tests.oauth.test_userinfo import USERINFO, ask


@pytest.fixture
def held(app: Flask) -> Held:
    minting.make_keys()
    return hold(relying_party(app), given_name="Olivia")


def test_oidc_core_5_3_1_get_and_post_are_taken(app: Flask, held: Held) -> None:
    for method in ("GET", "POST"):
        assert ask(app, held.access_token(), method).status_code == 200


def test_oidc_core_5_3_2_sub_is_always_there_and_that_of_the_token(app: Flask, held: Held) -> None:
    assert said(ask(app, held.access_token(scope="openid")))["sub"] == held.user_id


def test_oidc_core_5_3_2_claims_that_are_not_known_are_left_out(app: Flask, held: Held) -> None:
    told = said(ask(app, held.access_token(scope="openid profile email address phone")))
    assert told["given_name"] == "Olivia"
    assert not [name for name, value in told.items() if value in (None, "", [], {})]
    assert "family_name" not in told


def test_oidc_core_5_3_2_claims_are_the_members_of_a_json_object(app: Flask, held: Held) -> None:
    assert ask(app, held.access_token()).content_type == "application/json"


def test_oidc_core_5_3_1_scripts_are_allowed_by_cors(app: Flask) -> None:
    minting.make_keys()
    held = hold(relying_party(app, "app_spa", public=True, cors_origins=["https://spa.example.com"]))
    headers = {"Authorization": f"Bearer {held.access_token()}", "Origin": "https://spa.example.com"}
    answer = app.test_client().get(USERINFO, headers=headers)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://spa.example.com"
