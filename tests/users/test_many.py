"""People who are made by the many: each as if made alone, all or nobody."""

import pytest
from flask import Flask

from idp.platform import bulk, database
from idp.platform.errors import Conflict, Invalid
from idp.users import addresses, users
from idp.users.users import NewUser, UserSettings
from tests.traces import OPERATOR, events


def make(*wanted: NewUser) -> list[str]:
    with database.writing():
        return users.create_many(wanted, by=OPERATOR)


def test_people_are_made_in_order_each_with_their_own_entries(app: Flask) -> None:
    count = bulk.CHUNK + 2
    ids = make(*(NewUser(UserSettings(f"person{number}"), email=f"p{number}@acme.test") for number in range(count)))
    assert [users.find(one).username for one in (ids[0], ids[-1])] == ["person0", f"person{count - 1}"]
    assert [address.address for address in addresses.of(ids[7])] == ["p7@acme.test"]
    assert addresses.of(ids[7])[0].is_primary == 1
    assert addresses.of(ids[7])[0].verified_at is None
    assert events(ids[7]) == ["user.created", "user.address.added"]


def test_an_id_is_brought_along_and_a_proven_address_is_proven(app: Flask) -> None:
    [olivia] = make(NewUser(UserSettings("olivia", {"given_name": "Olivia"}), "usr_olivia", "o@acme.test", True))
    assert olivia == "usr_olivia"
    assert addresses.of(olivia)[0].verified_at is not None
    assert users.settings_of(users.find(olivia)) == UserSettings("olivia", {"given_name": "Olivia"})


@pytest.mark.parametrize(
    ("second", "refusal"),
    [
        (NewUser(UserSettings("ALICE")), users.UsernameTaken),
        (NewUser(UserSettings("other"), email="A@acme.test"), addresses.AddressTaken),
        (NewUser(UserSettings("other"), id="usr_alice"), Conflict),
        (NewUser(UserSettings("admin")), Invalid),
        (NewUser(UserSettings("other", {"sub": "x"})), Invalid),
    ],
)
@pytest.mark.rule("LOG-10")
def test_nobody_is_made_when_one_cannot_be(app: Flask, second: NewUser, refusal: type[Exception]) -> None:
    alice = NewUser(UserSettings("alice"), "usr_alice", "a@acme.test")
    with pytest.raises(refusal):
        make(alice, second)
    assert users.search() == []
    make(alice)
    with pytest.raises(refusal):
        make(NewUser(UserSettings("first")), second)
    assert [user.username for user in users.search()] == ["alice"]
