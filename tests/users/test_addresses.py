"""Addresses: held by one person at a time, proven or not, given on only when released."""

import pytest
from flask import Flask

from idp.platform import database
from idp.platform.errors import Conflict, NotFound
from idp.users import addresses, leaving, users
from idp.users.models import Address
from idp.users.users import UserSettings
from tests.traces import OPERATOR, entries, events


def person(username: str, *emails: str) -> str:
    with database.writing():
        user = users.create(UserSettings(username), by=OPERATOR)
        for email in emails:
            addresses.add(user, email, verified=True, by=OPERATOR)
        return user.id


def always(_: Address) -> bool:
    return True


def never(_: Address) -> bool:
    return False


def held_by(user_id: str) -> dict[str, tuple[bool, bool]]:
    """Address → (primary, verified)."""
    database.session().rollback()
    return {a.address: (bool(a.is_primary), a.verified_at is not None) for a in addresses.of(user_id)}


def test_the_first_address_is_primary_and_adding_again_only_adds_the_proof(app: Flask) -> None:
    olivia = person("olivia")
    for verified in (False, True, False):
        with database.writing():
            addresses.add(users.find(olivia), "Olivia@example.com", verified=verified, by=OPERATOR)
    with database.writing():
        addresses.add(users.find(olivia), "o@example.com", by=OPERATOR)
    assert held_by(olivia) == {"Olivia@example.com": (True, True), "o@example.com": (False, False)}
    assert events(olivia)[1:] == ["user.address.added", "user.address.verified", "user.address.added"]


def test_an_address_that_another_holds_is_refused_until_it_is_removed_there(app: Flask) -> None:
    olivia, otto = person("olivia", "o@example.com"), person("otto")
    with pytest.raises(addresses.AddressTaken), database.writing():
        addresses.add(users.find(otto), "O@EXAMPLE.com", by=OPERATOR)
    with database.writing():
        addresses.remove(users.find(olivia), addresses.find(olivia, "o@example.com"), by=OPERATOR)
    with database.writing():
        addresses.add(users.find(otto), "o@example.com", by=OPERATOR)
    assert held_by(olivia) == {}
    assert held_by(otto) == {"o@example.com": (True, False)}


def test_only_a_verified_address_becomes_primary_and_the_primary_one_goes_last(app: Flask) -> None:
    olivia = person("olivia", "a@example.com", "b@example.com")
    with database.writing():
        addresses.add(users.find(olivia), "c@example.com", by=OPERATOR)
    with pytest.raises(Conflict), database.writing():
        addresses.make_primary(users.find(olivia), addresses.find(olivia, "c@example.com"), by=OPERATOR)
    with pytest.raises(Conflict), database.writing():
        addresses.remove(users.find(olivia), addresses.find(olivia, "a@example.com"), by=OPERATOR)
    for _ in range(2):
        with database.writing():
            addresses.make_primary(users.find(olivia), addresses.find(olivia, "b@example.com"), by=OPERATOR)
    with database.writing():
        addresses.remove(users.find(olivia), addresses.find(olivia, "a@example.com"), by=OPERATOR)
    assert held_by(olivia) == {"b@example.com": (True, True), "c@example.com": (False, False)}
    assert events(olivia).count("user.address.primary") == 1


@pytest.mark.rule("LOG-11")
def test_the_address_that_is_the_username_cannot_be_left_to_others(app: Flask) -> None:
    olivia = person("olivia", "o@example.com")
    with database.writing():
        users.reconfigure(users.find(olivia), UserSettings("o@example.com"), by=OPERATOR)
    with pytest.raises(Conflict), database.writing():
        addresses.remove(users.find(olivia), addresses.find(olivia, "o@example.com"), by=OPERATOR)
    assert held_by(olivia) == {"o@example.com": (True, True)}


def test_an_address_is_found_only_through_its_holder(app: Flask) -> None:
    olivia, otto = person("olivia", "o@example.com"), person("otto")
    address = addresses.find(olivia, "O@example.com")
    assert addresses.find(olivia, address.id) is address
    with pytest.raises(NotFound):
        addresses.find(otto, address.id)


@pytest.mark.rule("LOG-11")
def test_a_released_address_goes_to_another_and_its_holder_stays_under_the_id(app: Flask) -> None:
    olivia, otto = person("olivia", "o@acme.example", "private@example.com", "p2@example.com"), person("otto")
    with database.writing():
        users.reconfigure(users.find(olivia), UserSettings("o@acme.example"), by=OPERATOR)
    with pytest.raises(addresses.AddressTaken), database.writing():
        addresses.give("o@acme.example", users.find(otto), released=never, by=OPERATOR)
    with database.writing():
        addresses.give("O@acme.example", users.find(otto), released=always, by=OPERATOR)
    assert held_by(otto) == {"O@acme.example": (True, True)}
    assert held_by(olivia) == {"private@example.com": (True, True), "p2@example.com": (False, True)}
    assert users.named("o@acme.example").id == otto
    assert users.find(olivia).username == olivia
    assert users.by_username("o@acme.example") is None
    assert events(olivia)[-1] == "user.address.removed"
    assert entries(otto)[-1].event == "user.address.added"


@pytest.mark.parametrize(("other", "next_one"), [("verified", "c@example.com"), ("unverified", "b@example.com")])
def test_whose_primary_address_is_given_away_keeps_one_for_good(app: Flask, other: str, next_one: str) -> None:
    olivia, otto = person("olivia", "o@acme.example", "b@example.com"), person("otto")
    with database.writing():
        addresses.add(users.find(olivia), "c@example.com", verified=other == "verified", by=OPERATOR)
        leaving.let_go(addresses.find(olivia, "b@example.com"), by=OPERATOR)
        addresses.give("o@acme.example", users.find(otto), released=always, by=OPERATOR)
    first = addresses.of(olivia)[0]
    assert events(olivia).count("user.address.kept") == (other == "unverified")
    assert (first.address, bool(first.is_primary), first.leaves_at) == (next_one, True, None)


def test_giving_a_free_or_an_own_address_needs_no_release(app: Flask) -> None:
    otto = person("otto", "o@example.com")
    for text in ("o@example.com", "new@example.com"):
        with database.writing():
            addresses.give(text, users.find(otto), released=never, by=OPERATOR)
    assert held_by(otto) == {"o@example.com": (True, True), "new@example.com": (False, True)}
