"""The demo as `./run demo` starts it, in a folder and on ports of its own."""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests import databases
from tests.architecture.tree import ROOT

WITHIN = 60.0
"""Seconds that a busy machine has for what takes a few."""

_IDP = Path(sys.executable).parent / "idp"


@dataclass(frozen=True)
class Demo:
    """A demo whose data is in `folder`. `ports`: of the provider, Ledger and Payments."""

    folder: Path
    ports: tuple[int, int, int] = field(default_factory=lambda: free_ports())

    @property
    def ledger(self) -> str:
        """The address of Ledger."""
        return f"http://localhost:{self.ports[1]}"

    @property
    def issuer(self) -> str:
        """The address of the provider."""
        return f"http://localhost:{self.ports[0]}"

    def idp(self, *arguments: str) -> str:
        """What the command line says, in a process of its own."""
        ran = subprocess.run(
            [_IDP, *arguments], env=self._environment(), cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def prepare(self) -> None:
        """Make the database, and what `config/demo.yaml` says, for these ports."""
        (self.folder / "secret_key").write_text(databases.SECRET_KEY, "utf-8")
        (self.folder / "secret_key").chmod(0o600)
        objects = (ROOT / "config" / "demo.yaml").read_text("utf-8")
        for named, port in zip((8000, 8001, 8002), self.ports, strict=True):
            objects = objects.replace(f"http://localhost:{named}", f"http://localhost:{port}")
        (self.folder / "demo.yaml").write_text(objects, "utf-8")
        self.idp("db", "upgrade")
        self.idp("apply", str(self.folder / "demo.yaml"))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The process that starts and stops the three."""
        command = [sys.executable, "-m", "examples.demo", str(self.folder / "demo.yaml"), "--logs", str(self.folder)]
        ports = ["--ports", *map(str, self.ports)]
        return subprocess.Popen(
            [*command, *ports, *arguments],
            env=self._environment(),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}
        return kept | {
            "IDP_CONFIG": str(ROOT / "config" / "development.toml"),
            "IDP_ISSUER": self.issuer,
            "IDP_DATABASE_URL": f"sqlite:///{self.folder}/canopy.db",
            "IDP_SECRET_KEY_FILE": str(self.folder / "secret_key"),
            "IDP_DRAIN_SECONDS": "0",
        }


@contextlib.contextmanager
def running(demo: Demo) -> Iterator[subprocess.Popen[str]]:
    """The demo, once it says that it answers; it is told to end with the block, as by Ctrl-C."""
    process = demo.start()
    hurry = threading.Timer(WITHIN, process.kill)
    hurry.start()
    try:
        announced(process)
        hurry.cancel()
        yield process
    finally:
        hurry.cancel()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=WITHIN)


def announced(process: subprocess.Popen[str]) -> str:
    """What it says when all three answer."""
    said = ""
    for line in process.stdout or ():
        said += line
        if re.search(r"Ctrl-C", line):
            return said
    raise AssertionError(f"The demo did not start: {said}{process.stderr and process.stderr.read()}")


def listeners(demo: Demo) -> list[int]:
    """The ports of the demo on which something listens."""
    return [port for port in demo.ports if _answers(port)]


def free_ports() -> tuple[int, int, int]:
    """Three ports on which nothing listens, of those that no system gives to anybody by itself."""
    found: list[int] = []
    while len(found) < 3:
        port = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
    return found[0], found[1], found[2]


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
