"""The provider under load: `idp serve` of some checkout, on a database of its own."""

import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import processes, world
from benchmarks.postgresql import settle
from tests.postgresql import Server, create

ROOT = Path(__file__).parent.parent
SECRET_KEY = "3mJ5cRzN7uHs2LfE8aPd1Gi6oUnXtKyBhVjMwQWq3bT0xkYv"  # noqa: S105 for data that nobody keeps
_IDP = "import sys; from idp.cli import main; sys.exit(main())"


class Provider:
    """A provider with one web worker, whose code is that of `checkout`."""

    def __init__(self, url: str, folder: Path, checkout: Path, database: Server | None) -> None:
        self.port = _free_port()
        self.issuer = f"http://localhost:{self.port}"
        self._url, self._folder, self._checkout, self._database = url, folder, checkout, database
        self._process: subprocess.Popen[str] | None = None

    def prepare(self, accounts: int) -> None:
        """Make the schema and the world."""
        file = self._folder / "world.yaml"
        world.write(file, accounts)
        for command in (["db", "upgrade"], ["apply", str(file)]):
            done = subprocess.run(  # noqa: S603 our own interpreter
                [sys.executable, "-c", _IDP, *command],
                env=self.environment(),
                cwd=self._checkout,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise RuntimeError(f"idp {' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        if self._database:
            settle(self._url)

    def start(self) -> float:
        """Start it; how many seconds until it answered."""
        began = time.perf_counter()
        command = [sys.executable, "-c", _IDP, "serve", "--bind", f"127.0.0.1:{self.port}", "--workers", "1"]
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(  # noqa: S603 our own interpreter
                command,
                env=self.environment(),
                cwd=self._checkout,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        if not self._process.stdout or not self._process.stdout.readline().startswith("READY"):
            raise RuntimeError(f"it does not start: {(self._folder / 'log').read_text()[-2000:]}")
        return time.perf_counter() - began

    def stop(self) -> None:
        """Stop it, and wait until it is gone."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            for pid in reversed(processes.family(self._process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def environment(self) -> dict[str, str]:
        """What its processes are given: nothing of the caller's settings."""
        given = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}
        return given | {
            "PYTHONPATH": str(self._checkout),
            "IDP_ISSUER": self.issuer,
            "IDP_DATABASE_URL": self._url,
            "IDP_SECRET_KEY": SECRET_KEY,
            "IDP_RATE_LIMITS": "off",
            "IDP_DRAIN_SECONDS": "0",
        }

    def cpu(self) -> float:
        """Seconds of CPU that its processes have taken."""
        return processes.cpu(self._family())

    def database_cpu(self) -> float | None:
        """The same of the database server; `None` where the provider is its own (SQLite)."""
        return processes.cpu(processes.family(self._database.pid)) if self._database else None

    def memory(self) -> dict[str, float]:
        """Megabytes: of the web worker by itself, and of all processes with what they share counted once."""
        family = self._family()
        return {"worker_mb": processes.resident(family[1]), "all_mb": processes.proportional(family)}

    def _family(self) -> list[int]:
        """Its processes: the supervisor, the web worker, the one for jobs."""
        return processes.family(self._process.pid) if self._process else []


@contextlib.contextmanager
def provider(server: Server | None, checkout: Path, accounts: int) -> Iterator[Provider]:
    """A provider with its world, on a new database of `server`, or on SQLite; running, and gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="canopy-bench-"))
    url = (
        create(server.address, f"bench_{folder.name.rpartition('-')[2].lower()}")
        if server
        else f"sqlite:///{folder}/bench.db"
    )
    found = Provider(url, folder, checkout, server)
    try:
        found.prepare(accounts)
        found.start()
        yield found
    finally:
        found.stop()
        shutil.rmtree(folder, ignore_errors=True)


def cold_start(found: Provider, times: int) -> float:
    """The median of so many starts, in seconds, each of new processes on the database as it is."""
    taken = []
    for _ in range(times):
        found.stop()
        taken.append(found.start())
    return statistics.median(taken)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
