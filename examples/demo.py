"""`./run demo`: the provider, Ledger and Payments, started together and stopped together.

Beside the provider's settings (`IDP_*`) it wants the file that was applied, for the names and secrets in it. One that
ends takes the others along; SIGINT and SIGTERM end all of them, and what does not end by itself is killed.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import yaml

PEOPLE: Final = {
    "bob": "Looks at all of Northwind; a team of his refunds in the EU",
    "dana": "Develops in one account and in the sandbox",
    "olivia": "Owns Northwind: may do everything, in each account",
    "frank": "Owns Fabrikam, and is a guest at Northwind",
}
"""Whom Ledger offers to try, and what makes them worth it."""

_READY_WITHIN = 60.0
_GONE_WITHIN = 10.0
_LOOPBACK = ("127.0.0.1", "::1")


class Failed(Exception):
    """The demo cannot go on. The message says what to do."""


@dataclass(frozen=True)
class Server:
    """One of the three: what to start, in which environment, and where it will answer."""

    name: str
    port: int
    command: Sequence[str]
    variables: Mapping[str, str]

    @property
    def address(self) -> str:
        """Where people and programs reach it."""
        return f"http://localhost:{self.port}"


def servers(objects: Mapping[str, Any], ports: Sequence[int]) -> tuple[Server, ...]:
    """The three, on these ports; secrets as in `objects`, the file that was applied."""
    provider, ledger, payments = (f"http://localhost:{port}" for port in ports)
    secrets = {client["client_id"]: client["client_secret"] for client in objects["clients"]}
    bind = f"127.0.0.1:{ports[0]}"
    return (
        Server("Canopy", ports[0], (_beside("idp"), "serve", "--workers", "1", "--bind", bind), {}),
        Server(
            "Payments",
            ports[2],
            (sys.executable, "-m", "examples.payments", "--port", str(ports[2])),
            {
                "PAYMENTS_ISSUER": provider,
                "PAYMENTS_AUDIENCE": payments,
                "PAYMENTS_CLIENT_SECRET": secrets["app_payments"],
            },
        ),
        Server(
            "Ledger",
            ports[1],
            (sys.executable, "-m", "examples.dashboard", "--port", str(ports[1])),
            {
                "LEDGER_ADDRESS": ledger,
                "LEDGER_ISSUER": provider,
                "LEDGER_PAYMENTS": payments,
                "LEDGER_CLIENT_SECRET": secrets["app_ledger"],
                "LEDGER_PEOPLE": json.dumps(people(objects)),
                "LEDGER_PASSWORD": password(objects),
            },
        ),
    )


def people(objects: Mapping[str, Any]) -> list[dict[str, str]]:
    """Those of `PEOPLE`, with the names that they have in `objects`."""
    named = {one["username"]: f"{one['given_name']} {one['family_name']}" for one in objects["users"]}
    return [{"username": who, "name": named[who], "words": words} for who, words in PEOPLE.items()]


def password(objects: Mapping[str, Any]) -> str:
    """The one that all of them have."""
    return str(objects["users"][0]["password"])


def require_free(ports: Sequence[int]) -> None:
    """Raises `Failed` if something listens on one of them already."""
    for port in ports:
        for host in _LOOPBACK:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as asking:
                if asking.connect_ex((host, port)) == 0:
                    raise Failed(f"Something listens on port {port} already. Is another demo running? Stop it first.")


# Starting and stopping


@dataclass(frozen=True)
class Running:
    """A server that was started: its process, the file for what it says, and whether it answers."""

    server: Server
    process: subprocess.Popen[str]
    log: Path
    ready: threading.Event

    def wait(self) -> None:
        """Until it answers. Raises `Failed` if it does not."""
        end = time.monotonic() + _READY_WITHIN
        while not self.ready.wait(0.05):
            if self.process.poll() is not None:
                status = self.process.returncode
                raise Failed(f"{self.server.name} ended with status {status} before it answered: see {self.log}")
            if time.monotonic() > end:
                raise Failed(f"{self.server.name} does not answer on port {self.server.port}: see {self.log}")


@contextlib.contextmanager
def running(server: Server, logs: Path, ended: threading.Event) -> Iterator[Running]:
    """`server`, started; it is gone at the end of the block. Sets `ended` when it ends before.

    It has a process group of its own: Ctrl-C in a terminal reaches us alone, and all end in order.
    """
    path = logs / f"{server.name.lower()}.log"
    with path.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(  # noqa: S603 -- our own three
            [*_dying_with_us(), *server.command],
            env=environment(server),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            process_group=0,
        )
        try:
            found = Running(server, process, path, threading.Event())
            threading.Thread(target=_listen, args=(process, found.ready, ended), daemon=True).start()
            yield found
        finally:
            _stop(process)


def environment(server: Server) -> dict[str, str]:
    """What it is given: of the settings of examples, those of the demo alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEDGER_", "PAYMENTS_"))}
    return {**kept, **server.variables}


def _listen(process: subprocess.Popen[str], ready: threading.Event, ended: threading.Event) -> None:
    """Hear the word that the process answers, and its end."""
    for line in process.stdout or ():
        if line.startswith("READY "):
            ready.set()
    process.wait()
    ended.set()


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GONE_WITHIN)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _dying_with_us() -> list[str]:
    """What ends a process when we are killed; Debian and Ubuntu have it."""
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "TERM", "--"] if found else []


def _beside(name: str) -> str:
    return str(Path(sys.executable).parent / name)


# All together


def demo(objects: Mapping[str, Any], ports: Sequence[int], logs: Path) -> int:
    """Run until we are told to end (0), or one of them ends by itself (1)."""
    ended = threading.Event()
    with contextlib.ExitStack() as stack:
        all_three = [stack.enter_context(running(server, logs, ended)) for server in servers(objects, ports)]
        for one in all_three:
            one.wait()
        print(announcement(ports, password(objects), logs), flush=True)
        ended.wait()
        gone = next(one for one in all_three if one.process.poll() is not None)
        status = gone.process.returncode
        print(f"{gone.server.name} ended with status {status}, and the demo with it: see {gone.log}", file=sys.stderr)
    return 1


def announcement(ports: Sequence[int], password: str, logs: Path) -> str:
    """What to do now."""
    provider, ledger, payments = (f"http://localhost:{port}" for port in ports)
    return f"""
  Ledger    {ledger}   an application: begin here
  Canopy    {provider}   the provider
  Payments  {payments}   an API
  Mail      {provider}/demo/mail   what Canopy writes to people: none of it leaves this machine

  Sign in as {", ".join(PEOPLE)}; the password is {password}
  In another terminal: ./run idp why bob refunds.write northwind/eu-shop
  Ctrl-C ends all three; their logs are in {logs}.
"""


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="./run demo", description="The provider, an application and an API.")
    parser.add_argument("objects", type=Path, help="the file that was applied to the provider")
    parser.add_argument("--logs", type=Path, default=Path("var/demo"), help="the folder for their logs")
    parser.add_argument("--ports", type=int, nargs=3, default=[8000, 8001, 8002], help="of provider, Ledger, Payments")
    parser.add_argument("--check", action="store_true", help="only say whether the ports are free")
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        require_free(given.ports)
        if given.check:
            return 0
        return demo(yaml.safe_load(given.objects.read_text("utf-8")), given.ports, given.logs)
    except Failed as failed:
        print(failed, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _end(number: int, frame: FrameType | None) -> None:
    for again in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(again, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
