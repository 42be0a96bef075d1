"""What tests of signing in share: people with passwords, and browsers."""

import pytest
from flask import Flask

from idp.credentials import passwords
from idp.platform import database
from idp.users import users
from idp.users.users import UserSettings
from tests import once
from tests.actors import GOOD, Browser
from tests.traces import OPERATOR

_hash = once.hashed(GOOD)


def made(username: str, *, email: str = "", password: bool = True, id: str = "", **claims: str) -> str:
    """The id of a new person whose password is `GOOD`."""
    with database.writing():
        person = users.create(UserSettings(username, claims), id=id, email=email, verified=True, by=OPERATOR)
        if password:
            passwords.store(person.id, _hash, by=OPERATOR)
        return person.id


@pytest.fixture
def olivia(app: Flask) -> str:
    return made("olivia", email="olivia@northwind.test", given_name="Olivia", family_name="Lund")


@pytest.fixture
def bob(app: Flask) -> str:
    return made("bob")


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def other(app: Flask) -> Browser:
    """Another browser, on another machine."""
    return Browser(app, "198.51.100.9")
