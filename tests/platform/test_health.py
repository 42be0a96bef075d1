"""What a node says about itself: that it lives, whether it can serve, what it has counted."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from idp.platform import clock, database, health, metrics
from idp.platform.database import db
from tests.platform import sites
from tests.platform.sites import PROGRAM, Site

TOKEN = "Zk4mP9sD2vB7nQ1xW6cR8tY3hJ5gL0fA-uIoEeKwMbN"


@pytest.fixture
def undrained() -> Iterator[None]:
    """What is drained in a test serves again after it."""
    yield
    health._draining.clear()


def counted(text: str, name: str, **labels: str) -> float:
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


# Health


def test_liveness_asks_nothing_of_the_database(tmp_path: Path) -> None:
    with sites.site(tmp_path / "no" / "such" / "folder") as found:
        assert found.client.get("/healthz").json == {"status": "ok"}


def test_a_migrated_node_is_ready(app: Flask) -> None:
    assert (app.test_client().get("/readyz").status_code, app.test_client().get("/readyz").json) == (
        200,
        {"status": "ready"},
    )


@pytest.mark.rule("HTT-06")
def test_a_node_without_its_schema_is_not_ready_and_says_no_more(site: Site) -> None:
    answer = site.client.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"status": "not ready", "failed": "schema"})
    assert answer.headers["Retry-After"] == "2"


@pytest.mark.rule("HTT-06")
def test_a_node_without_its_database_is_not_ready_and_says_no_more(tmp_path: Path) -> None:
    with sites.site(tmp_path / "no" / "such" / "folder") as found:
        answer = found.client.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"status": "not ready", "failed": "database"})


def test_a_node_that_is_told_to_stop_is_not_ready_and_lives(app: Flask, undrained: None) -> None:
    health.drain()
    assert app.test_client().get("/readyz").json == {"status": "not ready", "failed": "serving"}
    assert app.test_client().get("/healthz").status_code == 200


def test_a_database_that_hangs_delays_nobody_and_recovery_is_seen(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.2)
    hangs, asked = threading.Event(), []

    def hanging() -> None:
        asked.append(1)
        hangs.wait(60)

    health.readiness(app).checks["database"] = hanging
    started = time.monotonic()
    answers = [app.test_client().get("/readyz").json for _ in range(3)]
    assert time.monotonic() - started < 20
    assert answers == [{"status": "not ready", "failed": "database"}] * 3
    assert len(asked) == 1, "one question at a time is put to a database that hangs"
    hangs.set()
    while app.test_client().get("/readyz").status_code != 200:
        assert time.monotonic() - started < 20


def test_a_room_may_add_a_check(app: Flask) -> None:
    def broken() -> None:
        raise RuntimeError("no key")

    health.readiness(app).checks["keys"] = broken
    assert app.test_client().get("/readyz").json == {"status": "not ready", "failed": "keys"}


def test_the_checks_leave_the_database_as_they_found_it(app: Flask) -> None:
    app.test_client().get("/readyz")
    assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


# Metrics


@pytest.mark.parametrize(
    ("token", "shown", "peer", "headers", "status"),
    [
        (None, None, "127.0.0.1", {}, 200),
        (None, None, "::1", {}, 200),
        (None, None, "203.0.113.9", {}, 401),
        (None, "", "203.0.113.9", {}, 401),
        (None, None, "10.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 401),
        (None, None, "127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, 401),
        (None, None, "127.0.0.1", {"Forwarded": "for=203.0.113.9"}, 401),
        (None, None, "127.0.0.1", {"Via": "1.1 edge"}, 401),
        (TOKEN, TOKEN, "203.0.113.9", {}, 200),
        (TOKEN, TOKEN, "127.0.0.1", {"Via": "1.1 edge"}, 200),
        (TOKEN, TOKEN[:-1], "203.0.113.9", {}, 401),
        (TOKEN, TOKEN + "x", "203.0.113.9", {}, 401),
        (TOKEN, "\xff\xfe", "203.0.113.9", {}, 401),
        (TOKEN, None, "203.0.113.9", {}, 401),
    ],
)
def test_metrics_are_for_this_machine_or_for_whoever_has_the_token(
    tmp_path: Path, token: str | None, shown: str | None, peer: str, headers: dict[str, str], status: int
) -> None:
    bearer = {} if shown is None else {"HTTP_AUTHORIZATION": f"Bearer {shown}"}
    with sites.site(tmp_path, metrics_token=token, trusted_proxies="10.0.0.1") as found:
        answer = found.client.get("/metrics", headers=headers, environ_overrides={"REMOTE_ADDR": peer, **bearer})
    assert answer.status_code == status
    assert ("canopy_http_requests" in answer.text) is (status == 200)
    assert (answer.headers.get("WWW-Authenticate") == "Bearer") is (status == 401)


def test_requests_are_counted_by_route_and_not_by_path(site: Site) -> None:
    before = site.client.get("/metrics").text
    for path in ("/error/not_found", "/error/refused", "/probe/boom", "/nowhere", "/elsewhere"):
        site.client.get(path, headers=PROGRAM)
    site.client.open("/nowhere", method="BREW")
    after = site.client.get("/metrics").text

    def more(**labels: str) -> float:
        name = "canopy_http_requests_total"
        return counted(after, name, **labels) - counted(before, name, **labels)

    assert more(route="/error/<code>", method="GET", status="200") == 2
    assert more(route="/probe/boom", status="500") == 1
    assert more(route="unmatched", method="GET", status="404") == 2
    assert more(route="unmatched", method="other") == 1
    assert "elsewhere" not in after
    assert counted(after, "canopy_http_request_seconds_count", route="/probe/boom") >= 1


def test_waits_for_the_database_are_told(app: Flask) -> None:
    name = "canopy_database_wait_seconds_count"
    before = metrics.exposition().decode()
    with database.writing():
        pass
    after = metrics.exposition().decode()
    for what in ("connection", "turn") if database.is_sqlite() else ("connection",):
        assert counted(after, name, what=what) > counted(before, name, what=what)


def test_scraping_counts_itself_under_its_own_route(site: Site) -> None:
    site.client.get("/metrics")
    assert counted(metrics.exposition().decode(), "canopy_http_requests_total", route="/metrics") >= 1


# security.txt


def test_security_txt_names_a_contact_and_never_expires(tmp_path: Path) -> None:
    with sites.site(tmp_path, issuer="https://id.example.com") as found, time_machine.travel("2031-03-01T12:00:00Z"):
        answer = found.client.get("/.well-known/security.txt")
    lines = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert answer.content_type == "text/plain; charset=utf-8"
    assert lines["Contact"] == "mailto:security@id.example.com"
    assert lines["Canonical"] == "https://id.example.com/.well-known/security.txt"
    assert clock.parse("2031-08-01") < clock.parse(lines["Expires"]) < clock.parse("2032-03-01")


def test_an_operator_may_name_another_contact(tmp_path: Path) -> None:
    with sites.site(tmp_path, security_contact="https://example.com/report") as found:
        assert "Contact: https://example.com/report\n" in found.client.get("/.well-known/security.txt").text
