"""Evaluations: the answer of the tokens, as of now, for whoever serves the API that declares the permission."""

import base64
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from idp.oauth import evaluation, subjects
from idp.organizations import accounts, roles
from idp.organizations.roles import Permitted
from idp.platform import database
from tests.oauth.actors import RelyingParty, relying_party
from tests.oauth.holding import said
from tests.oauth.issuing import LEDGER, PAYMENTS, PERMISSIONS, api, client
from tests.organizations.actors import (
    ACME,
    BIRCH,
    BOX,
    DAN,
    DE,
    OSLO,
    ROBOT,
    US,
    VERA,
    ZOE,
    act,
    at,
    give,
    grant_of,
    role,
    take,
    to,
)
from tests.traces import OPERATOR

ONE, ALL = "/access/v1/evaluation", "/access/v1/evaluations"


@pytest.fixture
def payments(acme: Flask) -> RelyingParty:
    """A service that serves an API with permissions."""
    api(permissions=PERMISSIONS)
    return relying_party(acme, "app_payments", serves=[PAYMENTS])


def post(asker: RelyingParty, body: object, path: str = ONE) -> TestResponse:
    credentials = base64.b64encode(f"{asker.id}:{asker.secret}".encode()).decode()
    return asker.app.test_client().post(path, json=body, headers={"Authorization": f"Basic {credentials}"})


def question(who: str, what: str, where: str, *, org_id: str = "", is_role: bool = False) -> dict[str, Any]:
    return {
        "subject": {"type": "client" if who.startswith("app_") else "user", "id": who},
        "action": {"name": what} | ({"properties": {"kind": "role"}} if is_role else {}),
        "resource": {"type": "account" if where.startswith("acct_") else "organization", "id": where}
        | ({"properties": {"org_id": org_id}} if org_id else {}),
    }


def may(asker: RelyingParty, *asked: str, **more: Any) -> bool:
    answer = post(asker, question(*asked, **more))
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    decision: bool = said(answer)["decision"]
    return decision


def test_the_answer_is_that_of_the_roles_of_now(payments: RelyingParty) -> None:
    assert may(payments, VERA.id, "payments.read", DE)
    assert may(payments, VERA.id, "payments.read", ACME)
    assert not may(payments, VERA.id, "refunds.write", DE)
    give(to(VERA, "refund_analyst", at(DE)))
    assert may(payments, VERA.id, "refunds.write", DE)
    assert not may(payments, VERA.id, "refunds.write", US)
    take(grant_of(VERA, "view_only"))
    assert not may(payments, VERA.id, "payments.read", US)
    with database.writing():
        accounts.suspend(ACME, DE, by=OPERATOR)
    assert not may(payments, VERA.id, "refunds.write", DE)


def test_roles_can_be_asked_for_by_their_keys(payments: RelyingParty) -> None:
    assert may(payments, VERA.id, "view_only", DE, is_role=True)
    assert not may(payments, VERA.id, "developer", DE, is_role=True)
    assert not may(payments, VERA.id, "view_only", DE)


def test_clients_are_subjects_too(payments: RelyingParty) -> None:
    assert not may(payments, ROBOT, "payments.read", DE)
    give(to(ROBOT, "developer", at(DE)))
    assert may(payments, ROBOT, "payments.read", DE)
    assert not may(payments, ROBOT, "payments.read", OSLO)


def test_a_person_is_asked_for_by_the_name_that_tokens_call_them(acme: Flask, payments: RelyingParty) -> None:
    relying_party(acme, "app_pairwise", subject_type="pairwise")
    with database.writing():
        name = subjects.of(VERA.id, client("app_pairwise"))
    assert name != VERA.id
    assert may(payments, name, "payments.read", DE)
    assert not may(payments, "sub_nobody", "payments.read", DE)


def test_only_what_the_asking_api_declares_counts(acme: Flask, payments: RelyingParty) -> None:
    api(LEDGER, permissions={"books.read": ("view_only",)})
    assert not may(payments, VERA.id, "books.read", DE)
    both = relying_party(acme, "app_both", serves=[PAYMENTS, LEDGER])
    assert may(both, VERA.id, "books.read", DE)
    assert may(both, VERA.id, "payments.read", DE)


