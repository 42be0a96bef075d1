"""What entries of the change feed hit: every superseded token, and no fresh one."""

import os
import re
import threading
import time
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idp_verifier import Clocks, Superseded, Verifier
from idp_verifier.follower import Follower
from idp_verifier.snapshot import Entry, Snapshot
from idp_verifier.tokens import Token
from tests.verifier.conftest import Make
from tests.verifier.provider import API, CLIENT, SECRET, FakeClock, FakeProvider

CHANGES, INTROSPECT = "/oauth2/changes", "/oauth2/introspect"

SEVERAL = {
    "org_id": "org_a",
    "account_id": None,
    "authorization_details": [
        {"type": "account_access", "account_id": "acct_1", "roles": ["developer"]},
        {"type": "account_access", "account_id": "acct_2", "roles": ["view_only"]},
    ],
}


@pytest.mark.parametrize(
    ("match", "claims"),
    [
        ({"sub": "usr_alice", "org_id": "org_a"}, {}),
        ({"sub": "usr_alice", "org_id": "org_a", "account_id": "acct_1"}, {"account_id": "acct_1"}),
        ({"sub": "usr_alice"}, {"org_id": None}),
        ({"sid": "ses_1"}, {}),
        ({"sub": "usr_alice", "client_id": "app_shop"}, {}),
        ({"jti": "az_1.x"}, {"jti": "az_1.x"}),
        ({"org_id": "org_a", "role": "developer"}, {"roles": ["view_only", "developer"]}),
        ({"role": "view_only"}, {}),
        ({"org_id": "org_a", "role": "developer"}, {"roles": None}),
        ({"org_id": "org_a", "role": "developer"}, SEVERAL),
        ({"org_id": "org_a", "account_id": "acct_2"}, SEVERAL),
        ({"org_id": "org_a"}, {}),
        ({"client_id": "app_shop"}, {}),
        ({"aud": API}, {}),
        ({"aud": API}, {"aud": ["https://id.example.com", API]}),
        ({"client_id": "app_shop", "org_id": "org_a"}, {}),
        ({"act": "usr_op", "org_id": "org_a"}, {"act": {"sub": "usr_op"}}),
        ({"act": "usr_op"}, {"act": {"sub": "usr_op"}}),
        ({}, {}),
        ({"sub": "usr_alice", "hue": "green"}, {}),
    ],
)
def test_each_loss_refuses_the_tokens_it_is_about_and_newer_ones_pass(
    verifier: Verifier, provider: FakeProvider, match: dict[str, str], claims: dict[str, Any]
) -> None:
    old = provider.token(**claims)
    verifier.verify(old)
    provider.lose(**match)
    assert verifier.poll()
    with pytest.raises(Superseded):
        verifier.verify(old)
    verifier.verify(provider.token(**claims))


@pytest.mark.parametrize(
    ("match", "claims"),
    [
        ({"sub": "usr_bob"}, {}),
        ({"sub": "usr_alice", "org_id": "org_b"}, {}),
        ({"sub": "usr_alice", "org_id": "org_a"}, {"org_id": None}),
        ({"sub": "usr_alice", "org_id": "org_a", "account_id": "acct_1"}, {"account_id": "acct_2"}),
        ({"sub": "usr_alice", "org_id": "org_a", "account_id": "acct_1"}, {}),
        ({"org_id": "org_a", "role": "developer"}, {}),
        ({"org_id": "org_a", "role": "developer"}, {"roles": []}),
        ({"org_id": "org_b", "role": "developer"}, {"roles": None}),
        ({"org_id": "org_a", "account_id": "acct_3"}, SEVERAL),
        ({"aud": "https://refunds.example.com"}, {}),
        ({"act": "usr_alice"}, {}),
        ({"kid": "k9"}, {}),
    ],
)
def test_a_loss_of_others_refuses_nobody(
    verifier: Verifier, provider: FakeProvider, match: dict[str, str], claims: dict[str, Any]
) -> None:
    token = provider.token(**claims)
    provider.lose(**match)
    assert verifier.poll()
    verifier.verify(token)
    assert provider.count(INTROSPECT) == 0


# Hypothesis

_FEW = {
    "sub": ("u1", "u2"),
    "org_id": ("o1", "o2"),
    "account_id": ("a1", "a2"),
    "client_id": ("c1", "c2"),
    "sid": ("s1", "s2"),
    "jti": ("j1", "j2"),
    "act": ("u1", "u2"),
    "role": ("r1", "r2", "r3"),
    "aud": (API, "https://other.example.com"),
}
_match = st.dictionaries(st.sampled_from(sorted(_FEW)), st.integers(0, 9), max_size=3).map(
    lambda drawn: {name: _FEW[name][number % len(_FEW[name])] for name, number in drawn.items()}
)


