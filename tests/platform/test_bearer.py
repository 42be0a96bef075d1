"""Secrets that are handed out once: compared in constant time, whatever a stranger sends (KEY-06)."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.platform import bearer

anything = st.text(st.characters(exclude_categories=()))
"""Any text that can reach Python, lone surrogates and NUL included."""


@pytest.mark.rule("KEY-06")
@given(anything, anything)
def test_any_text_can_be_compared_and_only_the_same_one_matches(one: str, other: str) -> None:
    assert bearer.matches(one, bearer.digest(one))
    assert bearer.matches(one, bearer.digest(other)) == (one == other)


@pytest.mark.rule("KEY-06")
@pytest.mark.parametrize("presented", ["", "pässwört", "\ud800", "\udfff\ud800", "\0", "😀" * 5_000])
def test_strange_text_never_raises(presented: str) -> None:
    assert not bearer.matches(presented, bearer.digest(bearer.mint()))


@pytest.mark.rule("KEY-06")
def test_what_is_compared_has_one_length_and_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        seen.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert not bearer.matches("short", bearer.digest("a much longer secret than that"))
    assert [(len(one), len(other)) for one, other in seen] == [(32, 32)]


def test_secrets_are_long_random_and_recognisable() -> None:
    minted = {bearer.mint("cpy_") for _ in range(100)}
    assert len(minted) == 100
    assert all(secret.startswith("cpy_") and len(secret) >= 47 for secret in minted)
