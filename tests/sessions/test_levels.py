"""Levels: what the proofs of a session amount to, whatever was asked for."""

import pytest

from idp.sessions import levels
from idp.sessions.levels import Level
from idp.sessions.proofs import Proof


@pytest.mark.rule("JWT-12")
@pytest.mark.parametrize(
    ("methods", "level"),
    [
        ((), Level("", ())),
        (("password",), Level("aal1", ("pwd",))),
        (("password", "password"), Level("aal1", ("pwd",))),
        (("carrier_pigeon",), Level("", ())),
        (("carrier_pigeon", "password"), Level("aal1", ("pwd",))),
    ],
)
def test_a_level_is_what_was_proven(methods: tuple[str, ...], level: Level) -> None:
    assert levels.of(Proof(method, 0) for method in methods) == level


@pytest.mark.parametrize(
    ("acr", "wanted", "is_met"),
    [
        ("aal1", "aal1", True),
        ("", "aal1", False),
        ("aal1", "aal2", False),
        ("aal1", "phr", False),
        ("aal1", "gold", False),
        ("gold", "aal1", False),
        ("aal1", "", False),
    ],
)
def test_a_level_is_met_by_itself_and_by_stronger_ones(acr: str, wanted: str, is_met: bool) -> None:
    assert levels.meets(acr, wanted) == is_met
