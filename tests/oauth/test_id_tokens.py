"""ID tokens as hints: what is taken for one, and what is not."""

from typing import Any

import pytest
import time_machine
from flask import Flask

from idp.audit.trail import SYSTEM
from idp.clients import clients
from idp.keys import material, rotation
from idp.oauth.id_tokens import Hint, read_hint
from idp.oauth.models import PairwiseSubject
from idp.platform import clock, database
from idp.platform.settings import settings
from idp.users import users
from idp.users.users import UserSettings
from tests.oauth import minting
from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.minting import access_token, seconds, signed


@pytest.fixture(autouse=True)
def shop(app: Flask) -> RelyingParty:
    minting.make_keys()
    return relying_party(app, "app_shop")


def id_token(header: dict[str, Any] | None = None, **changed: Any) -> str:
    claims = {
        "iss": settings().issuer,
        "sub": "usr_olivia",
        "aud": "app_shop",
        "iat": seconds(),
        "exp": seconds(300),
        "sid": "ses_1",
        "nonce": "n-1",
    }
    return signed({**claims, **changed}, "id_token", "ES256", header)


def test_an_id_token_says_whom_it_is_about(app: Flask) -> None:
    hint = read_hint(id_token(org_id="org_1", account_id="acct_1"))
    assert hint == Hint("usr_olivia", "app_shop", "ses_1", "org_1", "acct_1", hint.issued_at if hint else 0)
    assert hint is not None
    assert abs(hint.issued_at - clock.now()) < 5 * clock.SECOND
    assert read_hint(id_token(aud=["app_shop"]), "app_shop") == read_hint(id_token())


@pytest.mark.rule("LGO-03")
def test_an_expired_one_is_a_hint_all_the_same_and_one_for_another_client_is_none(app: Flask) -> None:
    token = id_token()
    with time_machine.travel(clock.now() / clock.SECOND + 50 * 60, tick=False):
        assert read_hint(token, "app_shop") is not None
    assert read_hint(token, "app_other") is None
    assert read_hint(id_token(aud=["app_shop", "app_other"]), "app_shop") is None


@pytest.mark.rule("LGO-03")
def test_one_that_was_signed_by_a_key_that_is_gone_is_no_hint(app: Flask) -> None:
    token, (kid,) = id_token(), [key.kid for key in rotation.listing() if key.purpose == "id_token"]
    assert read_hint(token) is not None
    replacements = material.generate([minting.ID])
    with database.writing():
        rotation.withdraw([kid], replacements, by=SYSTEM)
    with time_machine.travel(clock.now() / clock.SECOND + 5, tick=False):
        assert read_hint(token) is None


@pytest.mark.rule("JWT-02")
@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "application/at+jwt", "userinfo", 1, ["JWT"]])
def test_other_kinds_of_tokens_are_no_hints(app: Flask, typ: object) -> None:
    assert read_hint(id_token({"typ": typ})) is None


@pytest.mark.rule("JWT-02")
def test_an_access_token_is_no_hint(app: Flask) -> None:
    for header in ({}, {"typ": "JWT"}, {"typ": None}):
        assert read_hint(access_token(header, sub="usr_olivia", aud="app_shop", sid="ses_1")) is None


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "iat", "exp"])
def test_claims_that_every_id_token_has_must_be_there(app: Flask, claim: str) -> None:
    assert read_hint(id_token(**{claim: None})) is None


def test_a_pairwise_subject_leads_to_its_person(app: Flask) -> None:
    shop = relying_party(app, "app_discreet", subject_type="pairwise")
    with database.writing():
        person = users.create(UserSettings("olivia"), by=SYSTEM).id
        database.session().add(PairwiseSubject(sector="shop.example.com", user_id=person, subject="sub_1"))
    hint = read_hint(id_token(sub="sub_1", aud=shop.id))
    assert hint is not None
    assert hint.user_id == person
    assert read_hint(id_token(sub="sub_2", aud=shop.id)) is None


def test_an_id_token_of_a_client_that_is_gone_is_no_hint(app: Flask) -> None:
    token = id_token()
    assert read_hint(token) is not None
    with database.writing():
        clients.disable(clients.named("app_shop"), by=SYSTEM)
    assert read_hint(token) is None
