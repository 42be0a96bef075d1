"""What an organization demands of everyone who enters it."""

from typing import Any

import pytest
from flask import Flask

from idp.organizations import policies
from idp.organizations.policies import PolicySettings
from idp.platform.errors import Forbidden, Invalid
from tests.organizations.actors import ACME, ADAM, BIRCH, BORIS, DAN, IRIS, MIA, NICK, ZOE, act, refused
from tests.traces import entries, losses


def test_who_says_nothing_has_the_defaults(acme: Flask) -> None:
    assert policies.of(ACME) == PolicySettings()


def test_a_policy_is_what_was_said_last(acme: Flask) -> None:
    wanted = PolicySettings("required", "phr", "sso_only", ("passkey", "sso"), 600, 3_600, False, 48 * 3_600)
    assert act(policies.change, ACME, wanted, by=ADAM)
    assert not act(policies.change, ACME, wanted, by=ADAM)
    assert policies.of(ACME) == wanted
    assert policies.of(BIRCH) == PolicySettings()
    assert act(policies.change, ACME, PolicySettings(), by=ADAM)
    assert policies.of(ACME) == PolicySettings()
    told = [entry for entry in entries(ACME) if entry.event == "organization.policy.changed"]
    assert len(told) == 2
    assert '"mfa":"required"' in str(told[0].after_json).replace(" ", "")
    assert losses() == []


def test_nobody_else_changes_the_policy(acme: Flask) -> None:
    for by in (DAN, IRIS, MIA, NICK, ZOE, BORIS):
        with refused(Forbidden):
            policies.change(ACME, PolicySettings(mfa="off"), by=by)


@pytest.mark.parametrize(
    "wanted",
    [
        {"mfa": "required", "methods": ("password",)},
        {"mfa": "required", "methods": ("password", "sso")},
        {"mfa": "required", "methods": ("totp", "recovery_code")},
        {"privileged": "aal2", "methods": ("password",)},
        {"privileged": "phr", "methods": ("password", "totp")},
    ],
)
def test_nothing_is_demanded_that_nobody_could_prove(acme: Flask, wanted: dict[str, Any]) -> None:
    with refused(Invalid):
        policies.change(ACME, PolicySettings(**wanted), by=ADAM)
    assert act(policies.change, ACME, PolicySettings(**wanted | {"methods": ("passkey",)}), by=ADAM)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mfa": "maybe"},
        {"privileged": "aal3"},
        {"guests": ""},
        {"methods": ()},
        {"methods": ("password", "carrier_pigeon")},
        {"session_idle": 59},
        {"session_idle": 28_801},
        {"session_max": 28_799},
        {"session_max": 86_401},
        {"trusted_devices": 1},
        {"trusted_devices": "no"},
        {"cooling_off": -1},
        {"cooling_off": 48 * 3_600 + 1},
        {"cooling_off": True},
    ],
)
def test_what_cannot_be_demanded_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Invalid) as refusal:
        PolicySettings(**wrong)  # type: ignore[arg-type]
    assert refusal.value.field in wrong
