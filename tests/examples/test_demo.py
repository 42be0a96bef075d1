"""`./run demo`: three servers that begin and end together, and leave nothing behind."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from examples import demo as program
from examples.dashboard.app import WISHES
from examples.dashboard.provider import SCOPE
from tests.architecture.tree import ROOT
from tests.examples import demos
from tests.examples.demos import WITHIN, Demo

OBJECTS = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A demo that was prepared and does not run."""
    found = Demo(tmp_path_factory.mktemp("demo"))
    found.prepare()
    return found


def until_nobody_listens(demo: Demo) -> None:
    end = time.monotonic() + WITHIN
    while demos.listeners(demo):
        assert time.monotonic() < end, f"still there: {demos.listeners(demo)}"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_three(demo: Demo, number: signal.Signals) -> None:
    with demos.running(demo) as process:
        assert demos.listeners(demo) == list(demo.ports)
        process.send_signal(number)
        assert process.wait(WITHIN) == 0
        assert demos.listeners(demo) == []


def test_one_that_dies_takes_the_others_along(demo: Demo) -> None:
    with demos.running(demo) as process:
        os.kill(_child(process, "examples.payments"), signal.SIGKILL)
        assert process.wait(WITHIN) == 1
        assert demos.listeners(demo) == []
        assert process.stderr is not None
        assert "Payments ended" in process.stderr.read()


def test_nothing_is_left_when_the_demo_itself_is_killed(demo: Demo) -> None:
    with demos.running(demo) as process:
        process.kill()
        process.wait(WITHIN)
        until_nobody_listens(demo)


@pytest.mark.parametrize("which", range(3))
def test_a_port_that_is_taken_is_named_before_anything_starts(demo: Demo, which: int) -> None:
    with socket.create_server(("127.0.0.1", demo.ports[which])):
        process = demo.start()
        said, complaint = process.communicate(timeout=WITHIN)
    assert (process.returncode, said) == (1, "")
    assert complaint.startswith(f"Something listens on port {demo.ports[which]} already.")


def test_what_cannot_start_says_where_it_complains(demo: Demo, tmp_path: Path) -> None:
    empty = Demo(tmp_path, demo.ports)
    (tmp_path / "demo.yaml").write_text((demo.folder / "demo.yaml").read_text("utf-8"), "utf-8")
    process = empty.start()
    _, complaint = process.communicate(timeout=WITHIN)
    assert process.returncode == 1
    assert re.search(r"Canopy ended with status \d+ before it answered: see .*canopy\.log", complaint)
    assert demos.listeners(empty) == []


def test_settings_of_the_caller_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEDGER_CLIENT_ID", "LEDGER_ADDRESS", "PAYMENTS_CLIENT_ID", "PAYMENTS_ISSUER"):
        monkeypatch.setenv(name, "elsewhere")
    for server in program.servers(OBJECTS, (8000, 8001, 8002)):
        given = program.environment(server)
        assert "elsewhere" not in given.values()
        assert given["PATH"] == os.environ["PATH"]
        assert set(server.variables) <= set(given)


def test_it_offers_people_that_there_are_with_the_password_that_all_have() -> None:
    assert {one["username"] for one in program.people(OBJECTS)} == set(program.PEOPLE)
    assert {person["password"] for person in OBJECTS["users"]} == {program.password(OBJECTS)}


def test_the_application_is_registered_for_what_it_asks_for() -> None:
    ledger = next(client for client in OBJECTS["clients"] if client["client_id"] == "app_ledger")
    assert ledger["scope"] == SCOPE
    assert {"organization", "account", "acr_values", "max_age"} < set(WISHES)


def _child(process: subprocess.Popen[str], name: str) -> int:
    """The process that `process` started whose command has that name in it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii").split()
    for child in children:
        with contextlib.suppress(FileNotFoundError):
            if name.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    raise AssertionError(f"{name} does not run")