@st.composite
def _claims(draw: st.DrawFn) -> dict[str, Any]:
    said: dict[str, Any] = {
        name: draw(st.sampled_from((*_FEW[name], None))) for name in ("org_id", "account_id", "client_id", "sid", "jti")
    }
    said["sub"] = draw(st.sampled_from(_FEW["sub"]))
    said["aud"] = draw(st.sampled_from((API, [API], ["https://other.example.com", API])))
    said["roles"] = draw(st.none() | st.lists(st.sampled_from(_FEW["role"]), max_size=3))
    actor = draw(st.sampled_from((None, *_FEW["act"])))
    said["act"] = {"sub": actor} if actor else None
    return {name: value for name, value in said.items() if value is not None}


def agrees(match: dict[str, str], claims: dict[str, Any]) -> bool:
    """The rule, read out word by word."""
    for name, value in match.items():
        if name == "role":
            said = claims.get("roles", [value])
        elif name == "act":
            said = [claims.get("act", {}).get("sub")]
        else:
            said = claims[name] if isinstance(claims.get(name), list) else [claims.get(name)]
        if value not in said:
            return False
    return True


@given(st.lists(st.one_of(_match, _claims().map(lambda claims: ("token", claims))), max_size=30), st.integers(0, 30))
@settings(max_examples=500)
def test_exactly_the_superseded_tokens_are_hit(history: list[Any], floor: int) -> None:
    """`history`: losses and tokens in the order in which they happened; those up to `floor` have left the window."""
    snapshot, losses, issued = Snapshot(), [], []
    for position, event in enumerate(history, start=1):
        if isinstance(event, dict):
            losses.append((position, event))
        else:
            issued.append((losses[-1][0] if losses else 0, event[1]))
    snapshot.take([Entry(position, match) for position, match in losses], len(history), 0)
    snapshot.take([], len(history), floor)
    snapshot.prune()
    for azv, claims in issued:
        superseded = azv < floor or any(azv < position and agrees(match, claims) for position, match in losses)
        assert snapshot.hits(azv, Token("", "", azv, claims).values()) == superseded


