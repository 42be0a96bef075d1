"""Passkeys in Chromium, with authenticators that it plays itself (WebAuthn §11)."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from idp.credentials import passkeys
from idp.platform import database
from tests.actors import GOOD
from tests.flows import people
from tests.flows.browsers import Look, Visitor, accessibility_problems, overflow, press, visitor


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    with visitor(tmp_path_factory.mktemp("passkeys"), people.build) as found:
        yield found


@dataclass
class Plugged:
    """An authenticator that is plugged into the browser of a page."""

    devtools: CDPSession
    id: str

    def credentials(self) -> list[dict[str, Any]]:
        """The passkeys on it."""
        found: list[dict[str, Any]] = self._send("getCredentials")["credentials"]
        return found

    def verifies(self, able: bool) -> None:
        """Whether it recognises its owner from now on."""
        self._send("setUserVerified", isUserVerified=able)

    def set_count(self, count: int) -> None:
        """Let its one passkey say `count` + 1 next."""
        (mine,) = self.credentials()
        self._send("removeCredential", credentialId=mine["credentialId"])
        self._send("addCredential", credential=mine | {"signCount": count})

    def attend(self, there: bool) -> None:
        """Whether somebody touches it when it asks."""
        self._send("setAutomaticPresenceSimulation", enabled=there)

    def _send(self, method: str, **values: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.devtools.send(
            f"WebAuthn.{method}", {"authenticatorId": self.id} | values
        )
        return answer


def plug(page: Page, *, synced: bool = False, transport: str = "internal") -> Plugged:
    """Plug an authenticator in."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable", {"enableUI": False})
    options = {
        "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": transport, "hasResidentKey": True,
        "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
        "defaultBackupEligibility": synced, "defaultBackupState": synced,
    }  # fmt: skip
    added = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return Plugged(devtools, added["authenticatorId"])


def test_smoke(guest: Visitor) -> None:
    with guest.visit("/login") as page:
        plug(page)
        expect(page.locator("#passkey-login")).to_be_visible()
        page.click("#passkey-login")
        expect(page.locator("form[data-passkey] [role=status]")).to_contain_text("No passkey was used")
        page.screenshot(path="/tmp/pk_login.png", full_page=True)
