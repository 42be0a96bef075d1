"""Access tokens read back: what is taken for one, and what has to be true for it to still stand."""

import pytest
from flask import Flask

from idp.audit.trail import SYSTEM
from idp.clients import clients
from idp.clients.clients import ClientSettings
from idp.oauth import access_tokens
from idp.oauth.access_tokens import AccessToken
from idp.oauth.errors import InvalidToken
from idp.platform import clock, database
from tests.oauth import minting
from tests.oauth.minting import access_token

MACHINE = ClientSettings({"grant_types": ["client_credentials"]})


@pytest.fixture(autouse=True)
def keys(app: Flask) -> None:
    minting.make_keys()


@pytest.fixture
def machine(app: Flask) -> str:
    with database.writing():
        clients.create(MACHINE, by=SYSTEM, id="app_machine")
    return "app_machine"


def test_a_token_of_ours_is_read(app: Flask) -> None:
    token = access_tokens.read(access_token(org_id="org_1", sid="ses_1", jti="az_1.abc"))
    assert (token.subject, token.organization_id, token.session_id) == ("app_machine", "org_1", "ses_1")
    assert (token.authorization_id, token.scope) == ("az_1", ("payments",))
    assert token.audiences == ("https://payments.example.com",)
    assert token.expires_at - token.issued_at == 300 * clock.SECOND


def test_a_token_of_a_machine_hangs_on_no_authorization(app: Flask) -> None:
    assert access_tokens.read(access_token(jti="c.abc")).authorization_id == ""


def test_a_machine_s_token_is_live_while_the_machine_is(app: Flask, machine: str) -> None:
    token = access_tokens.read(access_token())
    assert access_tokens.require_live(token) is None
    with database.writing():
        clients.disable(clients.named(machine), by=SYSTEM)
    assert is_dead(token)
    assert is_dead(access_tokens.read(access_token())), "a token that is younger than the loss is dead as well"


def is_dead(token: AccessToken) -> bool:
    try:
        access_tokens.require_live(token)
    except InvalidToken:
        return True
    return False
