"""Stepping up: what was proven recently and strongly enough to change what somebody proves themselves with."""

import pytest
from flask import Flask

from idp.login import stepping_up
from idp.platform import clock
from idp.sessions.people import LiveSession
from idp.sessions.proofs import Proof
from tests.login.conftest import made
from tests.phones import codes_of
from tests.proving import set_up

NOW, JUST_NOW, BEFORE = 0, 4 * clock.MINUTE, 6 * clock.MINUTE
"""Ages of proofs."""


def session(user_id: str, *proofs: tuple[str, int]) -> LiveSession:
    """A session with proofs of these methods and ages."""
    now = clock.now()
    given = tuple(Proof(method, now - age) for method, age in proofs)
    return LiveSession("ses_1", "brw_1", user_id, now, now, 0, given)


def somebody(*kinds: str) -> str:
    user_id = made("-".join(["somebody", *kinds]))
    for kind in kinds:
        set_up(user_id, kind)
    codes_of(user_id)
    return user_id


@pytest.mark.rule("TOT-08")
@pytest.mark.parametrize(
    ("kinds", "proofs", "is_recent"),
    [
        ((), [("password", NOW)], True),
        ((), [("password", JUST_NOW)], True),
        ((), [("password", BEFORE)], False),
        ((), [("password", BEFORE), ("device", NOW)], False),
        (("totp",), [("password", NOW)], False),
        (("totp",), [("password", NOW), ("device", NOW)], False),
        (("totp",), [("password", BEFORE), ("totp", JUST_NOW)], True),
        (("totp",), [("password", BEFORE), ("recovery_code", NOW)], True),
        (("totp",), [("password", NOW), ("totp", BEFORE)], False),
        (("totp",), [("password", BEFORE), ("totp", BEFORE)], False),
        (("totp",), [("totp", NOW)], False),
        (("passkey",), [("passkey", JUST_NOW)], True),
        (("passkey",), [("passkey", BEFORE)], False),
        (("passkey",), [("password", NOW), ("recovery_code", NOW)], False),
        (("passkey", "totp"), [("password", NOW), ("totp", NOW)], False),
        (("passkey", "totp"), [("passkey", BEFORE), ("password", NOW), ("totp", NOW)], False),
        (("passkey", "totp"), [("passkey", NOW)], True),
    ],
)
def test_what_is_recent(app: Flask, kinds: tuple[str, ...], proofs: list[tuple[str, int]], is_recent: bool) -> None:
    assert stepping_up.is_recent(session(somebody(*kinds), *proofs)) is is_recent


@pytest.mark.parametrize(
    ("proofs", "fresh"),
    [
        ([("password", BEFORE)], False),
        ([("password", NOW)], False),
        ([("passkey", BEFORE)], False),
        ([("passkey", BEFORE), ("totp", NOW)], True),
    ],
)
def test_only_what_is_missing_is_asked_unless_that_would_ask_for_nothing(
    app: Flask, proofs: list[tuple[str, int]], fresh: bool
) -> None:
    user_id = somebody("passkey", "totp")
    asked = stepping_up.demand(session(user_id, *proofs))
    assert (asked.person, asked.least, asked.max_age, asked.fresh) == (user_id, "phr", stepping_up.RECENT, fresh)
    assert not asked.spares


def test_a_password_beside_a_passkey_makes_nobody_stronger(app: Flask) -> None:
    assert stepping_up.highest(made("keyless")) == "aal1"
    assert stepping_up.highest(made("nell", password=False)) == ""
    assert stepping_up.highest(somebody("passkey")) == stepping_up.highest(somebody("passkey", "totp")) == "phr"