@given(st.lists(st.one_of(_match, _claims().map(lambda claims: ("token", claims))), max_size=12), st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_superseded_token_is_refused_and_no_fresh_one(
    provider: FakeProvider, make: Make, history: list[Any], data: st.DataObject
) -> None:
    """The same through the whole verifier, which polls now and then, and once after the last loss."""
    verifier, before = make(), provider.head
    verifier.poll()
    tokens = []
    for event in history:
        if isinstance(event, dict):
            provider.lose(**event)
        else:
            tokens.append((provider.head, event[1], provider.token(**_absent(event[1]))))
        if data.draw(st.booleans()):
            verifier.poll()
    verifier.poll()
    losses = [(position, match) for position, match in provider.entries if position > before]
    for azv, claims, token in tokens:
        if any(azv < position and agrees(match, claims) for position, match in losses):
            with pytest.raises(Superseded):
                verifier.verify(token)
        else:
            verifier.verify(token)


def _absent(claims: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(("org_id", "account_id", "client_id", "sid", "jti", "roles", "act")) | claims


# A token from beyond the head


def test_a_token_from_beyond_our_head_is_worth_a_look(verifier: Verifier, provider: FakeProvider) -> None:
    provider.lose(sub="usr_bob")
    token = provider.token()
    assert verifier.verify(token).subject == "usr_alice"
    asked = [one.query for one in provider.asked if one.path == CHANGES][-1]
    assert (asked["since"], asked["min"]) == ("1000", str(provider.head))
    assert provider.count(INTROSPECT) == 0


def test_it_is_refused_for_what_was_lost_meanwhile(verifier: Verifier, provider: FakeProvider) -> None:
    provider.lose(sub="usr_bob")
    token = provider.token()
    provider.lose(sub="usr_alice")
    with pytest.raises(Superseded):
        verifier.verify(token)


def test_what_nobody_knows_of_is_refused_and_asked_for_ten_times_a_second(
    verifier: Verifier, provider: FakeProvider, clock: FakeClock
) -> None:
    token, began = provider.token(azv=provider.head + 1), clock.seconds
    for _ in range(21):
        with pytest.raises(Exception, match="newer than anything"):
            verifier.verify(token)
    assert clock.seconds - began >= 1.99
    assert provider.count(CHANGES) == 22


def test_many_who_wait_share_their_looks(make: Make, provider: FakeProvider, clock: FakeClock) -> None:
    verifier = make(clocks=Clocks(wall=clock.time))
    verifier.poll()
    provider.lose(sub="usr_bob")
    tokens = [provider.token() for _ in range(16)]
    threads = [threading.Thread(target=verifier.verify, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert provider.count(CHANGES) == 2


def test_when_that_look_fails_the_token_is_introspected(verifier: Verifier, provider: FakeProvider) -> None:
    token = provider.token(azv=provider.head + 1)
    provider.failing[CHANGES] = 503
    verifier.verify(token)
    assert provider.count(INTROSPECT) == 1


def test_after_a_restore_the_tokens_of_before_are_refused(verifier: Verifier, provider: FakeProvider) -> None:
    provider.lose(sub="usr_bob")
    verifier.poll()
    undone = provider.token()
    provider.entries.clear()
    provider.floor, provider.head = 900, 990
    provider.head = provider.lose() + 100_000
    provider.entries = [(provider.head, {})]
    verifier.poll()
    with pytest.raises(Superseded):
        verifier.verify(undone)
    verifier.verify(provider.token())


# In the background


def test_in_the_background_it_follows_twice_a_second(provider: FakeProvider, clock: FakeClock) -> None:
    clocks = Clocks(wall=clock.time)
    with Verifier(provider.issuer, API, client_id=CLIENT, client_secret=SECRET, clocks=clocks) as verifier:
        old = provider.token()
        verifier.verify(old)
        time.sleep(0.3)
        provider.lose(sub="usr_alice")
        lost, refused = time.monotonic(), False
        while not refused and time.monotonic() - lost < 3:
            try:
                verifier.verify(old)
                time.sleep(0.01)
            except Superseded:
                refused = True
        assert refused
        assert time.monotonic() - lost < 1
        polls = provider.count(CHANGES)
        time.sleep(1.3)
        assert 1 <= provider.count(CHANGES) - polls <= 4
    ended = provider.count(CHANGES)
    time.sleep(0.7)
    assert provider.count(CHANGES) == ended
    assert not [thread for thread in threading.enumerate() if thread.name == "canopy change feed"]


def test_nothing_that_goes_wrong_ends_the_following(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good, wrong = Follower.poll, threading.Event()

    def poll(self: Follower, at_least: int = 0) -> bool:
        if not wrong.is_set():
            wrong.set()
            raise RuntimeError("a bug")
        return good(self, at_least)

    monkeypatch.setattr(Follower, "poll", poll)
    with Verifier(provider.issuer, API, client_id=CLIENT, client_secret=SECRET):
        deadline = time.monotonic() + 3
        while not provider.count(CHANGES) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert provider.count(CHANGES) > 0
    assert "following the change feed failed" in caplog.text


@pytest.mark.parametrize("address", ["http://id.example.com", "https://id.example.com/", "ftp://localhost", ""])
def test_secrets_are_sent_over_tls_alone(address: str) -> None:
    with pytest.raises(ValueError, match="https"):
        Verifier(address, API, client_id=CLIENT, client_secret=SECRET)


@pytest.mark.parametrize("name", ["a b", "é", "x" * 65])
def test_instances_have_names_that_the_provider_takes(name: str) -> None:
    with pytest.raises(ValueError, match="instance"):
        Verifier("https://id.example.com", API, client_id=CLIENT, client_secret=SECRET, instance=name)


def test_without_a_name_host_and_process_are_one(
    make: Make, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "a+host." * 20)
    make().poll()
    assert re.fullmatch(rf"[a-z.-]{{50,62}}:{os.getpid()}", provider.asked[-1].query["instance"])
    assert len(provider.asked[-1].query["instance"]) == 64


def test_after_a_fork_the_child_follows_by_itself(provider: FakeProvider, clock: FakeClock) -> None:
    clocks = Clocks(wall=clock.time)
    with Verifier(provider.issuer, API, client_id=CLIENT, client_secret=SECRET, clocks=clocks) as verifier:
        verifier.verify(provider.token())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is the point
            child = os.fork()
        if not child:
            verified = 1
            try:
                verifier.start()
                time.sleep(0.4)
                verifier.verify(provider.token())
                verified = 0
            finally:
                os._exit(verified)
        assert os.waitpid(child, 0)[1] == 0
    names = {asked.query["instance"] for asked in list(provider.asked) if asked.path == CHANGES}
    assert len(names) == 2
