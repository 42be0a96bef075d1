"""The payments API beside a provider of the tests: who is let in where, and what then happens to the money."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from examples.payments import ledgers
from examples.payments.app import LONGEST_BODY, create_app
from examples.payments.orders import MOST
from idp_verifier import Verifier
from tests.architecture.tree import ROOT
from tests.verifier.provider import API, CLIENT, SECRET, FakeClock, FakeProvider

DE, US, BOX, OSLO = "acct_northwind_eu", "acct_northwind_us", "acct_northwind_sandbox", "acct_oslo"
ORGANIZATIONS = {DE: "org_a", US: "org_a", BOX: "org_a", OSLO: "org_b"}

ROUTES = {
    ("GET", "/balance"): "balance.read",
    ("GET", "/payments"): "payments.read",
    ("GET", "/charges"): "payments.read",
    ("POST", "/charges"): "payments.write",
    ("POST", "/refunds"): "refunds.write",
    ("GET", "/payouts"): "payouts.read",
    ("POST", "/payouts"): "payouts.write",
}
EVERYTHING = sorted(set(ROUTES.values()))
CHARGE = {"amount": 1999, "currency": "eur", "description": "Rake"}


@dataclass(frozen=True)
class Caller:
    """Somebody with a token."""

    api: FlaskClient
    token: str

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.api.get(path, headers=self._headers(headers))

    def post(self, path: str, body: object = None, **headers: str) -> TestResponse:
        return self.api.post(path, json=body, headers=self._headers(headers))

    def send(self, path: str, raw: bytes, media_type: str = "application/json") -> TestResponse:
        return self.api.post(path, data=raw, content_type=media_type, headers=self._headers({}))

    def charged(self, **order: Any) -> str:
        """The id of a new charge."""
        return str(self.post("/charges", CHARGE | order).get_json()["id"])

    def balance(self, **headers: str) -> dict[str, int]:
        return {line["currency"]: line["amount"] for line in self.get("/balance", **headers).get_json()["available"]}

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} | {
            name.replace("_", "-"): value for name, value in more.items()
        }


As = Callable[..., Caller]


@pytest.fixture
def api(verifier: Verifier, provider: FakeProvider) -> FlaskClient:
    provider.accounts = {
        id: {"account_id": id, "org_id": organization, "livemode": id != BOX, "status": "active"}
        for id, organization in ORGANIZATIONS.items()
    }
    return create_app(verifier).test_client()


@pytest.fixture
def caller(api: FlaskClient, provider: FakeProvider) -> As:
    """Makes callers who act in Northwind EU and may do everything there, unless said otherwise."""

    def made(**claims: Any) -> Caller:
        usual = {"account_id": DE, "permissions": EVERYTHING, "acr": "aal2"}
        return Caller(api.application.test_client(), provider.token(**usual | claims))

    return made


def error(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]


# Who is let in


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_needs_its_permission_and_nothing_else(caller: As, method: str, path: str) -> None:
    needed = ROUTES[method, path]
    allowed = caller(permissions=[needed])
    assert (allowed.get(path) if method == "GET" else allowed.post(path, {})).status_code in (200, 400)
    denied = caller(permissions=[one for one in EVERYTHING if one != needed])
    answer = denied.get(path) if method == "GET" else denied.post(path, {})
    told = {"error": "access_denied", "error_description": f"This needs {needed}.", "permission": needed}
    assert (answer.status_code, answer.get_json()) == (403, told)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_needs_a_token_and_its_scope(api: FlaskClient, caller: As, method: str, path: str) -> None:
    assert api.open(path, method=method).headers["WWW-Authenticate"] == "Bearer"
    outside = caller(scope="openid")
    answer = outside.get(path) if method == "GET" else outside.post(path, {})
    assert error(answer) == (403, "insufficient_scope")
    assert 'scope="payments"' in answer.headers["WWW-Authenticate"]


def test_whoever_has_no_token_learns_what_this_is(api: FlaskClient) -> None:
    told = api.get("/").get_json()
    assert told["routes"] == sorted([*(f"{method} {path}" for method, path in ROUTES), "GET /", "GET /healthz"])
    assert api.get("/healthz").get_json() == {"status": "ok"}


def test_a_token_for_another_api_opens_nothing(caller: As) -> None:
    assert error(caller(aud="https://ledger.example.com").get("/balance")) == (401, "invalid_token")


@pytest.mark.rule("ORG-05")
def test_the_header_alone_is_never_believed(caller: As) -> None:
    whole = caller(account_id=None)
    assert whole.get("/balance", Canopy_Account=DE).status_code == 200
    for account in (OSLO, BOX, "acct_none", f"{DE}, {US}", "../changes"):
        assert error(whole.get("/balance", Canopy_Account=account)) == (403, "access_denied")
    assert error(caller().get("/balance", Canopy_Account=US)) == (403, "access_denied")


def test_a_token_for_an_organization_needs_an_account(caller: As) -> None:
    for headers in ({}, {"Canopy_Account": ""}):
        answer = caller(account_id=None).get("/balance", **headers)
        assert error(answer) == (400, "invalid_request")
        assert answer.get_json()["parameter"] == "Canopy-Account"


def test_the_account_of_the_token_need_not_be_named(caller: As) -> None:
    assert (
        caller().balance() == caller().balance(Canopy_Account=DE) == caller(account_id=None).balance(Canopy_Account=DE)
    )


def test_a_suspended_account_is_closed(caller: As, provider: FakeProvider) -> None:
    provider.accounts[US]["status"] = "suspended"
    assert error(caller(account_id=None).post("/charges", CHARGE, Canopy_Account=US)) == (403, "access_denied")


def test_live_and_sandbox_never_meet(caller: As) -> None:
    live, sandbox = caller(account_id="acct_new"), caller(account_id="acct_new", livemode=False)
    charge = sandbox.charged()
    assert sandbox.get("/balance").get_json()["livemode"] is False
    assert live.get("/balance").get_json() == {"object": "balance", "available": [], "livemode": True}
    assert error(live.post("/refunds", {"charge": charge})) == (404, "not_found")


def test_a_payout_takes_two_factors_proved_lately(caller: As, clock: FakeClock) -> None:
    order = {"amount": 100, "currency": "eur"}
    answer = caller(acr="aal1").post("/payouts", order)
    assert error(answer) == (401, "insufficient_user_authentication")
    assert answer.headers["WWW-Authenticate"].endswith('acr_values="aal2", max_age="300"')
    assert caller(acr="aal1").get("/payouts").status_code == 200
    for proved in ("aal2", "phr"):
        assert caller(acr=proved).post("/payouts", order).status_code == 201
    clock.wall += 241  # the token is good for as long; it was a minute after signing in that it was made
    assert error(caller().post("/payouts", order)) == (401, "insufficient_user_authentication")


def test_a_program_pays_nothing_out(caller: As) -> None:
    program = caller(auth_time=None, acr=None, amr=None, sub="app_reports")
    assert program.post("/charges", CHARGE).status_code == 201
    assert error(program.post("/payouts", {"amount": 100, "currency": "eur"})) == (403, "access_denied")


def test_while_nobody_can_say_nothing_happens(
    caller: As, provider: FakeProvider, clock: FakeClock, verifier: Verifier
) -> None:
    before, calling = caller().balance(), caller()
    provider.failing = {"/oauth2/introspect": 503}
    clock.seconds += 3.1
    assert calling.post("/charges", CHARGE).status_code == 503
    assert verifier.poll()
    assert caller().balance() == before


def test_answers_are_kept_by_nobody(caller: As, api: FlaskClient) -> None:
    answers = [caller().get("/balance"), api.get("/balance"), api.get("/nowhere"), caller().post("/charges", {})]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert {answer.headers["X-Content-Type-Options"] for answer in answers} == {"nosniff"}


# What happens to the money


def test_a_charge_adds_to_the_balance_of_its_account_alone(caller: As) -> None:
    here, there = caller(), caller(account_id=US)
    before, elsewhere = here.balance(), there.balance()
    made = here.post("/charges", CHARGE | {"description": "Räuchermännchen"}).get_json()
    assert (made["object"], made["amount"], made["livemode"], made["created_by"]) == ("charge", 1999, True, "usr_alice")
    assert here.get("/charges?limit=1").get_json()["data"] == [made]
    assert here.balance()["eur"] - before["eur"] == 1999
    assert there.balance() == elsewhere


def test_a_refund_gives_back_what_is_left_and_no_more(caller: As) -> None:
    calling = caller()
    before, charge = calling.balance(), calling.charged()
    assert calling.post("/refunds", {"charge": charge, "amount": 999}).get_json()["amount"] == 999
    assert error(calling.post("/refunds", {"charge": charge, "amount": 1001})) == (409, "conflict")
    assert calling.post("/refunds", {"charge": charge, "reason": "duplicate"}).get_json()["amount"] == 1000
    assert error(calling.post("/refunds", {"charge": charge})) == (409, "conflict")
    assert calling.balance() == before


def test_charges_of_another_account_are_not_there(caller: As) -> None:
    charge = caller(account_id=US).charged()
    assert error(caller().post("/refunds", {"charge": charge})) == (404, "not_found")
    assert error(caller().get(f"/charges?starting_after={charge}")) == (404, "not_found")


def test_a_payout_takes_no_more_than_there_is(caller: As) -> None:
    calling = caller()
    left = calling.balance()["eur"]
    assert error(calling.post("/payouts", {"amount": left + 1, "currency": "eur"})) == (409, "conflict")
    assert error(calling.post("/payouts", {"amount": 1, "currency": "gbp"})) == (409, "conflict")
    made = calling.post("/payouts", {"amount": left, "currency": "eur"}).get_json()
    assert calling.get("/payouts").get_json()["data"][0] == made
    assert calling.balance()["eur"] == 0


def test_an_account_is_full_at_some_time_and_takes_others_no_room(caller: As, monkeypatch: pytest.MonkeyPatch) -> None:
    calling, other = caller(), caller(account_id=US)
    payout = {"amount": 1, "currency": "eur"}
    calling.charged(), other.charged()
    full = len(calling.get("/charges?limit=100").get_json()["data"])
    monkeypatch.setattr(ledgers, "MOST_MOVEMENTS", full)
    assert error(calling.post("/charges", CHARGE)) == (409, "conflict")
    assert calling.post("/payouts", payout).status_code == 201
    monkeypatch.setattr(ledgers, "MOST_MOVEMENTS", len(calling.get("/payouts").get_json()["data"]))
    assert error(calling.post("/payouts", payout)) == (409, "conflict")
    monkeypatch.setattr(ledgers, "MOST_MOVEMENTS", full + 1)
    assert other.post("/charges", CHARGE).status_code == 201


def test_refunds_at_once_give_back_a_charge_once(caller: As) -> None:
    charge = caller().charged()
    callers = [caller() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: one.post("/refunds", {"charge": charge}).status_code, callers))
    assert sorted(answers) == [201] + [409] * 7


def test_lists_come_in_pages_the_latest_first(caller: As) -> None:
    calling = caller(account_id=US)
    made = [calling.charged(amount=amount) for amount in (1, 2, 3)]
    first = calling.get("/payments?limit=2").get_json()
    assert ([one["id"] for one in first["data"]], first["has_more"]) == ([made[2], made[1]], True)
    rest = calling.get(f"/payments?limit=100&starting_after={made[1]}").get_json()
    assert (rest["data"][0]["id"], rest["has_more"]) == (made[0], False)
    assert calling.get("/charges").get_json() == calling.get("/payments").get_json()


@pytest.mark.parametrize("limit", ["0", "101", "-1", "", "x", "1.5", "²", "9" * 5_000])
def test_a_page_has_a_size(caller: As, limit: str) -> None:
    assert error(caller().get(f"/payments?limit={limit}")) == (400, "invalid_request")


# Asking twice


def test_a_request_that_is_sent_again_happens_once(caller: As) -> None:
    calling = caller()
    first = calling.post("/charges", CHARGE, Idempotency_Key="k 1")
    again = caller().post("/charges", CHARGE, Idempotency_Key="k 1")
    assert (again.status_code, again.get_json()) == (201, first.get_json())
    assert calling.post("/charges", CHARGE, Idempotency_Key="k 2").get_json()["id"] != first.get_json()["id"]
    assert calling.post("/charges", CHARGE).get_json()["id"] != calling.post("/charges", CHARGE).get_json()["id"]


def test_a_key_stands_for_one_request(caller: As) -> None:
    calling = caller()
    charge = calling.post("/charges", CHARGE, Idempotency_Key="k").get_json()["id"]
    assert error(calling.post("/charges", CHARGE | {"amount": 1}, Idempotency_Key="k"))[0] == 422
    assert error(calling.post("/payouts", CHARGE, Idempotency_Key="k"))[0] == 422
    for other in (caller(account_id=US), caller(client_id="app_other"), caller(livemode=False)):
        assert other.post("/charges", CHARGE, Idempotency_Key="k").get_json()["id"] != charge


def test_a_key_opens_nothing_to_whoever_may_not(caller: As) -> None:
    caller().post("/charges", CHARGE, Idempotency_Key="k")
    assert error(caller(permissions=[]).post("/charges", CHARGE, Idempotency_Key="k")) == (403, "access_denied")


def test_what_was_refused_is_not_remembered(caller: As) -> None:
    calling = caller()
    order = {"amount": calling.balance()["eur"] + 1, "currency": "eur"}
    assert calling.post("/payouts", order, Idempotency_Key="k").status_code == 409
    calling.charged(amount=1)
    assert calling.post("/payouts", order, Idempotency_Key="k").status_code == 201


@pytest.mark.parametrize("key", ["x" * 256, "é"])
def test_a_key_is_short_and_plain(caller: As, key: str) -> None:
    answer = caller().post("/charges", CHARGE, Idempotency_Key=key)
    assert (error(answer), answer.get_json()["parameter"]) == ((400, "invalid_request"), "Idempotency-Key")


# What is no request


@pytest.mark.parametrize(
    ("path", "change", "parameter"),
    [
        *(
            ("/charges", {"amount": amount}, "amount")
            for amount in (-1, 0, True, 1.0, "1", None, [], MOST + 1, 10**400)
        ),
        *(("/payouts", {"amount": amount}, "amount") for amount in (-1, 0, None)),
        *(("/charges", {"currency": currency}, "currency") for currency in ("EUR", "", None, ["eur"], {})),
        *(("/charges", {"description": text}, "description") for text in ("a\x00b", "x" * 201, "\ud800", 1, None)),
        ("/charges", {"livemode": False}, "livemode"),
        ("/charges", {"account": US}, "account"),
    ],
)
def test_what_cannot_be_meant_names_the_place(caller: As, path: str, change: dict[str, Any], parameter: str) -> None:
    before = caller().balance()
    answer = caller().post(path, {"amount": 100, "currency": "eur"} | change)
    assert (error(answer), answer.get_json()["parameter"]) == ((400, "invalid_request"), parameter)
    assert caller().balance() == before


@pytest.mark.parametrize("order", [{}, {"charge": ""}, {"charge": 1}, {"charge": "ch_1", "amount": -1}, {"id": "ch_1"}])
def test_a_refund_says_of_what(caller: As, order: dict[str, Any]) -> None:
    assert error(caller().post("/refunds", order)) == (400, "invalid_request")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b"1", b"[" * 10_000, b'{"a":' * 2_000, b"\xff", b"9" * 9_000, b"\xef\xbb\xbf{}"]
)
def test_what_is_no_json_object_is_told_so(caller: As, raw: bytes) -> None:
    assert error(caller().send("/charges", raw)) == (400, "invalid_request")


def test_a_body_says_what_it_is_and_is_not_long(caller: As) -> None:
    good = json.dumps(CHARGE).encode()
    assert caller().send("/charges", good).status_code == 201
    assert error(caller().send("/charges", good, "application/x-www-form-urlencoded")) == (400, "invalid_request")
    assert caller().send("/charges", good + b" " * (LONGEST_BODY - len(good))).status_code == 201
    assert error(caller().send("/charges", good + b" " * LONGEST_BODY)) == (413, "request_entity_too_large")


def test_where_nothing_is_the_answer_is_json_too(caller: As) -> None:
    assert error(caller().get("/nowhere")) == (404, "not_found")
    answer = caller().get("/refunds")
    assert (error(answer), set(answer.headers["Allow"].split(", "))) == (
        (405, "method_not_allowed"),
        {"POST", "OPTIONS"},
    )


# The program


@contextmanager
def serving(provider: FakeProvider, port: int) -> Iterator[subprocess.Popen[str]]:
    settings = {"ISSUER": provider.issuer, "AUDIENCE": API, "CLIENT_ID": CLIENT, "CLIENT_SECRET": SECRET}
    with subprocess.Popen(
        [sys.executable, "-m", "examples.payments", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | {f"PAYMENTS_{name}": value for name, value in settings.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            yield program
        finally:
            program.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_told_to_stop(provider: FakeProvider, how: signal.Signals) -> None:
    port = free_port()
    with serving(provider, port) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == f"READY http://localhost:{port}\n"
        token = provider.token(account_id=DE, permissions=EVERYTHING, exp=int(time.time()) + 300)
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/balance", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert json.load(answer)["object"] == "balance"
        program.send_signal(how)
        _, said = program.communicate(timeout=60)
        assert (program.returncode, said) == (0, "")


def test_a_port_that_is_taken_is_told(provider: FakeProvider) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, serving(provider, port_of(taken)) as program:
        told, said = program.communicate(timeout=20)
        assert (program.returncode, told) == (1, "")
        assert f"Port {port_of(taken)} is in use" in said


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        return port_of(reserved)
