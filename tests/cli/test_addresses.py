"""`idp user address`: operators see everything about addresses of people, and change them on their own word."""

import pytest

from idp.audit.trail import Actor
from idp.login import asking_addresses, changing_addresses
from idp.platform import database
from idp.users import users
from tests.cli.conftest import Idp
from tests.mailboxes import letters

OLD, NEW = "o@example.com", "new@example.com"


@pytest.fixture
def olivia(idp: Idp) -> str:
    return str(idp("user", "create", "olivia", "--email", OLD, "--email-verified").json["id"])


def shown(idp: Idp, *words: str) -> dict[str, tuple[bool, bool, bool]]:
    """Each address: whether it is primary, counts and recovers."""
    return {one["address"]: (one["primary"], one["counts"], one["recovers"]) for one in idp(*words).json}


def test_operators_change_addresses_at_once_and_without_letters(idp: Idp, olivia: str) -> None:
    of = ("user", "address")
    assert shown(idp, *of, "list", "olivia") == {OLD: (True, True, True)}
    for _ in range(2):
        assert shown(idp, *of, "add", "olivia", NEW)[NEW] == (False, False, False)
    assert idp(*of, "primary", "olivia", NEW, status=1).json["error"] == "conflict"
    for _ in range(2):
        assert shown(idp, *of, "verify", "olivia", NEW)[NEW] == (False, True, True)
    assert shown(idp, *of, "primary", NEW, NEW) == {NEW: (True, True, True), OLD: (False, True, True)}
    assert shown(idp, *of, "remove", olivia, OLD) == {NEW: (True, True, True)}
    assert idp(*of, "remove", olivia, OLD, status=1).json["error"] == "not_found"
    assert letters() == []


def test_operators_see_what_people_have_under_way(idp: Idp, olivia: str) -> None:
    by = Actor("user", olivia)
    with database.writing():
        asking_addresses.ask(olivia, NEW, is_change=True, by=by)
    (held, asked) = idp("user", "address", "list", "olivia").json
    assert (held["address"], asked["address"], "asked_at" in asked) == (OLD, NEW, True)
    token = letters(NEW)[0].path.rpartition("/")[2]
    with database.writing():
        changing_addresses.confirm(token)
    (new, old) = idp("user", "address", "list", "olivia").json
    assert (new["address"], new["recovers"], new["recovers_from"] is not None) == (NEW, False, True)
    assert (old["address"], old["recovers"], old["leaves_at"] is not None) == (OLD, True, True)
    assert idp("user", "address", "keep", "olivia", OLD).json[1]["leaves_at"] is None
    assert users.find(olivia).username == "olivia"
