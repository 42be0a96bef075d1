"""Disabled, enabled, deleted; and who may object."""

import threading

import pytest
from flask import Flask
from sqlalchemy import select

from idp.audit.trail import Actor
from idp.platform import database
from idp.platform.errors import Conflict, NotFound
from idp.users import addresses, lifecycle, users
from idp.users.locks import lock
from idp.users.models import Address, User
from idp.users.users import UserSettings
from tests import databases
from tests.traces import OPERATOR, events, losses


@pytest.fixture
def olivia(app: Flask) -> str:
    with database.writing():
        made = users.create(
            UserSettings("olivia", {"given_name": "Olivia"}), email="o@example.com", verified=True, by=OPERATOR
        )
        return made.id


@pytest.fixture
def objecting(monkeypatch: pytest.MonkeyPatch) -> None:
    def object_to(user: User, by: Actor) -> None:
        raise Conflict("still the owner of Northwind")

    monkeypatch.setattr(lifecycle, "_before_disabling", [])
    assert lifecycle.before_disabling(object_to) is object_to


def disable(user_id: str) -> None:
    with database.writing():
        lifecycle.disable(users.find(user_id), by=OPERATOR)


def test_disabling_takes_tokens_away_once_and_enabling_gives_none_back(olivia: str) -> None:
    disable(olivia)
    disable(olivia)
    assert lifecycle.is_disabled(olivia)
    assert losses() == [("membership", {"sub": olivia})]
    for _ in range(2):
        with database.writing():
            lifecycle.enable(users.find(olivia), by=OPERATOR)
    assert not lifecycle.is_disabled(olivia)
    assert events(olivia)[2:] == ["user.disabled", "user.enabled"]
    assert len(losses()) == 1


@pytest.mark.rule("ORG-04")
def test_a_room_above_may_object_to_disabling_and_deleting(olivia: str, objecting: None) -> None:
    with pytest.raises(Conflict, match="owner of Northwind"):
        disable(olivia)
    with pytest.raises(Conflict, match="owner of Northwind"), database.writing():
        lifecycle.delete(users.find(olivia), by=OPERATOR)
    assert not lifecycle.is_disabled(olivia)
    assert users.find(olivia).username == "olivia"
    assert losses() == []


@pytest.mark.rule("ORG-04")
def test_disabling_waits_for_whoever_holds_the_persons_row(olivia: str, app: Flask) -> None:
    order: list[str] = []
    held = threading.Event()

    def hold() -> None:
        with app.app_context():
            with database.writing():
                lock(olivia)
                held.set()
                threading.Event().wait(0.3)
                order.append("transferred")
            databases.db.session.remove()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    disable(olivia)
    order.append("disabled")
    holder.join()
    assert order == ["transferred", "disabled"]


def test_deleting_frees_names_and_addresses_and_leaves_nothing_but_the_id(
    olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(lifecycle, "_before_deleting", [])
    lifecycle.before_deleting(lambda user, by: told.append(user.username))
    for _ in range(2):
        with database.writing():
            user = database.session().get(User, olivia)
            assert user
            lifecycle.delete(user, by=OPERATOR)
    assert told == ["olivia"]
    with pytest.raises(NotFound):
        users.find(olivia)
    assert users.by_username("olivia") is None
    assert addresses.held("o@example.com") is None
    assert users.search() == []
    assert losses() == [("membership", {"sub": olivia})]
    with database.writing():
        again = users.create(UserSettings("olivia"), email="o@example.com", by=OPERATOR)
        assert again.id != olivia
    with pytest.raises(Conflict), database.writing():
        users.create(UserSettings("other"), id=olivia, by=OPERATOR)


def test_no_address_is_left_of_a_deleted_person_neither_held_nor_former(olivia: str) -> None:
    with database.writing():
        for text in ("former@example.com", "left@example.com"):
            addresses.add(users.find(olivia), text, by=OPERATOR)
        addresses.remove(users.find(olivia), addresses.find(olivia, "former@example.com"), by=OPERATOR)
        addresses.find(olivia, "left@example.com").leaves_at = 1
    with database.writing():
        lifecycle.delete(users.find(olivia), by=OPERATOR)
    rows = list(database.session().scalars(select(Address), execution_options={"populate_existing": True}))
    assert [(one.address, one.address_key, one.domain) for one in rows] == [(one.id, one.id, "") for one in rows]
    assert (len(rows), all(one.ended_at for one in rows)) == (3, True)


def test_a_deleted_person_is_not_enabled_again(olivia: str) -> None:
    with database.writing():
        lifecycle.delete(users.find(olivia), by=OPERATOR)
    with pytest.raises(Conflict), database.writing():
        lifecycle.enable(lock(olivia), by=OPERATOR)
    assert lifecycle.is_disabled(olivia)


def test_locking_somebody_who_does_not_exist_is_refused(app: Flask) -> None:
    with pytest.raises(NotFound), database.writing():
        lock("usr_none")
