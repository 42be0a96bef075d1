"""Operators: who runs the installation, and as what."""

import pytest
from flask import Flask

from idp.platform import database
from idp.platform.errors import Invalid
from idp.users import operators, users
from idp.users.users import UserSettings
from tests.traces import OPERATOR, events, losses


@pytest.fixture
def olivia(app: Flask) -> str:
    with database.writing():
        return users.create(UserSettings("olivia"), by=OPERATOR).id


def post(user_id: str, role: str) -> None:
    with database.writing():
        operators.add(users.find(user_id), role, by=OPERATOR)


def test_an_operator_is_added_once_and_listed(olivia: str) -> None:
    post(olivia, "admin")
    post(olivia, "admin")
    assert operators.role_of(olivia) == "admin"
    assert [(entry.username, entry.role) for entry in operators.everyone()] == [("olivia", "admin")]
    assert events(olivia) == ["user.created", "operator.added"]
    assert losses() == []


def test_another_role_replaces_the_first_and_what_it_opened_ends(olivia: str) -> None:
    post(olivia, "admin")
    post(olivia, "support")
    assert operators.role_of(olivia) == "support"
    assert events(olivia)[-1] == "operator.changed"
    assert losses() == [("operator", {"act": olivia})]


def test_a_removed_operator_has_nothing_left(olivia: str) -> None:
    post(olivia, "support")
    for _ in range(2):
        with database.writing():
            operators.remove(users.find(olivia), by=OPERATOR)
    assert operators.role_of(olivia) is None
    assert operators.everyone() == []
    assert events(olivia)[-1] == "operator.removed"
    assert losses() == [("operator", {"act": olivia})]


def test_there_are_no_other_instance_roles(olivia: str) -> None:
    with pytest.raises(Invalid):
        post(olivia, "super_admin")
