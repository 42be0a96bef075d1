"""Clients: registered, changed, switched, disabled, deleted; and their secrets."""

import json
import threading

import pytest
from flask import Flask
from sqlalchemy import select

from idp.clients import clients, origins, secrets
from idp.clients.clients import ClientContext, ClientSettings
from idp.clients.metadata import InvalidMetadata, Json
from idp.clients.models import OPERATOR as OPERATORS
from idp.clients.models import Client, ClientSecret
from idp.clients.redirect_uris import InvalidRedirectUri
from idp.organizations.conditions import client_usable
from idp.organizations.models import Organization
from idp.platform import bearer, clock, database
from idp.platform.errors import Conflict, Invalid, NotFound
from tests import databases
from tests.traces import OPERATOR, entries, events, losses

SHOP: dict[str, Json] = {"client_name": "Shop", "redirect_uris": ["https://shop.example.com/cb"]}
A, B = "org_a", "org_b"


@pytest.fixture(autouse=True)
def organizations(app: Flask) -> None:
    with database.writing():
        database.session().add_all([Organization(id=A, slug="a", name="A"), Organization(id=B, slug="b", name="B")])


def register(wanted: ClientSettings | None = None, *, owner: str = OPERATORS, id: str = "") -> str:
    with database.writing():
        return clients.create(wanted or ClientSettings(SHOP), by=OPERATOR, owner=owner, id=id).id


def change(client_id: str, wanted: ClientSettings) -> bool:
    with database.writing():
        return clients.reconfigure(clients.named(client_id), wanted, by=OPERATOR)


def switch(client_id: str, organization_id: str, *, on: bool) -> None:
    with database.writing():
        clients.switch(clients.named(client_id), organization_id, on=on, by=OPERATOR)


def settings_of(client_id: str) -> ClientSettings:
    database.session().rollback()
    return clients.settings_of(clients.named(client_id))


def usable_in(client_id: str) -> set[str]:
    """Organizations in which the tables say that the client is usable, as the roles query reads them."""
    database.session().rollback()
    usable = client_usable(Client, Organization.id)
    found = select(Organization.id).join(Client, usable).where(Client.id == client_id)
    return set(database.session().execute(found, {"at": clock.FOREVER}).scalars())


def test_a_client_is_found_by_its_owner_alone(app: Flask) -> None:
    mine, theirs = register(), register(owner=A, id="shop-of-a")
    assert clients.find(OPERATORS, mine).name == "Shop"
    assert clients.find(A, theirs).owner == A
    assert clients.named("shop-of-a").id == theirs
    for owner, client_id in ((A, mine), (B, theirs), (OPERATORS, theirs), (OPERATORS, "app_none")):
        with pytest.raises(NotFound):
            clients.find(owner, client_id)
    assert [client.id for client in clients.owned(A)] == [theirs]
    assert {client.id for client in clients.owned()} == {mine, theirs}
    assert [client.id for client in clients.owned(after=mine, limit=1)] == [theirs]


@pytest.mark.parametrize(
    "given", ["usr_0001", "sub_0001", "mem_0001", "team_0001", "a b", "a/b", "", "ä", "x" * 129, "-x"]
)
def test_a_client_id_that_could_be_a_persons_or_cannot_be_sent_is_refused(app: Flask, given: str) -> None:
    if given:
        with pytest.raises(Invalid):
            register(id=given)
    else:
        assert register(id=given).startswith("app_")


def test_an_id_is_never_used_twice(app: Flask) -> None:
    register(id="shop")
    with pytest.raises(Conflict):
        register(id="shop")
    with database.writing():
        clients.delete(clients.named("shop"), by=OPERATOR)
    with pytest.raises(Conflict):
        register(id="shop")
    with pytest.raises(NotFound):
        clients.named("shop")


@pytest.mark.rule("AUZ-06")
def test_a_wrong_redirect_address_changes_nothing(app: Flask) -> None:
    wrong = ClientSettings({**SHOP, "redirect_uris": ["javascript:alert(1)"]})
    with pytest.raises(InvalidRedirectUri):
        register(wrong)
    shop = register()
    with pytest.raises(InvalidRedirectUri):
        change(shop, wrong)
    assert settings_of(shop) == ClientSettings(SHOP)
    assert events(shop) == ["client.created"]


def test_only_what_differs_is_recorded_and_asking_twice_changes_nothing(app: Flask) -> None:
    shop = register()
    wanted = ClientSettings(
        {**SHOP, "client_uri": "https://shop.example.com"}, ClientContext("account"), first_party=True
    )
    assert change(shop, wanted)
    assert not change(shop, wanted)
    assert settings_of(shop) == wanted
    assert events(shop) == ["client.created", "client.changed"]
    changed = entries(shop)[1]
    assert json.loads(changed.after_json or "") == {
        "client_uri": "https://shop.example.com",
        "context": {"kind": "account", "organization_id": None, "account_id": None},
        "first_party": True,
    }
    assert losses() == []


