"""The failure table of the change feed, row by row: never open, and never a good token refused for long."""

import threading
import time

import pytest

from idp_verifier import Clocks, InvalidToken, Superseded, Unavailable, Verifier
from tests.verifier.conftest import Make
from tests.verifier.provider import NOW, FakeClock, FakeProvider

CHANGES, INTROSPECT, JWKS = "/oauth2/changes", "/oauth2/introspect", "/.well-known/jwks.json"


# start, restart, 410


def test_before_the_first_read_tokens_are_introspected(make: Make, provider: FakeProvider) -> None:
    verifier, good, gone = make(), provider.token(), provider.token()
    provider.inactive.add(gone)
    assert verifier.verify(good).subject == "usr_alice"
    with pytest.raises(InvalidToken):
        verifier.verify(gone)
    assert provider.count(INTROSPECT) == 2


def test_after_the_first_read_nobody_is_asked(verifier: Verifier, provider: FakeProvider) -> None:
    for _ in range(5):
        verifier.verify(provider.token())
    assert (provider.count(INTROSPECT), provider.count(CHANGES), provider.count(JWKS)) == (0, 1, 1)


def test_the_first_read_is_of_the_whole_window_page_by_page(make: Make, provider: FakeProvider) -> None:
    provider.page = 3
    old = provider.token()
    for number in range(10):
        provider.lose(sub=f"usr_{number}")
    provider.lose(sub="usr_alice")
    verifier = make(instance="payments-1")
    assert verifier.poll()
    with pytest.raises(Superseded):
        verifier.verify(old)
    queries = [asked.query for asked in provider.asked if asked.path == CHANGES]
    assert queries == [{"instance": "payments-1"}] + [
        {"instance": "payments-1", "since": str(since)} for since in (1_003, 1_006, 1_009)
    ]


def test_a_window_that_is_read_in_part_is_no_answer(make: Make, provider: FakeProvider) -> None:
    provider.page = 1
    old = provider.token()
    for number in range(3):
        provider.lose(sub=f"usr_{number}")
    verifier = make()

    def then_fail() -> None:
        if provider.count(CHANGES) == 2:
            provider.failing[CHANGES] = 503

    provider.before[CHANGES] = then_fail
    assert not verifier.poll()
    verifier.verify(old)
    assert provider.count(INTROSPECT) == 1


def test_after_410_all_is_forgotten_and_the_window_read(verifier: Verifier, provider: FakeProvider) -> None:
    verifier.verify(provider.token(sub="usr_bob"))
    old = provider.token()
    provider.floor = provider.lose(sub="usr_somebody")
    provider.lose(sub="usr_alice")
    verifier.poll()
    queries = [asked.query.get("since") for asked in provider.asked if asked.path == CHANGES]
    assert queries == [None, "1000", None]
    with pytest.raises(Superseded):
        verifier.verify(old)
    verifier.verify(provider.token())
    assert provider.count(JWKS) == 2, "a key may have been withdrawn without our hearing of it"


# offline an hour


def test_after_three_seconds_without_the_feed_tokens_are_introspected(
    verifier: Verifier, provider: FakeProvider, clock: FakeClock
) -> None:
    provider.failing[CHANGES] = 503
    clock.seconds += 3
    assert not verifier.poll()
    verifier.verify(provider.token())
    assert provider.count(INTROSPECT) == 0
    clock.seconds += 0.1
    gone = provider.token()
    provider.inactive.add(gone)
    with pytest.raises(InvalidToken):
        verifier.verify(gone)


def test_back_after_an_hour_nothing_was_missed(verifier: Verifier, provider: FakeProvider, clock: FakeClock) -> None:
    old, later = provider.token(), NOW + 3_900
    provider.failing[CHANGES] = 503
    for _ in range(3_600):
        provider.lose(sub="usr_somebody")
    provider.floor = provider.head - 100
    middle = provider.token(azv=provider.head - 50, exp=later)
    provider.lose(sub="usr_alice")
    clock.seconds, clock.wall = clock.seconds + 3_600, clock.wall + 3_600
    verifier.verify(provider.token(exp=later))
    assert provider.count(INTROSPECT) == 1
    del provider.failing[CHANGES]
    assert verifier.poll()
    with pytest.raises(Superseded):
        verifier.verify(middle)
    with pytest.raises(InvalidToken, match="expired"):
        verifier.verify(old)
    verifier.verify(provider.token(exp=later))
    assert provider.count(INTROSPECT) == 1


# introspection


