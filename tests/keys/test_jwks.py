"""The key set that everybody may read: public members, an entity tag, and no need of the database (JWT-06)."""

import json

import psycopg
import pytest
from flask import Flask

from idp.audit.trail import SYSTEM, Actor
from idp.keys import jwks, lifecycle, material, rotation, signing
from idp.keys.material import SLOTS, Slot
from idp.platform import clock, database
from tests.keys.conftest import Node
from tests.keys.test_material import PRIVATE_MEMBERS
from tests.keys.test_rotation import ACCESS, ID, emergency, ensure, plan
from tests.keys.test_signing import _forget

PUBLIC_MEMBERS = {
    "RSA": {"kty", "use", "alg", "kid", "n", "e"},
    "EC": {"kty", "use", "alg", "kid", "crv", "x", "y"},
    "OKP": {"kty", "use", "alg", "kid", "crv", "x"},
}


def published() -> list[dict[str, str]]:
    keys: list[dict[str, str]] = json.loads(jwks.document().body)["keys"]
    return keys


def test_the_key_set_holds_public_members_only_and_says_what_each_key_is_for(app: Flask) -> None:
    ensure()
    keys = published()
    assert sorted(key["alg"] for key in keys) == sorted(slot.alg for slot in SLOTS)
    for key in keys:
        assert set(key) == PUBLIC_MEMBERS[key["kty"]]
        assert PRIVATE_MEMBERS.isdisjoint(key)
        assert key["use"] == "sig"
    assert {key["kid"] for key in keys} == {key.kid for key in rotation.listing()}


def test_keys_for_saml_are_not_among_those_that_sign_tokens(app: Flask) -> None:
    ensure(ACCESS)
    with database.writing():
        rotation.bring(material.KeyPair("saml-1", Slot("saml", "RS256"), _rsa()), by=SYSTEM)
    assert [key["alg"] for key in published()] == ["ES256"]


def _rsa() -> material.JoseKey:
    return material._generated(Slot("saml", "RS256")).jwk


def test_it_may_be_cached_no_longer_than_a_key_is_published_before_it_signs() -> None:
    public, _, seconds = jwks.CACHE_CONTROL.partition(", max-age=")
    assert public == "public"
    assert int(seconds) * clock.SECOND <= lifecycle.PUBLISHED_BEFORE_USE
    assert int(seconds) == 600


def test_it_is_rendered_once_and_its_tag_changes_only_with_it(
    app: Flask, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(ACCESS)
    before = jwks.document()
    assert jwks.document() is before
    assert before.etag.startswith('"')
    plan(operator, ACCESS)
    monotonic = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic + 2.1)
    after = jwks.document()
    assert len(json.loads(after.body)["keys"]) == 2
    assert after.etag != before.etag


def test_every_node_shows_the_same(node: Node) -> None:
    here, there = node(), node()
    with here.app_context():
        ensure(ACCESS, ID)
        document = jwks.document()
    with there.app_context():
        assert jwks.document() == document


def test_a_withdrawn_key_is_gone_and_a_planned_one_is_there(app: Flask, operator: Actor) -> None:
    ensure(ACCESS)
    (kid,) = rotation.in_use()
    (planned,) = plan(operator, ACCESS)
    _forget(app)
    assert {key["kid"] for key in published()} == {kid, planned}
    emergency(operator, ACCESS)
    _forget(app)
    assert {key["kid"] for key in published()} == set(rotation.in_use())
    assert {kid, planned}.isdisjoint(rotation.in_use())


def test_it_is_served_on_while_the_database_is_away_and_recovers_by_itself(
    app: Flask, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(ACCESS)
    before = jwks.document()
    (planned,) = plan(operator, ACCESS)
    monotonic = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic + 2.1)
    tries: list[int] = []

    def refuse(*_: object, **__: object) -> None:
        tries.append(1)
        raise psycopg.OperationalError("the server is gone")

    monkeypatch.setattr(type(signing._ROWS), "all", refuse)
    for _ in range(10):
        assert jwks.document() == before
    assert len(tries) == 1
    monkeypatch.undo()
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic + 4.3)
    assert planned.encode() in jwks.document().body
