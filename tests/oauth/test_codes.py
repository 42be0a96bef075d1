"""Codes at the token endpoint: one use, by whoever asked for it, while what was decided still stands."""

from collections.abc import Callable

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from idp.feed import positions
from idp.oauth import authorizations
from idp.oauth.models import AuthorizationCode, RefreshToken
from idp.oauth.views import token as door
from idp.organizations import memberships, organizations
from idp.platform import bearer, database
from idp.sessions import people
from idp.users import lifecycle, users
from tests.oauth.actors import RelyingParty, challenge, claims_of
from tests.oauth.decisions import VERIFIER, Person, code_for, decide, redemption, shop, signed_in, somebody
from tests.organizations.actors import ACME, VERA, member
from tests.traces import OPERATOR, events


@pytest.fixture
def alice(app: Flask) -> Person:
    return somebody()


@pytest.fixture
def client(app: Flask) -> RelyingParty:
    return shop(app)


@pytest.fixture
def code(alice: Person, client: RelyingParty) -> str:
    return code_for(decide(alice, client.id), client.id)


def error(answer: TestResponse) -> str:
    """The error of a refusal that every reader of RFC 6749 §5.2 understands."""
    assert answer.status_code == 400, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert "access_token" not in answer.get_json()
    return str(answer.get_json()["error"])


def redeems(client: RelyingParty, code: str) -> bool:
    answer = client.token(**redemption(code))
    assert answer.status_code in (200, 400), answer.text
    return answer.status_code == 200


def refreshes(client: RelyingParty, token: str) -> bool:
    return client.token(grant_type="refresh_token", refresh_token=token).status_code == 200


def is_active(client: RelyingParty, access_token: str) -> bool:
    form = {"token": access_token}
    answer = client.app.test_client().post("/oauth2/introspect", data=form, auth=(client.id, client.secret))
    return bool(answer.get_json()["active"])


def test_a_code_brings_tokens(client: RelyingParty, alice: Person, code: str) -> None:
    answer = client.token(**redemption(code))
    assert answer.status_code == 200, answer.text
    tokens = answer.get_json()
    assert (tokens["token_type"], tokens["scope"]) == ("Bearer", "openid offline_access")
    assert claims_of(tokens["access_token"])["sub"] == alice.id
    assert claims_of(tokens["id_token"])["nonce"] == "n-1"
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    assert is_active(client, tokens["access_token"])
    assert refreshes(client, tokens["refresh_token"])


def test_clients_that_cannot_refresh_get_no_refresh_token(app: Flask, alice: Person) -> None:
    client = shop(app, "plain", grant_types=["authorization_code"])
    answer = client.token(**redemption(code_for(decide(alice, client.id), client.id)))
    assert "refresh_token" not in answer.get_json()


# Once


@pytest.mark.rule("COD-02")
def test_a_code_that_is_shown_again_ends_all_that_came_of_it(client: RelyingParty, alice: Person, code: str) -> None:
    tokens = client.token(**redemption(code)).get_json()
    newer = client.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).get_json()
    assert error(client.token(**redemption(code))) == "invalid_grant"
    assert not is_active(client, tokens["access_token"])
    assert not is_active(client, newer["access_token"])
    assert not refreshes(client, newer["refresh_token"])
    assert events(alice.id)[-1] == "authorization.reuse"


@pytest.mark.rule("COD-02")
def test_a_code_that_is_shown_again_with_nothing_beside_it_is_no_less_suspicious(
    client: RelyingParty, code: str
) -> None:
    tokens = client.token(**redemption(code)).get_json()
    assert error(client.token(**redemption(code, code_verifier=None, redirect_uri=None))) == "invalid_grant"
    assert not refreshes(client, tokens["refresh_token"])


