"""What the AuthZEN Authorization API 1.0 demands of a policy decision point, one test a MUST."""

import json
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.calls import basic
from tests.oauth.conftest import acme, settled
from tests.oauth.test_evaluation import PAYMENTS, question
from tests.organizations.actors import DE, VERA, ZOE

ONE, ALL = "/access/v1/evaluation", "/access/v1/evaluations"
ISSUER = "http://localhost:8000"
YES = question(VERA.id, "view_only", DE, is_role=True)
NO = question(ZOE.id, "view_only", DE, is_role=True)

__all__ = ["acme", "settled"]


@pytest.fixture
def service(acme: Flask) -> RelyingParty:
    return relying_party(acme, "app_payments", serves=[PAYMENTS])


def ask(service: RelyingParty, body: object, path: str = ONE, **headers: str) -> TestResponse:
    named = {"Authorization": basic(service.id, service.secret)} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return service.app.test_client().post(path, json=body, headers=named)


def told(answer: TestResponse) -> Any:
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "application/json"
    return json.loads(answer.text)


def test_authzen_5_5_a_decision_is_a_boolean(service: RelyingParty) -> None:
    assert [told(ask(service, asked)) for asked in (YES, NO)] == [{"decision": True}, {"decision": False}]


@pytest.mark.parametrize("missing", ["subject", "action", "resource"])
@pytest.mark.parametrize("path", [ONE, ALL])
def test_authzen_6_1_subject_action_and_resource_are_required(service: RelyingParty, missing: str, path: str) -> None:
    assert ask(service, {name: part for name, part in YES.items() if name != missing}, path).status_code == 400


@pytest.mark.parametrize(("part", "name"), [("subject", "type"), ("subject", "id"), ("resource", "type"),
                                            ("resource", "id"), ("action", "name")])  # fmt: skip
def test_authzen_5_what_identifies_a_part_is_required(service: RelyingParty, part: str, name: str) -> None:
    less = {known: value for known, value in YES[part].items() if known != name}
    assert ask(service, {**YES, part: less}).status_code == 400


def test_authzen_5_4_context_and_names_that_we_do_not_know_are_no_hindrance(service: RelyingParty) -> None:
    asked = {**YES, "context": {"time": "2024-10-26T01:22-07:00", "schema": "x"}, "later": [1]}
    asked["subject"] = {**YES["subject"], "properties": {"department": "Sales"}}
    assert told(ask(service, asked)) == {"decision": True}


def test_authzen_7_1_without_evaluations_the_request_is_a_single_one(service: RelyingParty) -> None:
    assert told(ask(service, YES, ALL)) == told(ask(service, {**YES, "evaluations": []}, ALL)) == {"decision": True}


def test_authzen_7_1_1_what_an_evaluation_says_goes_before_the_defaults(service: RelyingParty) -> None:
    several = [{}, {"subject": NO["subject"]}, {"resource": {"type": "account", "id": "acct_none"}}]
    answers = told(ask(service, {**YES, "evaluations": several}, ALL))["evaluations"]
    assert [one["decision"] for one in answers] == [True, False, False]


@pytest.mark.parametrize(
    ("semantic", "decisions"),
    [
        (None, [True, False, True]),
        ("execute_all", [True, False, True]),
        ("deny_on_first_deny", [True, False]),
        ("permit_on_first_permit", [True]),
    ],
)
def test_authzen_7_1_2_1_several_end_as_it_is_asked(
    service: RelyingParty, semantic: str | None, decisions: list[bool]
) -> None:
    options = {"options": {"evaluations_semantic": semantic}} if semantic else {}
    answers = told(ask(service, {"evaluations": [YES, NO, YES], **options}, ALL))["evaluations"]
    assert [one["decision"] for one in answers] == decisions


def test_authzen_7_2_1_an_evaluation_that_fails_is_told_in_its_place_with_a_denial(service: RelyingParty) -> None:
    first, second = told(ask(service, {"evaluations": [{"subject": YES["subject"]}, YES]}, ALL))["evaluations"]
    assert (first["decision"], first["context"]["error"]["status"]) == (False, 400)
    assert second == {"decision": True}


def test_authzen_9_1_metadata_name_the_decision_point_and_its_endpoints(service: RelyingParty) -> None:
    answer = service.app.test_client().get("/.well-known/authzen-configuration")
    assert told(answer) == {
        "policy_decision_point": ISSUER,
        "access_evaluation_endpoint": f"{ISSUER}{ONE}",
        "access_evaluations_endpoint": f"{ISSUER}{ALL}",
    }


def test_authzen_10_1_requests_are_json_sent_by_post(service: RelyingParty) -> None:
    client, header = service.app.test_client(), {"Authorization": basic(service.id, service.secret)}
    for path in (ONE, ALL):
        assert client.get(path, headers=header).status_code == 405
        for sent in (
            {"data": {"subject": "x"}},
            {"data": json.dumps(YES)},
            {"data": "{", "content_type": "application/json"},
        ):
            assert client.post(path, headers=header, **sent).status_code == 400


def test_authzen_10_1_errors_are_told_by_the_status(service: RelyingParty) -> None:
    stranger, shop = RelyingParty(service.app, "nobody", "x"), relying_party(service.app, "app_shop")
    for path in (ONE, ALL):
        assert [ask(asker, YES, path).status_code for asker in (service, stranger, shop)] == [200, 401, 403]


@pytest.mark.parametrize("path", [ONE, ALL])
def test_authzen_10_1_the_answer_has_the_id_of_the_request(service: RelyingParty, path: str) -> None:
    offered = "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"
    for asked in (YES, "nonsense"):
        answer = ask(service, asked, path, X_Request_ID=offered)
        assert answer.headers.getlist("X-Request-ID") == [offered]
    without = ask(service, YES, path).headers.getlist("X-Request-ID")
    assert len(without) == 1
    assert without != [offered]


def test_an_id_that_is_none_is_not_repeated_and_none_is_taken_over(
    service: RelyingParty, capsys: pytest.CaptureFixture[str]
) -> None:
    for offered in ("with blanks in it", "x" * 201, "caf\u00e9"):
        assert ask(service, YES, X_Request_ID=offered).headers["X-Request-ID"] != offered
    ask(service, YES, X_Request_ID="offered-by-a-stranger")
    assert "offered-by-a-stranger" not in capsys.readouterr().err
