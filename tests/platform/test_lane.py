"""The lane: a machine endpoint says the same in front of Flask and inside of it."""

import dataclasses
from typing import Any

import pytest

from idp.platform.calls import Answer, Call
from idp.platform.lane import Endpoint, Lane, as_elsewhere
from tests.platform.sites import PROGRAM, Site

FORM = "application/x-www-form-urlencoded"
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("POST", {"data": "a=1&b=%C3%A9", "content_type": FORM, "query_string": "q=2"}),
    ("POST", {"data": "a=1&a=2", "content_type": FORM}),
    ("POST", {"data": "resource=1&resource=2", "content_type": FORM}),
    ("POST", {"data": "{}", "content_type": "application/json"}),
    ("POST", {"data": "fail=1", "content_type": FORM}),
    ("GET", {}),
    ("HEAD", {}),
    ("OPTIONS", {}),
]


def lane_of(site: Site) -> Lane:
    found: Lane = site.app.extensions["canopy_lane"]
    return found


@pytest.mark.parametrize(("method", "request_"), CALLS)
def test_both_ways_say_the_same(site: Site, method: str, request_: dict[str, Any]) -> None:
    path = "/probe/machine"
    fast = site.client.open(path, method=method, headers=PROGRAM, **request_)
    removed = lane_of(site).endpoints.pop(path)
    slow = site.client.open(path, method=method, headers=PROGRAM, **request_)
    lane_of(site).endpoints[path] = removed
    own = {"X-Request-Id", "Date"}
    assert fast.status_code == slow.status_code
    assert fast.data.replace(fast.headers["X-Request-Id"].encode(), b"") == slow.data.replace(
        slow.headers["X-Request-Id"].encode(), b""
    )
    assert {(n, v) for n, v in fast.headers if n not in own} == {(n, v) for n, v in slow.headers if n not in own}


def test_the_lane_does_without_flask(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def unused(*_: object) -> None:
        raise AssertionError("Flask was asked")

    monkeypatch.setattr(lane_of(site), "behind", unused)
    assert site.client.post("/probe/machine", data="a=1", content_type=FORM).get_json()["form"] == [["a", "1"]]


def test_only_the_very_path_takes_the_lane(site: Site) -> None:
    for path in ("/probe/machine/", "/probe/Machine", "/probe/machine%2F"):
        assert site.client.post(path, data="a=1", content_type=FORM).status_code == 404


def test_a_call_is_a_value_and_parsed_once(site: Site) -> None:
    with site.app.test_request_context(
        "/x?a=1", method="POST", data="b=2", content_type=f"{FORM}; charset=utf-8", headers={"X-Some-Thing": "yes"}
    ) as context:
        call = Call.of(context.request.environ)
    assert (call.method, call.path, call.query, call.header("x-some-thing")) == ("POST", "/x", "a=1", "yes")
    assert call.form is call.form
    assert (call.form.get("b"), call.parameters.get("a")) == ("2", "1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        call.method = "GET"  # type: ignore[misc]


def test_an_answer_in_json_has_no_blanks_and_its_headers() -> None:
    answer = Answer.json({"a": [1, 2]}, 201, Cache_Control="no-cache")
    assert (answer.status, answer.body, answer.headers) == (201, b'{"a":[1,2]}', (("Cache-Control", "no-cache"),))


def test_an_endpoint_may_phrase_its_own_refusals(site: Site) -> None:
    def phrase(refusal: Exception, _: Call) -> Answer:
        return Answer.json({"error": type(refusal).__name__}, 418)

    endpoint = Endpoint(lambda _: Answer.text("x"), ("POST",), phrase)
    with site.app.test_request_context("/x", method="GET") as context:
        told = endpoint(Call.of(context.request.environ))
    assert (told.status, told.body) == (418, b'{"error":"WrongMethod"}')


def test_an_error_in_a_machine_endpoint_shows_only_the_reference(site: Site) -> None:
    def broken(_: Call) -> Answer:
        raise RuntimeError(site.secret)

    endpoint = Endpoint(broken, ("GET",), as_elsewhere)
    with site.app.test_request_context("/oauth2/x") as context:
        told = endpoint(Call.of(context.request.environ))
    assert told.status == 500
    assert site.secret.encode() not in told.body
