"""The clients of a suspended organization do nothing anywhere, also where nothing speaks for an organization."""

import pytest
from flask import Flask

from idp.oauth import authorizations, contexts
from idp.oauth.errors import InvalidGrant
from idp.organizations import organizations
from idp.platform import database
from tests.oauth import asking, issuing, minting
from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.decisions import code_for, decide, redemption, signed_in
from tests.oauth.holding import ask, said
from tests.organizations.actors import ACME, VERA
from tests.traces import OPERATOR, losses

API = "https://payments.example.com"
NOBODY = (401, "invalid_client")

pytestmark = pytest.mark.rule("ORG-10")


@pytest.fixture
def own(acme: Flask) -> RelyingParty:
    """Acme's own application; its tokens speak for no organization."""
    minting.make_keys()
    grants = ["authorization_code", "refresh_token", "client_credentials"]
    return relying_party(acme, "app_own", owner=ACME, grant_types=grants, id_token_signed_response_alg="ES256")


@pytest.fixture
def payments(acme: Flask) -> RelyingParty:
    return relying_party(acme, "app_payments", serves=[API])


def suspend() -> None:
    with database.writing():
        organizations.suspend(ACME, by=OPERATOR)


def resume() -> None:
    with database.writing():
        organizations.resume(ACME, by=OPERATOR)


def refused(own: RelyingParty, path: str, **form: str) -> tuple[int, str]:
    answer = ask(own.app, path, own, **form)
    return answer.status_code, str(said(answer).get("error"))


def test_they_are_not_let_in_at_any_endpoint_and_are_again_when_it_is_over(own: RelyingParty) -> None:
    authorization = decide(signed_in(VERA.id), own.id)
    spare, last = code_for(authorization, own.id), code_for(authorization, own.id)
    tokens = own.token(**redemption(code_for(authorization, own.id))).get_json()
    suspend()
    assert refused(own, "/oauth2/token", grant_type="client_credentials") == NOBODY
    assert refused(own, "/oauth2/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"]) == NOBODY
    assert refused(own, "/oauth2/token", **redemption(spare)) == NOBODY
    assert refused(own, "/oauth2/introspect", token=tokens["access_token"]) == NOBODY
    assert refused(own, "/oauth2/revoke", token=tokens["refresh_token"]) == NOBODY
    asking.is_shown(asking.ask(own), "unknown_client")
    resume()
    for form in (
        {"grant_type": "client_credentials"},
        {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]},
        redemption(last),
    ):
        assert own.token(**form).status_code == 200


def test_their_tokens_open_nothing_and_services_are_told(own: RelyingParty, payments: RelyingParty) -> None:
    tokens = own.token(**redemption(code_for(decide(signed_in(VERA.id), own.id), own.id))).get_json()
    for_api = minting.access_token(sub=own.id, client_id=own.id, aud=API, jti="c.1")
    suspend()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert own.app.test_client().get("/oauth2/userinfo", headers=bearer).status_code == 401
    assert said(ask(own.app, "/oauth2/introspect", payments, token=for_api)) == {"active": False}
    assert ("client", {"client_id": own.id}) in losses()


def test_what_is_just_being_issued_is_not_dated_after_the_suspension(own: RelyingParty) -> None:
    machine, person = issuing.client(own.id), decide(signed_in(VERA.id), own.id)
    suspend()
    with pytest.raises(InvalidGrant):
        contexts.enter_as_machine(machine, None)
    assert authorizations.find_live(person) is None


def test_those_of_others_go_on(acme: Flask, own: RelyingParty) -> None:
    machine = relying_party(acme, "app_everywhere", grant_types=["client_credentials"])
    suspend()
    assert machine.token(grant_type="client_credentials").status_code == 200