def test_one_call_a_token_is_in_flight_and_its_answer_kept_for_two_seconds(
    make: Make, provider: FakeProvider, clock: FakeClock
) -> None:
    verifier, token = make(), provider.token()
    verifier.verify(provider.token())  # so that the keys are known
    arrived, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        arrived.set()
        may_go.wait(5)

    provider.before[INTROSPECT] = hold
    callers = [threading.Thread(target=verifier.verify, args=(token,)) for _ in range(8)]
    for caller in callers:
        caller.start()
    assert arrived.wait(5)
    time.sleep(0.1)
    may_go.set()
    for caller in callers:
        caller.join()
    assert provider.count(INTROSPECT) == 2
    provider.inactive.add(token)
    clock.seconds += 2
    verifier.verify(token)
    clock.seconds += 0.01
    with pytest.raises(InvalidToken):
        verifier.verify(token)


@pytest.mark.parametrize("status", [503, 401, 404, 302, 429])
def test_when_introspection_fails_too_nobody_is_let_in_and_nobody_sent_away(
    make: Make, provider: FakeProvider, status: int
) -> None:
    verifier = make()
    provider.failing = {INTROSPECT: status, CHANGES: 503}
    with pytest.raises(Unavailable) as refused:
        verifier.verify(provider.token())
    assert refused.value.status == 503
    assert refused.value.headers() == {"Cache-Control": "no-store", "Retry-After": "1"}


def test_a_provider_that_is_gone_is_asked_once_a_second(make: Make, provider: FakeProvider, clock: FakeClock) -> None:
    verifier = make()
    verifier.verify(provider.token())
    provider.failing[INTROSPECT] = 503
    for _ in range(10):
        with pytest.raises(Unavailable):
            verifier.verify(provider.token())
    assert provider.count(INTROSPECT) == 2
    provider.failing.clear()
    clock.seconds += 1
    verifier.verify(provider.token())


def test_a_provider_that_does_not_listen_any_more_is_no_yes(
    verifier: Verifier, provider: FakeProvider, clock: FakeClock
) -> None:
    token = provider.token()
    verifier.verify(token)
    port = provider.stop()
    clock.seconds += 3.1
    assert not verifier.poll()
    with pytest.raises(Unavailable):
        verifier.verify(token)
    provider.start(port)
    assert verifier.poll()
    verifier.verify(token)


def test_reading_may_go_on_for_as_long_as_the_operator_chose(
    make: Make, provider: FakeProvider, clock: FakeClock
) -> None:
    verifier = make(reads_for=60)
    superseded = provider.token(sub="usr_bob")
    provider.lose(sub="usr_bob")
    assert verifier.poll()
    token = provider.token()
    verifier.verify(token)
    provider.failing = {INTROSPECT: 503, CHANGES: 503}
    clock.seconds += 59
    verifier.verify(token, reads=True)
    with pytest.raises(Superseded):
        verifier.verify(superseded, reads=True)
    with pytest.raises(Unavailable):
        verifier.verify(token)
    with pytest.raises(Unavailable):
        verifier.verify(provider.token(azv=provider.head + 1), reads=True)
    clock.seconds += 2
    with pytest.raises(Unavailable):
        verifier.verify(token, reads=True)


def test_without_that_choice_reading_stops_too(verifier: Verifier, provider: FakeProvider, clock: FakeClock) -> None:
    token = provider.token()
    verifier.verify(token)
    provider.failing = {INTROSPECT: 503, CHANGES: 503}
    clock.seconds += 3.1
    with pytest.raises(Unavailable):
        verifier.verify(token, reads=True)


def test_even_then_nothing_goes_on_that_was_never_known(make: Make, provider: FakeProvider) -> None:
    verifier = make(reads_for=60)
    provider.failing = {INTROSPECT: 503, CHANGES: 503}
    with pytest.raises(Unavailable):
        verifier.verify(provider.token(), reads=True)


# a node that lost its database, or was paused


def test_what_a_node_knew_long_ago_is_as_old_as_it_says(make: Make, provider: FakeProvider, clock: FakeClock) -> None:
    verifier = make()
    provider.age_ms = 900
    assert verifier.poll()
    clock.seconds += 2.05
    verifier.verify(provider.token())
    assert provider.count(INTROSPECT) == 0
    clock.seconds += 0.1
    verifier.verify(provider.token())
    assert provider.count(INTROSPECT) == 1


def test_an_answer_that_took_long_is_as_old_as_its_request(
    make: Make, provider: FakeProvider, clock: FakeClock
) -> None:
    verifier = make()

    def pause() -> None:
        clock.seconds += 3.5

    provider.before[CHANGES] = pause
    assert verifier.poll()
    verifier.verify(provider.token())
    assert provider.count(INTROSPECT) == 1


def test_when_a_node_answers_503_the_next_one_is_asked(make: Make, provider: FakeProvider) -> None:
    lost = FakeProvider(failing={CHANGES: 503})
    lost.start()
    try:
        verifier = make(addresses=[lost.issuer, provider.issuer])
        assert verifier.poll()
        assert verifier.poll()
        assert (lost.count(CHANGES), provider.count(CHANGES)) == (1, 2)
        verifier.verify(provider.token())
        assert provider.count(INTROSPECT) == 0
    finally:
        lost.stop()