@pytest.mark.parametrize(
    "wanted",
    [
        ClientSettings(SHOP, first_party=True),
        ClientSettings({**SHOP, "serves": ["https://payments.example.com"]}),
        ClientSettings({**SHOP, "consent": "skip"}),
        ClientSettings(SHOP, enabled_for=frozenset({A})),
        ClientSettings(SHOP, ClientContext("fixed", B)),
    ],
)
def test_an_organization_cannot_say_what_is_the_operators_word(app: Flask, wanted: ClientSettings) -> None:
    with pytest.raises(Invalid):
        register(wanted, owner=A)
    own = register(owner=A)
    with pytest.raises(Invalid):
        change(own, wanted)
    assert settings_of(own) == ClientSettings(SHOP)


@pytest.mark.parametrize(
    "context",
    [
        ClientContext("everything"),
        ClientContext("fixed"),
        ClientContext("account", A),
        ClientContext("none", None, "acct_1"),
        ClientContext("fixed", None, "acct_1"),
    ],
)
def test_a_context_that_is_none_is_refused(app: Flask, context: ClientContext) -> None:
    with pytest.raises(Invalid):
        register(ClientSettings(SHOP, context))


def test_a_fixed_context_names_an_organization_and_perhaps_an_account(app: Flask) -> None:
    for context in (ClientContext("fixed", A), ClientContext("fixed", A, "acct_1")):
        assert settings_of(register(ClientSettings(SHOP, context))).context == context
    assert settings_of(register(ClientSettings(SHOP, ClientContext("fixed", A)), owner=A)).context.organization_id == A


def test_consent_is_skipped_by_first_parties_alone(app: Flask) -> None:
    with pytest.raises(InvalidMetadata):
        register(ClientSettings({**SHOP, "consent": "skip"}))
    register(ClientSettings({**SHOP, "consent": "skip"}, first_party=True))


def test_an_operators_client_is_on_everywhere_until_it_is_switched_off(app: Flask) -> None:
    shop = register()
    assert usable_in(shop) == {A, B}
    for _ in range(2):
        switch(shop, A, on=False)
    assert usable_in(shop) == {B}
    assert losses() == [("client", {"client_id": shop, "org_id": A})]
    for _ in range(2):
        switch(shop, A, on=True)
    assert usable_in(shop) == {A, B}
    assert events(shop) == ["client.created", "client.switched.off", "client.switched.on"]
    assert entries(shop)[1].organization_id == A


def test_a_client_is_offered_to_some_and_who_switched_it_off_keeps_it_off(app: Flask) -> None:
    shop = register(ClientSettings(SHOP, enabled_for=frozenset({A})))
    assert usable_in(shop) == {A}
    with pytest.raises(Conflict):
        switch(shop, B, on=True)
    switch(shop, A, on=False)
    assert not change(shop, ClientSettings(SHOP, enabled_for=frozenset({A})))
    assert usable_in(shop) == set()
    assert change(shop, ClientSettings(SHOP, enabled_for=frozenset({A, B})))
    assert usable_in(shop) == {B}
    assert change(shop, ClientSettings(SHOP))
    assert usable_in(shop) == {B}
    switch(shop, A, on=True)
    assert usable_in(shop) == {A, B}


def test_a_narrower_offer_supersedes_what_it_takes_away(app: Flask) -> None:
    shop = register()
    change(shop, ClientSettings(SHOP, enabled_for=frozenset({A, B})))
    assert losses() == [("client", {"client_id": shop})]
    change(shop, ClientSettings(SHOP, enabled_for=frozenset({B})))
    assert losses()[1:] == [("client", {"client_id": shop, "org_id": A})]
    assert usable_in(shop) == {B}


def test_an_organizations_own_client_is_not_switched(app: Flask) -> None:
    own = register(owner=A)
    assert usable_in(own) == {A}
    with pytest.raises(Conflict):
        switch(own, A, on=False)


def test_a_disabled_client_loses_its_tokens_once(app: Flask) -> None:
    shop = register(owner=A)
    for _ in range(2):
        with database.writing():
            clients.disable(clients.named(shop), by=OPERATOR)
    assert clients.is_disabled(shop)
    assert losses() == [("client", {"client_id": shop})]
    for _ in range(2):
        with database.writing():
            clients.enable(clients.named(shop), by=OPERATOR)
    assert not clients.is_disabled(shop)
    assert events(shop) == ["client.created", "client.disabled", "client.enabled"]
    assert {entry.organization_id for entry in entries(shop)} == {A}


def test_a_deleted_client_takes_its_secrets_along(app: Flask) -> None:
    shop = register(ClientSettings(SHOP, enabled_for=frozenset({A})))
    with database.writing():
        secrets.add(clients.named(shop), by=OPERATOR)
    with database.writing():
        clients.delete(clients.named(shop), by=OPERATOR)
    database.session().rollback()
    assert secrets.of(shop) == []
    assert losses() == [("client", {"client_id": shop})]
    assert events(shop)[-1] == "client.deleted"
    deleted = database.session().get(Client, shop)
    assert deleted is not None
    with pytest.raises(NotFound), database.writing():
        secrets.add(deleted, by=OPERATOR)
    with pytest.raises(NotFound), database.writing():
        clients.enable(deleted, by=OPERATOR)


