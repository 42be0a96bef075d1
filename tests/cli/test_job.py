"""Jobs on the command line."""

import pytest
from flask import Flask

from idp.platform import clock, database, jobs, outbox
from idp.platform.jobs import Worker
from idp.platform.outbox import Letter
from tests.cli.conftest import Idp


def _fails(_: jobs.Claim) -> None:
    raise ConnectionError


def test_parked_jobs_are_listed_and_tried_again(app: Flask, idp: Idp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_ATTEMPTS", 1)
    with database.writing():
        parked = jobs.add("greet", {})
        jobs.add("greet", {}, due_at=clock.now() + clock.HOUR)
    Worker(app, {"greet": _fails}).work_once()
    assert [line["state"] for line in idp("job", "list").json] == ["parked", "waiting"]
    idp("job", "retry", parked)
    assert [line["state"] for line in idp("job", "list").json] == ["waiting", "waiting"]
    assert idp("job", "retry", "job_unknown", status=1).json["error"] == "not_found"


def test_a_stuck_letter_is_named_and_what_it_says_is_not_shown(
    app: Flask, idp: Idp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_ATTEMPTS", 1)
    with database.writing():
        ends = clock.now() + clock.HOUR
        outbox.post(Letter("recover", "bob@northwind.test", "en", path="/recover/clink_secret", expires_at=ends))
    Worker(app, {"mail": _fails}).work_once()
    (parked,) = idp("job", "list").json
    told = idp("job", "get", parked["id"])
    assert told.json["letter"]["template"] == "recover"
    assert told.json["letter"]["to"] == "bob@northwind.test"
    assert "clink_secret" not in told.stdout
    assert idp("job", "retry", "--all").json == {"jobs": [parked["id"]]}
    assert [line["state"] for line in idp("job", "list").json] == ["waiting"]
    assert idp("job", "retry", status=1).json["error"] == "invalid"