# over 100,000 entries


def test_past_its_bound_a_verifier_counts_as_stale_until_the_window_fits(
    make: Make, provider: FakeProvider, clock: FakeClock
) -> None:
    verifier = make(most=50)
    verifier.poll()
    for number in range(51):
        provider.lose(sub=f"usr_{number}")
    verifier.poll()
    verifier.verify(provider.token())
    assert provider.count(INTROSPECT) == 1
    old = provider.token(azv=provider.head - 1)
    provider.entries = [(provider.head, {"org_id": "org_a"})]  # folded
    verifier.poll()
    assert provider.count(CHANGES) == 2, "it leaves the provider in peace for a while"
    clock.seconds += 10
    assert verifier.poll()
    with pytest.raises(Superseded):
        verifier.verify(old)
    verifier.verify(provider.token())
    assert provider.count(INTROSPECT) == 1


def test_what_the_provider_keeps_fits(make: Make, provider: FakeProvider, clock: FakeClock) -> None:
    verifier = make(most=50)
    for number in range(50):
        provider.lose(org_id=f"org_{number}", role="developer")
    assert verifier.poll()
    clock.seconds += 61  # now it lets go of what is too old, and counts again
    provider.lose(org_id="org_49", role="developer")
    assert verifier.poll()
    verifier.verify(provider.token())
    assert provider.count(INTROSPECT) == 0


def test_entries_below_the_floor_are_let_go_before_that(make: Make, provider: FakeProvider) -> None:
    verifier = make(most=50)
    for number in range(50):
        provider.lose(sub=f"usr_{number}")
    assert verifier.poll()
    provider.floor = provider.head
    for number in range(50):
        provider.lose(sub=f"usr_{number + 50}")
    assert verifier.poll()
    verifier.verify(provider.token())
    assert provider.count(INTROSPECT) == 0


# clocks


def test_time_asleep_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a machine knew before it was suspended is no answer when it wakes."""
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: 86_400.0}.__getitem__)
    assert Clocks().monotonic() == 86_400.0


@pytest.mark.parametrize("ahead", [-3_600, -60, 4])
def test_a_clock_that_is_wrong_matters_for_expiry_alone(
    verifier: Verifier, provider: FakeProvider, clock: FakeClock, ahead: int
) -> None:
    old, fresh = provider.token(sub="usr_bob"), provider.token(exp=int(clock.wall))
    provider.lose(sub="usr_bob")
    clock.wall += ahead
    verifier.poll()
    with pytest.raises(Superseded):
        verifier.verify(old)
    verifier.verify(fresh)


def test_five_seconds_after_its_end_a_token_has_expired(
    verifier: Verifier, provider: FakeProvider, clock: FakeClock
) -> None:
    token = provider.token(exp=int(clock.wall))
    clock.wall += 5
    with pytest.raises(InvalidToken, match="expired"):
        verifier.verify(token)


def test_a_token_from_before_the_window_is_superseded_whatever_the_clocks_say(
    make: Make, provider: FakeProvider, clock: FakeClock
) -> None:
    """Our clock was set back, or a node was paused between asking for the roles and signing: its loss is let go."""
    followed, old = make(), provider.token()
    assert followed.poll()
    provider.lose(sub="usr_alice")
    provider.floor = provider.lose(sub="usr_bob")
    provider.entries.clear()
    clock.seconds += 61
    for verifier in (followed, make()):
        assert verifier.poll()
        with pytest.raises(Superseded):
            verifier.verify(old)
        verifier.verify(provider.token())
    assert provider.count(INTROSPECT) == 0


# answers that are none


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"head": 1_000, "floor": 1_000, "age_ms": 0, "changes": [], "more": "no"},
        {"head": "1000", "floor": 1_000, "age_ms": 0, "changes": [], "more": False},
        {"head": 1_000, "floor": 1_000, "age_ms": -5_000, "changes": [], "more": False},
        {"head": 1_001, "floor": 1_000, "age_ms": 0, "changes": [{"p": 1_001}], "more": False},
        {"head": 1_001, "floor": 1_000, "age_ms": 0, "changes": ["all"], "more": False},
    ],
)
def test_an_answer_that_means_nothing_is_none(
    make: Make, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, answer: dict[str, object]
) -> None:
    monkeypatch.setattr(provider, "_changes", lambda query: (200, answer))
    verifier = make()
    assert not verifier.poll()
    verifier.verify(provider.token())
    assert provider.count(INTROSPECT) == 1


def test_an_answer_that_leads_nowhere_is_none(
    make: Make, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = {"head": 1_002, "floor": 1_000, "age_ms": 0, "changes": [{"p": 1_001, "match": {"sid": "s"}}], "more": True}
    monkeypatch.setattr(provider, "_changes", lambda query: (200 if provider.count(CHANGES) < 50 else 503, page))
    assert not make().poll()
    assert provider.count(CHANGES) == 2
