"""What tests of sessions share: people, and a browser to be signed in in."""

import pytest
from flask import Flask

from idp.platform import clock, database
from idp.sessions import browsers, people
from idp.sessions.models import Browser
from idp.sessions.people import LiveSession
from idp.sessions.proofs import Proof
from idp.users import users
from idp.users.users import UserSettings
from tests.traces import OPERATOR


@pytest.fixture
def olivia(app: Flask) -> str:
    return made("olivia")


@pytest.fixture
def bob(app: Flask) -> str:
    return made("bob")


def made(username: str) -> str:
    """The id of a new person."""
    with database.writing():
        return users.create(UserSettings(username), by=OPERATOR).id


def new_browser() -> tuple[str, str]:
    """Id and token of a browser that was never seen before."""
    with database.writing():
        browser, token = browsers.begin()
        return browser.id, token


def at(token: str) -> Browser:
    """The browser that carries `token`."""
    database.session().rollback()
    browser = browsers.recognise(token)
    assert browser is not None
    return browser


def sign_in(token: str, user_id: str, *methods: str) -> tuple[LiveSession, str]:
    """Sign somebody in in the browser that carries `token`; the session, and the browser's new token."""
    proofs = [Proof(method, clock.now()) for method in methods or ("password",)]
    with database.writing():
        browser = browsers.recognise(token)
        assert browser is not None
        return people.open_session(browser, user_id, proofs)
