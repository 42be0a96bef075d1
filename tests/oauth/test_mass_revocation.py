"""`idp revoke`: everything of one person, one client, one organization, or of everybody, and nothing beside it."""

import pytest
from flask import Flask
from sqlalchemy import text

from idp.organizations import organizations
from idp.organizations.organizations import OrganizationSettings
from idp.platform import database
from idp.sessions import people
from idp.users import users
from idp.users.users import UserSettings
from tests.cli.conftest import Idp, environment, idp
from tests.oauth import minting
from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.holding import Held, hold, said
from tests.oauth.test_introspection import introspect
from tests.traces import OPERATOR, entries, losses

__all__ = ["environment", "idp"]


@pytest.fixture(autouse=True)
def keys(app: Flask) -> None:
    minting.make_keys()


@pytest.fixture
def shop(app: Flask) -> RelyingParty:
    grants = ["authorization_code", "refresh_token", "client_credentials"]
    return relying_party(app, "app_shop", grant_types=grants, id_token_signed_response_alg="ES256")


@pytest.fixture
def olivia(shop: RelyingParty) -> Held:
    return hold(shop, offline=True)


@pytest.fixture
def bob(app: Flask) -> Held:
    """Another person, by another client."""
    return hold(relying_party(app, "app_other", id_token_signed_response_alg="ES256"), "bob", offline=True)


def is_active(app: Flask, held: Held, token: str) -> bool:
    return bool(said(introspect(app, held.client, token))["active"])


def sessions_of(held: Held) -> int:
    database.session().rollback()
    return len(people.of_person(held.user_id))


def refreshes(held: Held) -> int:
    """What the token endpoint says to the refresh token."""
    return held.client.token(grant_type="refresh_token", refresh_token=held.refresh_token).status_code


@pytest.mark.rule("INT-03")
def test_a_person_s_sessions_families_and_tokens_end_and_nobody_else_s(
    app: Flask, idp: Idp, olivia: Held, bob: Held
) -> None:
    token, other = olivia.access_token(), bob.access_token()
    assert idp("revoke", "--user", "olivia").json == {"authorizations": 1, "sessions": 1}
    assert not is_active(app, olivia, token)
    assert is_active(app, bob, other)
    assert sessions_of(olivia) == 0
    assert sessions_of(bob) == 1
    assert (refreshes(olivia), refreshes(bob)) == (400, 200)
    assert idp("revoke", "--user", "olivia").json == {"authorizations": 0, "sessions": 0}
    (first, _) = [entry for entry in entries(olivia.user_id) if entry.event == "tokens.revoked"]
    assert first.actor_kind == "operator"
    assert ("token", {"sub": olivia.user_id}) in losses()


@pytest.mark.rule("INT-03")
def test_a_client_loses_what_it_holds_of_people_and_as_a_machine(app: Flask, idp: Idp, olivia: Held, bob: Held) -> None:
    token, other = olivia.access_token(), bob.access_token()
    machine = minting.access_token(sub="app_shop", client_id="app_shop")
    assert is_active(app, olivia, machine)
    assert idp("revoke", "--client", "app_shop").json == {"authorizations": 1, "sessions": 0}
    assert not is_active(app, olivia, token)
    assert not is_active(app, olivia, machine)
    assert is_active(app, bob, other)
    assert sessions_of(olivia) == 1
    assert (refreshes(olivia), refreshes(bob)) == (400, 200)
    assert is_active(app, olivia, minting.access_token(sub="app_shop", client_id="app_shop")), "it is not disabled"


@pytest.mark.rule("INT-03")
def test_what_speaks_for_an_organization_ends_and_what_speaks_for_none_stays(
    app: Flask, idp: Idp, olivia: Held, bob: Held
) -> None:
    with database.writing():
        owner = users.create(UserSettings("otto"), by=OPERATOR)
        acme = organizations.found(OrganizationSettings("acme", "Acme"), owner.id, by=OPERATOR).id
        database.session().execute(_MOVE, {"organization": acme, "id": bob.authorization_id})
    there, nowhere = olivia.access_token(org_id=acme), olivia.access_token()
    assert idp("revoke", "--org", "acme").json == {"authorizations": 1, "sessions": 0}
    assert not is_active(app, olivia, there)
    assert is_active(app, olivia, nowhere)
    assert refreshes(olivia) == 200
    assert ("token", {"org_id": acme}) in losses()


_MOVE = text("UPDATE authorizations SET organization_id = :organization WHERE id = :id")


@pytest.mark.rule("INT-03")
def test_everything_ends_for_everybody(app: Flask, idp: Idp, olivia: Held, bob: Held) -> None:
    tokens = [(held, held.access_token()) for held in (olivia, bob)]
    assert idp("revoke", "--all").json == {"authorizations": 2, "sessions": 2}
    assert not any(is_active(app, held, token) for held, token in tokens)
    assert [refreshes(held) for held in (olivia, bob)] == [400, 400]
    assert [entry.event for entry in entries("everybody")] == ["tokens.revoked"]
    assert [entry.event for entry in entries("feed")] == ["feed.epoch.begun"]


def test_what_to_revoke_has_to_be_said_once_and_to_exist(app: Flask, idp: Idp) -> None:
    assert idp("revoke", status=1).json["error"] == "invalid"
    assert idp("revoke", "--all", "--user", "olivia", status=1).json["error"] == "invalid"
    for words in (("--user", "nobody"), ("--client", "app_none"), ("--org", "nowhere")):
        assert idp("revoke", *words, status=1).json["error"] == "not_found"
