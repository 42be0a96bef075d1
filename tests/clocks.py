"""Clocks that stand still: for tests that must not notice how long a busy machine takes over a line."""

from collections.abc import Callable

import pytest

from idp.platform import clock


def stopped(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Stop the clock by which durations are measured; what is returned lets so many seconds pass on it."""
    reads = [clock.monotonic()]
    monkeypatch.setattr(clock, "monotonic", lambda: reads[0])

    def later(seconds: float) -> None:
        reads[0] += seconds

    return later
