"""Jobs on the command line."""

import pytest
from flask import Flask

from idp.platform import clock, database, jobs
from idp.platform.jobs import Worker
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
