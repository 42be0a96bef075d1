"""Passkeys as they are meant to work: set up, used by name and without, counted, renamed, removed."""

from typing import Any

import pytest
import time_machine
from flask import Flask

from idp.audit.trail import Actor
from idp.credentials import authenticators, ceremonies, factors, held, passkeys
from idp.credentials.authenticators import NotAccepted
from idp.credentials.models import Factor
from idp.credentials.passkeys import Verified
from idp.platform import clock, database
from idp.platform.settings import settings
from idp.users import users
from idp.users.users import UserSettings
from tests.authenticators import EDDSA, ES256, RS256, Authenticator, Change, honest
from tests.traces import OPERATOR, entries, events

HERE = "txn_here"


def person(username: str) -> str:
    """The id of a new person."""
    with database.writing():
        return users.create(UserSettings(username), by=OPERATOR).id


@pytest.fixture
def olivia(app: Flask) -> str:
    return person("olivia")


@pytest.fixture
def device(app: Flask) -> Authenticator:
    return Authenticator(settings().issuer)


def asked_to_create(user_id: str, bound_to: str = HERE) -> dict[str, Any]:
    """Options as the browser gets them."""
    with database.writing():
        return passkeys.creation_options(users.find(user_id), bound_to)


def asked(purpose: str = "sign_in", bound_to: str = HERE, user_id: str | None = None) -> dict[str, Any]:
    """Options as the browser gets them."""
    with database.writing():
        return passkeys.request_options(purpose, bound_to, user_id)


def set_up(user_id: str, device: Authenticator, name: str = "Laptop", change: Change = honest) -> Factor:
    """A new passkey of that person on that device."""
    options = asked_to_create(user_id)
    with database.writing():
        return passkeys.register(user_id, HERE, device.create(options, change), name, by=Actor("user", user_id))


def given(answer: str, purpose: str = "sign_in", bound_to: str = HERE, user_id: str | None = None) -> Verified:
    """What comes of an answer."""
    with database.writing():
        return passkeys.verify(purpose, bound_to, user_id, answer)


def test_smoke(olivia: str, device: Authenticator) -> None:
    factor = set_up(olivia, device)
    assert given(device.get(asked())) == Verified(olivia, factor.id, "hwk")