@pytest.mark.rule("COD-02")
def test_tokens_signed_after_the_code_was_shown_again_are_older_than_that(
    client: RelyingParty, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between spending and signing somebody shows the code again: services that only follow the feed must know."""
    authorization = decide(alice, client.id)
    code, signed = code_for(authorization, client.id), door.issue

    def issue_late(issuance: object) -> object:
        with database.writing():
            authorizations.end(authorization, because="reused", by=OPERATOR)
        return signed(issuance)  # type: ignore[arg-type]

    monkeypatch.setattr(door, "issue", issue_late)
    tokens = client.token(**redemption(code)).get_json()
    assert not is_active(client, tokens["access_token"])
    database.session().rollback()
    assert claims_of(tokens["access_token"])["azv"] < positions.head()


# By whoever asked for it


@pytest.mark.rule("COD-01")
@pytest.mark.parametrize("public", [False, True], ids=["confidential", "public"])
def test_a_code_in_the_hands_of_another_client_is_of_use_to_nobody(
    client: RelyingParty, alice: Person, code: str, public: bool
) -> None:
    other = shop(client.app, "other", public=public)
    assert error(other.token(**redemption(code))) == "invalid_grant"
    assert not redeems(client, code)
    assert events(alice.id)[-1] == "authorization.reuse"


@pytest.mark.rule("COD-05")
def test_a_code_is_only_for_the_address_that_it_was_sent_to(client: RelyingParty, code: str) -> None:
    assert error(client.token(**redemption(code, redirect_uri=None))) == "invalid_grant"
    assert error(client.token(**redemption(code, redirect_uri=""))) == "invalid_grant"
    assert redeems(client, code)


@pytest.mark.rule("COD-05")
@pytest.mark.parametrize("uri", ["https://shop.example.com/cb/", "https://SHOP.example.com/cb", "https://evil.test"])
def test_a_code_is_used_up_by_another_address(client: RelyingParty, code: str, uri: str) -> None:
    assert error(client.token(**redemption(code, redirect_uri=uri))) == "invalid_grant"
    assert not redeems(client, code)


@pytest.mark.rule("PKC-03")
@pytest.mark.parametrize(
    "verifier",
    [VERIFIER[:-1] + "X", VERIFIER[:-1], VERIFIER * 3, VERIFIER + "\n", VERIFIER[:-1] + "é", "challenge"],
    ids=["wrong", "42 characters", "129 characters", "with a line end", "not ASCII", "the challenge"],
)
def test_a_code_is_used_up_by_a_wrong_verifier(client: RelyingParty, code: str, verifier: str) -> None:
    shown = challenge(VERIFIER) if verifier == "challenge" else verifier
    assert error(client.token(**redemption(code, code_verifier=shown))) == "invalid_grant"
    assert not redeems(client, code)


@pytest.mark.rule("PKC-03")
def test_without_a_verifier_there_are_no_tokens(client: RelyingParty, code: str) -> None:
    assert error(client.token(**redemption(code, code_verifier=None))) == "invalid_grant"
    assert error(client.token(**redemption(code, code_verifier=""))) == "invalid_grant"
    assert redeems(client, code)


@pytest.mark.rule("PKC-04")
def test_a_verifier_without_a_challenge_is_refused(client: RelyingParty, alice: Person) -> None:
    authorization = decide(alice, client.id)
    bare = code_for(authorization, client.id, code_challenge=None)
    assert error(client.token(**redemption(bare))) == "invalid_grant"
    other = code_for(authorization, client.id, code_challenge=None)
    assert client.token(**redemption(other, code_verifier=None)).status_code == 200


def test_a_client_that_does_not_authenticate_uses_nothing_up(client: RelyingParty, code: str) -> None:
    stranger = RelyingParty(client.app, client.id, "wrong")
    answer = stranger.token(**redemption(code))
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert redeems(client, code)


def test_what_was_never_issued_is_refused_like_what_is_over(client: RelyingParty) -> None:
    assert error(client.token(**redemption("ac_never"))) == "invalid_grant"
    assert error(client.token(grant_type="authorization_code")) == "invalid_request"


def test_a_target_that_was_not_granted_uses_nothing_up(client: RelyingParty, code: str) -> None:
    elsewhere = redemption(code, resource="https://payments.example.com")
    assert error(client.token(**elsewhere)) == "invalid_target"
    assert error(client.token(**redemption(code, organization="org_acme"))) == "invalid_target"
    assert redeems(client, code)


# While what was decided stands


@pytest.mark.rule("COD-04")
def test_a_code_lives_as_long_as_the_setting_says(app: Flask) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        client, alice = shop(app), somebody()
        in_time, late = (code_for(decide(alice, client.id), client.id) for _ in range(2))
        clockwork.shift(59)
        assert redeems(client, in_time)
        clockwork.shift(1)
        assert error(client.token(**redemption(late))) == "invalid_grant"


ENDINGS: dict[str, Callable[[Person, str], object]] = {
    "user disabled": lambda person, _: lifecycle.disable(users.named(person.id), by=OPERATOR),
    "user deleted": lambda person, _: lifecycle.delete(users.named(person.id), by=OPERATOR),
    "member suspended": lambda person, _: memberships.suspend(ACME, member(VERA), by=OPERATOR),
    "member removed": lambda person, _: memberships.remove(ACME, member(VERA), by=OPERATOR),
    "organization suspended": lambda person, _: organizations.suspend(ACME, by=OPERATOR),
    "consent withdrawn": lambda _, it: authorizations.end(it, because="consent_withdrawn", by=OPERATOR),
    "signed out": lambda person, _: people.end(person.session.id, because="signed_out", by=OPERATOR),
}


@pytest.mark.rule("COD-06")
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_code_is_worth_nothing_once_what_it_stands_for_is_gone(acme: Flask, ending: str) -> None:
    client, vera = shop(acme), signed_in(VERA.id)
    authorization = decide(vera, client.id, organization_id=ACME, offline=False)
    code = code_for(authorization, client.id)
    with database.writing():
        ENDINGS[ending](vera, authorization)
    assert error(client.token(**redemption(code))) == "invalid_grant"


@pytest.mark.rule("COD-06")
def test_what_is_decided_for_somebody_who_was_disabled_meanwhile_is_worth_nothing(
    client: RelyingParty, alice: Person
) -> None:
    with database.writing():
        lifecycle.disable(users.named(alice.id), by=OPERATOR)
    code = code_for(decide(alice, client.id), client.id)
    assert error(client.token(**redemption(code))) == "invalid_grant"


@pytest.mark.rule("COD-07")
def test_the_database_knows_codes_and_refresh_tokens_by_their_digests(client: RelyingParty, code: str) -> None:
    tokens = client.token(**redemption(code)).get_json()
    database.session().rollback()
    digests = {*database.session().scalars(select(AuthorizationCode.digest))}
    digests |= {*database.session().scalars(select(RefreshToken.digest))}
    assert digests == {bearer.digest(code), bearer.digest(tokens["refresh_token"])}
    for table in (AuthorizationCode, RefreshToken):
        (row,) = database.session().execute(select(table.__table__)).all()
        assert code not in repr(row)
        assert tokens["refresh_token"] not in repr(row)
