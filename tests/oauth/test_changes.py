"""The change feed over HTTP: who may follow it, what is told, never late, and what is kept of followers."""

import base64
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.clients import clients, secrets
from idp.feed import acknowledgements, follower, losses, positions
from idp.feed.follower import Follower
from idp.oauth import subjects
from idp.platform import database
from tests import clocks
from tests.oauth import minting
from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.holding import ask, hold, said
from tests.oauth.issuing import client
from tests.traces import OPERATOR

PAYMENTS = "https://payments.example.com"
PATH = "/oauth2/changes"

Later = Callable[[float], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Lets seconds pass, and nothing else does."""
    return clocks.stopped(monkeypatch)


@pytest.fixture
def reading(app: Flask, later: Later) -> Follower:
    """One that reads when it is told to, and answers for this process."""
    reading = Follower(app)
    follower.appoint(reading)
    _read(reading)
    return reading


@pytest.fixture
def following(app: Flask) -> Iterator[Follower]:
    """One that follows by itself, hardly ever."""
    following = Follower(app, every=60)
    follower.appoint(following)
    following.start()
    yield following
    following.stop()


@pytest.fixture
def payments(app: Flask) -> RelyingParty:
    return relying_party(app, "app_payments", serves=[PAYMENTS])


def _read(reading: Follower) -> None:
    database.session().rollback()
    while reading.read():
        database.session().rollback()


def _take_away(kind: str = "session", **match: str) -> int:
    with database.writing():
        losses.record(kind, **(match or {"sid": "s"}))
    return positions.head()


def poll(api: RelyingParty, query: str = "") -> TestResponse:
    """What the endpoint says to a GET with the client's credentials in the header."""
    credentials = base64.b64encode(f"{api.id}:{api.secret}".encode()).decode()
    return api.app.test_client().get(f"{PATH}?{query}", headers={"Authorization": f"Basic {credentials}"})


def _matches(answer: TestResponse) -> list[tuple[str, dict[str, Any]]]:
    return [(entry["kind"], entry["match"]) for entry in said(answer)["changes"]]


def _write() -> list[tuple[str, int]]:
    if due := acknowledgements.due():
        with database.writing():
            acknowledgements.write(due)
    return [(one.instance, one.position) for one in acknowledgements.of_client("app_payments")]


# Who may follow


def test_only_clients_that_serve_an_api_follow(app: Flask, reading: Follower, payments: RelyingParty) -> None:
    assert poll(payments).status_code == 200
    answer = poll(relying_party(app, "app_shop"))
    assert (answer.status_code, said(answer)["error"]) == (403, "access_denied")
    assert "changes" not in said(answer)


@pytest.mark.rule("CLI-03")
def test_whoever_does_not_prove_to_be_a_client_learns_nothing(
    app: Flask, reading: Follower, payments: RelyingParty
) -> None:
    minting.make_keys()
    public = relying_party(app, "app_public", public=True, serves=[PAYMENTS])
    for answer in (
        app.test_client().get(PATH),
        app.test_client().get(f"{PATH}?client_id=app_public"),
        app.test_client().get(PATH, headers={"Authorization": f"Bearer {hold(payments).access_token()}"}),
        poll(RelyingParty(app, "app_payments", "wrong")),
        ask(app, PATH, public),
    ):
        assert (answer.status_code, said(answer)["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("name", ["client_secret", "client_assertion", "access_token"])
def test_credentials_do_not_stand_in_the_address(reading: Follower, payments: RelyingParty, name: str) -> None:
    assert said(poll(payments, f"{name}=x"))["error"] == "invalid_request"
    assert said(ask(payments.app, f"{PATH}?since=1", payments))["error"] == "invalid_request"


def test_credentials_in_the_body_are_sent_with_a_form(app: Flask, reading: Follower) -> None:
    api = relying_party(app, "app_payments", serves=[PAYMENTS], token_endpoint_auth_method="client_secret_post")
    with database.writing():
        secret = secrets.add(clients.named(api.id), by=OPERATOR).secret
    answer = app.test_client().post(
        PATH, data={"client_id": api.id, "client_secret": secret, "since": positions.head(), "instance": "a"}
    )
    assert (answer.status_code, said(answer)["changes"]) == (200, [])
    assert _write() == [("a", positions.head())]


# What is told


def test_the_whole_window_and_then_what_came_after(reading: Follower, payments: RelyingParty) -> None:
    first, second = _take_away("grant", sub="usr_1", org_id="org_1"), _take_away("session", sid="s")
    _read(reading)
    window = said(poll(payments))
    assert [entry["p"] for entry in window["changes"]][-2:] == [first, second]
    assert (window["head"], window["window_s"], window["more"]) == (second, 420, False)
    assert window["floor"] <= first
    assert 0 <= window["age_ms"] <= 1_000
    assert window["changes"][-2] == {"p": first, "kind": "grant", "match": {"org_id": "org_1", "sub": "usr_1"}}
    later = said(poll(payments, f"since={first}"))
    assert later["changes"] == [{"p": second, "kind": "session", "match": {"sid": "s"}}]
    assert said(poll(payments, f"since={second}"))["changes"] == []


def test_a_thousand_entries_at_a_time(reading: Follower, payments: RelyingParty) -> None:
    begun = said(poll(payments))["head"]
    for batch in range(11):
        with database.writing():
            for number in range(100):
                losses.record("session", sid=f"{batch}-{number}")
    _read(reading)
    first = said(poll(payments, f"since={begun}"))
    assert (len(first["changes"]), first["more"]) == (1_000, True)
    rest = said(poll(payments, f"since={first['changes'][-1]['p']}"))
    assert (len(rest["changes"]), rest["more"]) == (100, False)


def test_withdrawn_keys_are_told(reading: Follower, payments: RelyingParty) -> None:
    begun = positions.head()
    _take_away("key", kid="k-1")
    _read(reading)
    assert _matches(poll(payments, f"since={begun}")) == [("key", {"kid": "k-1"})]


def test_a_person_is_told_by_every_name_that_tokens_call_them(
    app: Flask, reading: Follower, payments: RelyingParty
) -> None:
    relying_party(app, "app_pairwise", subject_type="pairwise")
    user_id = hold(payments).user_id
    with database.writing():
        pairwise = subjects.of(user_id, client("app_pairwise"))
    begun = positions.head()
    _take_away("grant", sub=user_id, org_id="org_1")
    _read(reading)
    told = [match for _, match in _matches(poll(payments, f"since={begun}"))]
    assert sorted(told, key=str) == sorted([{"org_id": "org_1", "sub": name} for name in (user_id, pairwise)], key=str)


def test_answers_are_never_kept(reading: Follower, payments: RelyingParty) -> None:
    answer = poll(payments)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers


def test_a_position_outside_of_what_is_known_has_expired(reading: Follower, payments: RelyingParty) -> None:
    answer = poll(payments, f"since={said(poll(payments))['floor'] - 1}")
    assert (answer.status_code, said(answer)["error"]) == (410, "cursor_expired")
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_position_of_an_undone_history_has_expired(following: Follower, payments: RelyingParty) -> None:
    answer = _awaited(payments, f"since={positions.head() + 1}&instance=a")
    assert answer.status_code == 410
    assert _write() == []


def test_a_token_from_ahead_makes_the_node_read_before_it_answers(following: Follower, payments: RelyingParty) -> None:
    for _ in range(3):
        position = _take_away()
        assert said(_awaited(payments, f"min={position}"))["head"] == position


def _awaited(api: RelyingParty, query: str) -> TestResponse:
    """The answer, once there is one."""
    began = time.monotonic()
    while (answer := poll(api, query)).status_code == 503:
        assert time.monotonic() - began < 30
    return answer


def test_a_node_that_has_lost_sight_of_the_feed_says_so(
    reading: Follower, payments: RelyingParty, later: Later
) -> None:
    later(1.1)
    answer = poll(payments)
    assert (answer.status_code, said(answer)["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"] == "1"


def test_a_process_that_does_not_follow_says_so(payments: RelyingParty) -> None:
    assert poll(payments).status_code == 503


@pytest.mark.parametrize(
    "query",
    ["since=x", "since=-1", "since=1.5", "min=%20", f"min={'9' * 19}", "instance=a%20b", f"instance={'a' * 65}"],
)
def test_what_cannot_be_meant_is_refused(reading: Follower, payments: RelyingParty, query: str) -> None:
    answer = poll(payments, query)
    assert (answer.status_code, said(answer)["error"]) == (400, "invalid_request")


# What is kept of those who follow


def test_asking_for_more_says_what_was_taken_in(reading: Follower, payments: RelyingParty) -> None:
    head = said(poll(payments, "instance=a"))["head"]
    assert _write() == []
    for instance in ("a", "b"):
        poll(payments, f"since={head}&instance={instance}")
    poll(payments, f"since={head}")
    assert _write() == [("a", head), ("b", head)]
