"""A provider that listens, a clock that goes where it is sent, and a verifier that is polled by hand."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from idp_verifier import Clocks, Verifier
from idp_verifier.follower import Follower
from tests.verifier.provider import API, CLIENT, SECRET, FakeClock, FakeProvider

Make = Callable[..., Verifier]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    provider = FakeProvider()
    provider.start()
    yield provider
    provider.stop()


@pytest.fixture
def make(provider: FakeProvider, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes verifiers that follow the feed only when told to (`poll`)."""
    monkeypatch.setattr(Follower, "start", lambda self: None)
    made: list[Verifier] = []

    def make(**given: Any) -> Verifier:
        clocks = Clocks(clock.monotonic, clock.time, clock.sleep)
        asked: dict[str, Any] = {"client_id": CLIENT, "client_secret": SECRET, "clocks": clocks} | given
        made.append(Verifier(provider.issuer, API, **asked))
        return made[-1]

    yield make
    for verifier in made:
        verifier.close()


@pytest.fixture
def verifier(make: Make) -> Verifier:
    """Follows the feed, and has read it."""
    verifier = make()
    assert verifier.poll()
    return verifier
