"""Signing in by a passkey: in place of a name, of a password, as a second factor; and setting one up on the way."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask

from idp.audit.trail import Actor
from idp.credentials import factors, guesses, passkeys
from idp.login.demands import Demand
from idp.platform import clock, database
from idp.platform.settings import settings
from idp.sessions import levels
from idp.users import lifecycle, users
from tests.actors import GOOD, Browser, Page, transaction_in
from tests.authenticators import Authenticator, Change, honest
from tests.login.conftest import made
from tests.login.test_sign_in import asked_for, sessions_in
from tests.traces import OPERATOR, entries, events


@pytest.fixture
def device(app: Flask) -> Authenticator:
    return Authenticator(settings().issuer)


def equipped(user_id: str, device: Authenticator) -> str:
    """The id of a new passkey of that person on that device."""
    with database.writing():
        options = passkeys.creation_options(users.find(user_id), "ses_elsewhere")
        answer = device.create(json.loads(json.dumps(options)))
        return passkeys.register(user_id, "ses_elsewhere", answer, "Laptop", by=Actor("user", user_id)).id


def options(browser: Browser, page: Page, at: str = "/login/passkey") -> dict[str, Any]:
    """What the script of the page is given."""
    answer = _fetched(browser, page, at)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def _fetched(browser: Browser, page: Page, at: str = "/login/passkey") -> Any:
    path = f"{at}/options?{urlsplit(page.address).query}"
    token = page.form("credential").fields["csrf_token"]
    return browser.client.post(
        path,
        data={"csrf_token": token},
        headers={"Accept": "application/json", "Origin": settings().issuer},
        environ_overrides={"REMOTE_ADDR": browser.address},
    )


def used(browser: Browser, page: Page, device: Authenticator, change: Change = honest) -> Page:
    """Use the passkey of the device on the page; the page that comes of it."""
    return browser.send(page, "credential", credential=device.get(options(browser, page), change))


def test_a_passkey_signs_in_without_a_name(browser: Browser, olivia: str, device: Authenticator) -> None:
    factor_id = equipped(olivia, device)
    page = used(browser, browser.get("/login"), device)
    assert (page.name, page.heading) == ("me", "Olivia Lund")
    (session,) = sessions_in(browser)
    (proof,) = session.proofs
    assert (session.user_id, proof.method, proof.factor_id, proof.held_in) == (olivia, "passkey", factor_id, "hwk")
    assert levels.of(session.proofs) == levels.Level("phr", ("hwk", "user", "mfa"))
