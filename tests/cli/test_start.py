"""What happens before the first request: checks that refuse, rows that are made, secrets that are forgotten."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import PrivateFormat
from flask import Flask
from sqlalchemy import func, select

from idp.app import create_app
from idp.audit import trail
from idp.audit.models import Unsealed
from idp.cli import start
from idp.cli.main import main
from idp.keys import rotation
from idp.keys.master_keys import MasterKeyMissing
from idp.keys.models import MasterKey
from idp.platform import database, schema
from idp.platform.database import db
from idp.platform.settings import Settings
from idp.platform.web_server import CannotServe, Tls
from tests.certificates import self_signed
from tests.databases import SECRET_KEY

OTHER_KEY = "Kz81pWmQx4RbVt7YnL0sEuJ3aHgC6fDoPi9Tw2ZqMvXe"


def test_the_first_start_makes_what_is_missing_and_the_next_finds_it(app: Flask) -> None:
    start.make_ready(app)
    keys = rotation.listing()
    assert keys
    assert rotation.missing() == ()
    assert database.session().scalar(select(func.count()).select_from(MasterKey)) == 1
    db.session.remove()
    start.make_ready(app)
    assert rotation.listing() == keys


def test_nothing_of_the_database_is_open_afterwards_so_that_the_process_may_fork(app: Flask) -> None:
    start.make_ready(app)
    assert db.engine.pool.checkedin() + db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_schema_of_another_release_is_refused(app: Flask) -> None:
    schema.downgrade("base")
    with pytest.raises(schema.SchemaBehind):
        start.make_ready(app)


def test_a_master_key_that_opens_nothing_here_is_refused_and_nothing_is_changed(app: Flask, database_url: str) -> None:
    start.make_ready(app)
    before = rotation.listing()
    settings = Settings(issuer="http://localhost:8000", database_url=database_url, secret_key=(OTHER_KEY,))
    stranger = create_app(settings)
    with pytest.raises(MasterKeyMissing):
        start.make_ready(stranger)
    assert rotation.listing() == before


def test_secrets_leave_the_environment_once_they_were_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("IDP_DATABASE_URL", "postgresql://canopy:hunter2@db/canopy")
    monkeypatch.setenv("IDP_ISSUER", "https://id.example.com")
    start.forget_secrets()
    assert [name for name in os.environ if name.startswith("IDP_")] == ["IDP_ISSUER"]


@pytest.mark.parametrize(
    ("wishes", "complaint"),
    [
        (("--bind", "8000"), "HOST:PORT is expected"),
        (("--bind", "localhost:http"), "HOST:PORT is expected"),
        (("--bind", "localhost:70000"), "HOST:PORT is expected"),
        (("--tls-cert", "cert.pem"), "belong together"),
        (("--tls-key", "key.pem"), "belong together"),
        (("--tls-cert", "none.pem", "--tls-key", "none.pem"), "No such file"),
    ],
)
def test_wishes_that_cannot_be_meant_stop_the_start(
    wishes: tuple[str, ...], complaint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IDP_ISSUER", "http://localhost:8000")
    monkeypatch.setenv("IDP_DATABASE_URL", f"sqlite:///{tmp_path}/canopy.db")
    monkeypatch.setenv("IDP_SECRET_KEY", SECRET_KEY)
    result = CliRunner().invoke(main, ["serve", *wishes])
    assert result.exit_code == 1
    assert complaint in result.stderr
    assert not (tmp_path / "canopy.db").exists()


# Certificates


def test_a_certificate_with_its_key_is_taken(tmp_path: Path) -> None:
    self_signed(tmp_path).check()


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotServe, match="KEY_VALUES_MISMATCH"):
        Tls(self_signed(tmp_path).certificate, self_signed(tmp_path, "other").key).check()


def test_a_key_in_a_form_that_the_server_does_not_read_is_refused_and_the_remedy_named(tmp_path: Path) -> None:
    with pytest.raises(CannotServe, match="openssl pkcs8 -topk8"):
        self_signed(tmp_path, form=PrivateFormat.TraditionalOpenSSL).check()


def test_a_key_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    tls = self_signed(tmp_path)
    tls.key.chmod(0o644)
    with pytest.raises(CannotServe, match="chmod o-r"):
        tls.check()


# The commands themselves


@contextlib.contextmanager
def _running(environment: dict[str, str], *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [str(Path(sys.executable).with_name("idp")), *words]
    given = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}
    with subprocess.Popen(command, env=given | environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _seals_within(seconds: float) -> bool:
    with database.writing():
        trail.record("user.created", by=trail.SYSTEM, subject="usr_1")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        database.session().rollback()
        if not database.session().scalar(select(func.count()).select_from(Unsealed)):
            return True
        time.sleep(0.05)
    return False


def test_the_worker_keeps_the_house_until_it_is_told_to_stop(app: Flask, environment: dict[str, str]) -> None:
    with _running(environment, "worker") as worker:
        assert _seals_within(60)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(10) == 0


def test_serving_leaves_jobs_to_others_if_it_is_told_so(
    app: Flask, environment: dict[str, str], unused_port: int
) -> None:
    with _running(
        environment, "serve", "--bind", f"127.0.0.1:{unused_port}", "--workers", "1", "--no-worker"
    ) as server:
        assert server.stdout
        assert server.stdout.readline() == "READY http://localhost:8000\n"
        assert SECRET_KEY not in Path(f"/proc/{server.pid}/environ").read_text("latin-1")
        assert not _seals_within(1)
        with urllib.request.urlopen(f"http://127.0.0.1:{unused_port}/readyz") as answer:
            assert answer.status == 200
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
        assert server.stdout.read() == ""


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
