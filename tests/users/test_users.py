"""People: made, found, renamed, described."""

import json
import threading

import pytest
from flask import Flask

from idp.audit.models import EntryDetail
from idp.platform import database
from idp.platform.errors import Conflict, Invalid, NotFound
from idp.users import addresses, users
from idp.users.models import User
from idp.users.users import UserSettings
from tests import databases
from tests.traces import OPERATOR, entries, events


def make(username: str = "", email: str = "", **claims: str) -> User:
    with database.writing():
        return users.create(UserSettings(username, claims), email=email, verified=True, by=OPERATOR)


def test_a_person_is_found_by_id_username_and_address(app: Flask) -> None:
    olivia = make("Olivia", "Olivia@Example.com", given_name="Olivia").id
    for name in (olivia, "olivia", "OLIVIA", "olivia@example.com", "OLIVIA@EXAMPLE.COM"):
        assert users.named(name).id == olivia
    assert users.named("olivia").username == "Olivia"
    assert addresses.of(olivia)[0].address == "Olivia@example.com"
    assert addresses.of(olivia)[0].is_primary == 1
    for name in ("usr_none", "nobody2", "x@example.com", "not a name"):
        with pytest.raises(NotFound):
            users.named(name)


def test_without_a_username_a_person_is_called_by_the_address_or_else_by_the_id(app: Flask) -> None:
    assert make(email="ana@example.com").username == "ana@example.com"
    nameless = make()
    assert nameless.username == nameless.id


@pytest.mark.rule("LOG-10")
def test_two_people_never_share_a_normal_form(app: Flask) -> None:
    make("olivia", "straße@example.com")
    with pytest.raises(users.UsernameTaken):
        make("OLIVIA")
    with pytest.raises(addresses.AddressTaken):
        make("other", "STRASSE@example.com")
    assert users.by_username("other") is None


@pytest.mark.rule("LOG-10")
def test_of_two_who_take_the_same_username_at_once_one_gets_it(app: Flask) -> None:
    outcomes: list[str] = []
    together = threading.Barrier(2)

    def take() -> None:
        with app.app_context():
            together.wait()
            try:
                make("olivia", "olivia@example.com")
                outcomes.append("made")
            except (users.UsernameTaken, addresses.AddressTaken):
                outcomes.append("refused")
            finally:
                databases.db.session.remove()

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made", "refused"]
    assert len(users.search()) == 1


@pytest.mark.rule("LOG-11")
def test_nobody_is_called_like_somebody_elses_address_or_id(app: Flask) -> None:
    olivia = make("olivia", "olivia@example.com").id
    for name in ("olivia@example.com", "OLIVIA@example.com", "unknown@example.com", olivia, "admin"):
        with pytest.raises(Invalid):
            make(name)
    otto = make("otto", "otto@example.com").id
    with pytest.raises(Invalid), database.writing():
        users.reconfigure(users.find(otto), UserSettings("olivia@example.com"), by=OPERATOR)
    assert users.find(otto).username == "otto"


def test_an_id_brought_along_is_kept_and_never_used_twice(app: Flask) -> None:
    with database.writing():
        users.create(UserSettings("olivia"), id="usr_0001", by=OPERATOR)
    with pytest.raises(Conflict), database.writing():
        users.create(UserSettings("otto"), id="usr_0001", by=OPERATOR)
    with pytest.raises(Invalid), database.writing():
        users.create(UserSettings("otto"), id="org_0001", by=OPERATOR)


def test_what_changed_is_recorded_once_and_asking_twice_changes_nothing(app: Flask) -> None:
    olivia = make("olivia", given_name="Olivia", nickname="Liv").id
    wanted = UserSettings("Olivia.O", {"given_name": "Olivia", "family_name": "Ortega"})
    with database.writing():
        assert users.reconfigure(users.find(olivia), wanted, by=OPERATOR)
    with database.writing():
        assert not users.reconfigure(users.find(olivia), wanted, by=OPERATOR)
    assert events(olivia) == ["user.created", "user.changed"]
    changed = entries(olivia)[1]
    assert json.loads(changed.before_json or "")["username"] == "olivia"
    assert json.loads(changed.after_json or "") == {
        "username": "Olivia.O",
        "claims": ["family_name", "given_name"],
        "changed": ["family_name", "nickname"],
    }
    assert users.settings_of(users.find(olivia)) == wanted


def test_a_name_that_another_took_is_refused_and_changes_nothing(app: Flask) -> None:
    make("olivia")
    otto = make("otto", given_name="Otto").id
    with pytest.raises(users.UsernameTaken), database.writing():
        users.reconfigure(users.find(otto), UserSettings("Olivia", {"given_name": "X"}), by=OPERATOR)
    assert users.settings_of(users.find(otto)) == UserSettings("otto", {"given_name": "Otto"})


def test_the_trail_keeps_addresses_and_claims_out_of_what_cannot_be_erased(app: Flask) -> None:
    olivia = make(email="olivia@example.com", given_name="Olivia").id
    kept = [f"{entry.before_json}{entry.after_json}" for entry in entries(olivia)]
    assert kept
    assert not any("example.com" in text or "Olivia" in text for text in kept)
    assert {detail.email for detail in database.session().query(EntryDetail)} == {"olivia@example.com"}


def test_people_are_searched_by_name_and_address_and_listed_in_pages(app: Flask) -> None:
    for name in ("olivia", "otto", "ben_1", "ben21"):
        make(name, f"{name}@mail.example")
    assert [user.username for user in users.search("BEN_")] == ["ben_1"]
    assert len(users.search("mail.example")) == 4
    first = users.search(limit=3)
    rest = users.search(after=first[-1].id)
    assert [user.id for user in first + rest] == sorted(user.id for user in first + rest)
    assert len(first + rest) == 4
    held = addresses.of_all([user.id for user in first])
    assert {address.address for user in first for address in held[user.id]} == {
        f"{user.username}@mail.example" for user in first
    }
