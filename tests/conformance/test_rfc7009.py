"""RFC 7009, token revocation: one test a MUST, named by section."""

import pytest
from flask import Flask

from tests.oauth import minting
from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.holding import Held, ask, hold, said
from tests.oauth.test_revocation import is_live, revoke, stands


@pytest.fixture
def held(app: Flask) -> Held:
    minting.make_keys()
    return hold(relying_party(app))


def test_rfc7009_2_revocation_of_refresh_tokens_and_of_access_tokens(app: Flask, held: Held) -> None:
    token = held.access_token()
    assert revoke(app, held.client, token).status_code == 200
    assert not is_live(token)
    assert revoke(app, held.client, held.refresh_token).status_code == 200
    assert not stands(held)


def test_rfc7009_2_1_token_is_required(app: Flask, held: Held) -> None:
    answer = ask(app, "/oauth2/revoke", held.client)
    assert (answer.status_code, said(answer)["error"]) == (400, "invalid_request")


def test_rfc7009_2_1_the_client_is_authenticated_first(app: Flask, held: Held) -> None:
    answer = revoke(app, RelyingParty(app, held.client.id, "wrong"), held.refresh_token)
    assert (answer.status_code, said(answer)["error"]) == (401, "invalid_client")
    assert "WWW-Authenticate" in answer.headers
    assert stands(held)


def test_rfc7009_2_1_a_token_of_another_client_is_not_revoked(app: Flask, held: Held) -> None:
    revoke(app, relying_party(app, "app_other"), held.refresh_token)
    assert stands(held)


def test_rfc7009_2_1_with_a_wrong_hint_the_search_goes_on_over_all_kinds(app: Flask, held: Held) -> None:
    token = held.access_token()
    assert revoke(app, held.client, token, token_type_hint="refresh_token").status_code == 200
    assert not is_live(token)


def test_rfc7009_2_1_access_tokens_end_with_their_refresh_token(app: Flask, held: Held) -> None:
    token = held.access_token()
    revoke(app, held.client, held.refresh_token)
    assert not is_live(token)


def test_rfc7009_2_2_an_invalid_token_is_answered_with_200(app: Flask, held: Held) -> None:
    assert revoke(app, held.client, "45ghiukldjahdnhzdauz").status_code == 200