@pytest.mark.rule("CLI-09")
def test_a_secret_has_256_bits_is_shown_once_and_stored_by_its_digest(app: Flask) -> None:
    shop = register()
    with database.writing():
        minted = secrets.add(clients.named(shop), by=OPERATOR)
    assert len(minted.secret.removeprefix(secrets.PREFIX)) >= 43
    (stored,) = secrets.of(shop)
    assert (stored.id, stored.last_used_at) == (minted.secret_id, None)
    assert bearer.matches(minted.secret, stored.digest)
    assert minted.secret.encode() not in _everything_stored()
    assert stored.digest in _everything_stored()


def _everything_stored() -> bytes:
    """Every value of every table of the database, one after the other."""
    database.session().rollback()
    connection = database.session().connection()
    values: list[bytes] = []
    for table in database.Model.metadata.sorted_tables:
        for row in connection.execute(table.select()):
            values += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    return b"\n".join(values)


@pytest.mark.rule("CLI-09")
def test_two_secrets_live_at_a_time_so_that_one_can_be_replaced(app: Flask) -> None:
    shop = register()
    with database.writing():
        first = secrets.add(clients.named(shop), by=OPERATOR)
        secrets.add(clients.named(shop), by=OPERATOR)
    with pytest.raises(Conflict), database.writing():
        secrets.add(clients.named(shop), by=OPERATOR)
    for _ in range(2):
        with database.writing():
            secrets.end(clients.named(shop), first.secret_id, by=OPERATOR)
    with database.writing():
        secrets.add(clients.named(shop), by=OPERATOR)
    assert len(secrets.of(shop)) == 2
    assert first.secret_id not in {secret.id for secret in secrets.of(shop)}
    assert events(shop) == [
        "client.created",
        "client.secret.added",
        "client.secret.added",
        "client.secret.removed",
        "client.secret.added",
    ]


@pytest.mark.rule("CLI-09")
def test_secrets_that_are_added_at_once_count_each_other(app: Flask) -> None:
    shop = register()
    together = threading.Barrier(5)

    def add() -> None:
        with app.app_context():
            together.wait()
            try:
                with database.writing():
                    secrets.add(clients.named(shop), by=OPERATOR)
            except Conflict:
                pass
            finally:
                databases.db.session.remove()

    threads = [threading.Thread(target=add) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.session().rollback()
    assert len(secrets.of(shop)) == secrets.MOST


def test_a_secret_that_is_given_is_used_as_it_is_and_not_added_twice(app: Flask) -> None:
    shop = register()
    for _ in range(2):
        with database.writing():
            secrets.add(clients.named(shop), by=OPERATOR, given="a secret of the operator's")
    (stored,) = secrets.of(shop)
    assert bearer.matches("a secret of the operator's", stored.digest)
    for wrong in ("tab\t", "ümlaut", "x" * 1001):
        with pytest.raises(Invalid), database.writing():
            secrets.add(clients.named(shop), by=OPERATOR, given=wrong)


def test_only_clients_that_authenticate_with_a_secret_get_one(app: Flask) -> None:
    public = register(ClientSettings({**SHOP, "token_endpoint_auth_method": "none"}))
    with pytest.raises(Conflict), database.writing():
        secrets.add(clients.named(public), by=OPERATOR)


def test_a_secret_is_ended_only_through_its_own_client(app: Flask) -> None:
    shop, other = register(), register(id="other")
    with database.writing():
        minted = secrets.add(clients.named(shop), by=OPERATOR)
    for secret_id in (minted.secret_id, "csec_none"):
        with pytest.raises(NotFound), database.writing():
            secrets.end(clients.named(other), secret_id, by=OPERATOR)
    stored = database.session().get(ClientSecret, minted.secret_id)
    assert stored
    assert stored.ended_at is None


def test_origins_of_scripts_follow_the_registration(app: Flask) -> None:
    here, there = "https://shop.example.com:8443", "https://admin.example.com"
    client_id = register(ClientSettings({**SHOP, "cors_origins": [here]}))
    other = register(ClientSettings({**SHOP, "cors_origins": [there]}), owner=A, id="shop-of-a")
    assert _origins() == {here, there}
    change(client_id, ClientSettings({**SHOP, "cors_origins": [here, there]}))
    change(other, ClientSettings(SHOP))
    assert _origins() == {here, there}
    change(client_id, ClientSettings({**SHOP, "cors_origins": [there]}))
    assert _origins() == {there}
    with database.writing():
        clients.disable(clients.named(client_id), by=OPERATOR)
    assert _origins() == set()
    with database.writing():
        clients.enable(clients.named(client_id), by=OPERATOR)
    assert _origins() == {there}
    with database.writing():
        clients.delete(clients.named(client_id), by=OPERATOR)
    assert _origins() == set()


def _origins() -> set[str]:
    database.session().rollback()
    every = ("https://shop.example.com:8443", "https://admin.example.com", "null", "", "\0")
    return {origin for origin in every if origins.is_registered(origin)}