@pytest.mark.parametrize(
    ("who", "where", "org_id"),
    [
        (ZOE.id, DE, ""),
        ("usr_nobody", DE, ""),
        ("app_nobody", DE, ""),
        (DAN.id, OSLO, ""),
        (DAN.id, "acct_nothing", ""),
        (DAN.id, "org_nothing", ""),
        (DAN.id, DE, BIRCH),
    ],
)
def test_who_or_what_is_not_there_is_a_no(payments: RelyingParty, who: str, where: str, org_id: str) -> None:
    assert may(payments, DAN.id, "payments.read", DE, org_id=ACME)
    assert not may(payments, who, "payments.read", where, org_id=org_id)


def test_the_mode_of_the_account_decides(payments: RelyingParty) -> None:
    act(roles.create, ACME, role("x_trial", Permitted("refunds.write", live=False, sandbox=True)))
    give(to(VERA, "x_trial"))
    assert may(payments, VERA.id, "refunds.write", BOX)
    assert not may(payments, VERA.id, "refunds.write", DE)
    assert not may(payments, VERA.id, "refunds.write", ACME)


# Several at once


def test_several_are_answered_in_their_order_with_what_stands_beside_them(payments: RelyingParty) -> None:
    base = question(VERA.id, "payments.read", DE)
    several: list[Any] = [{}, {"action": {"name": "refunds.write"}}, {"resource": {"type": "account", "id": OSLO}}, 7]
    answer = said(post(payments, {**base, "evaluations": several}, ALL))["evaluations"]
    assert [one["decision"] for one in answer] == [True, False, True, False]
    assert answer[3]["context"]["error"]["status"] == 400
    assert said(post(payments, base, ALL)) == {"decision": True}


@pytest.mark.parametrize(
    ("semantic", "decisions"),
    [
        ("execute_all", [True, False, True]),
        ("deny_on_first_deny", [True, False]),
        ("permit_on_first_permit", [True]),
    ],
)
def test_several_end_where_they_are_told_to(payments: RelyingParty, semantic: str, decisions: list[bool]) -> None:
    several = [{}, {"action": {"name": "refunds.write"}}, {}]
    asked = {**question(VERA.id, "payments.read", DE), "evaluations": several}
    answer = said(post(payments, asked | {"options": {"evaluations_semantic": semantic}}, ALL))
    assert [one["decision"] for one in answer["evaluations"]] == decisions


def test_not_too_many_at_once_and_in_no_unknown_way(payments: RelyingParty) -> None:
    base = question(VERA.id, "payments.read", DE)
    for asked in (
        {**base, "evaluations": [{}] * (evaluation.MOST + 1)},
        {**base, "evaluations": {"a": 1}},
        {**base, "evaluations": [{}], "options": {"evaluations_semantic": "at_will"}},
        {**base, "evaluations": [{}], "options": 3},
        [base],
    ):
        answer = post(payments, asked, ALL)
        assert (answer.status_code, said(answer)["error"]) == (400, "invalid_request")


# Who asks, and how


def test_only_apis_ask(acme: Flask, payments: RelyingParty) -> None:
    asked = question(VERA.id, "payments.read", DE)
    for path in (ONE, ALL):
        assert post(relying_party(acme, f"app_{path[-1]}"), asked, path).status_code == 403
        assert post(RelyingParty(acme, payments.id, "wrong"), asked, path).status_code == 401
        assert acme.test_client().post(path, json=asked).status_code == 401
        assert acme.test_client().get(path).status_code == 405


@pytest.mark.parametrize("part", ["subject", "action", "resource"])
@pytest.mark.parametrize("wrong", [None, 1, "x", [], {}, {"type": "planet", "id": "x", "name": 4, "properties": 5}])
def test_what_cannot_be_understood_is_refused(payments: RelyingParty, part: str, wrong: object) -> None:
    answer = post(payments, question(VERA.id, "payments.read", DE) | {part: wrong})
    assert (answer.status_code, said(answer)["error"]) == (400, "invalid_request")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["subject", "action", "type", "id", "evaluations", "properties"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=_JSON)
def test_whatever_is_sent_is_never_a_fault_of_ours(payments: RelyingParty, body: object) -> None:
    for path in (ONE, ALL):
        assert post(payments, body, path).status_code in (200, 400)


def test_a_body_that_is_no_json_is_refused(payments: RelyingParty) -> None:
    credentials = base64.b64encode(f"{payments.id}:{payments.secret}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    for sent in ({"data": {"subject": "x"}}, {"data": "{", "content_type": "application/json"}):
        answer = payments.app.test_client().post(ONE, headers=headers, **sent)
        assert answer.status_code == 400
