"""What other pages feel of a flood of sign-ins: `python -m benchmarks.login_flood [SECONDS]`, from the checkout.

Starts a provider with one worker on a fresh SQLite database, tells how long pages take while it is quiet, then sends
wrong passwords at ten times the rate that can be hashed and tells again. Prints a table and asserts nothing: the
flood is made on the same machine. Limits on guessing are off, else they would end the flood.
"""

import contextlib
import os
import re
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import urllib3

from idp.credentials import hashing, phc

FLOODERS = 24
TIMES = 10
PAGES = ("/login?txn={txn}", "/error/too_busy", "/healthz")

_WRONG = {"password": "wrong horse battery staple"}


class Visitor:
    """A browser without scripts that has a sign-in under way."""

    def __init__(self, issuer: str) -> None:
        self._pool = urllib3.PoolManager(retries=False, timeout=10)
        self._issuer = issuer
        self._cookie = ""
        location = self._ask("GET", "/login").headers["Location"]
        self.txn = location.partition("txn=")[2]
        self._send("/login", username=f"somebody-{secrets.token_hex(4)}")
        self._secret = self._csrf("/login/password")

    def see(self, path: str) -> float:
        """The seconds that the page at `path` takes."""
        began = time.perf_counter()
        self._ask("GET", path.format(txn=self.txn))
        return time.perf_counter() - began

    def guess(self) -> int:
        """The status of the answer to a wrong password."""
        return self._post("/login/password", self._secret, **_WRONG).status

    def _send(self, path: str, **fields: str) -> None:
        self._post(path, self._csrf(path), **fields)

    def _csrf(self, path: str) -> str:
        found = re.search(
            r'name="csrf_token" value="([^"]+)"', self._ask("GET", f"{path}?txn={self.txn}").data.decode()
        )
        if not found:
            raise SystemExit(f"no form on {path}")
        return found[1]

    def _post(self, path: str, secret: str, **fields: str) -> urllib3.BaseHTTPResponse:
        return self._ask("POST", f"{path}?txn={self.txn}", fields | {"csrf_token": secret})

    def _ask(self, method: str, path: str, fields: dict[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        headers = {"Cookie": self._cookie} if self._cookie else {}
        answer = (
            self._pool.request(
                method, self._issuer + path, fields=fields, headers=headers, redirect=False, encode_multipart=False
            )
            if fields
            else self._pool.request(method, self._issuer + path, headers=headers, redirect=False)
        )
        self._cookie = answer.headers.get("Set-Cookie", self._cookie).partition(";")[0]
        return answer


def main(seconds: float = 10.0) -> None:
    """Measure both, and print."""
    capacity = _capacity()
    with _provider() as issuer:
        visitor = Visitor(issuer)
        quiet = _latencies(visitor, seconds / 2)
        answers, flooded = _flooded(issuer, visitor, seconds, capacity * TIMES)
    print(f"hashing capacity of a process: {capacity:.0f}/s; flood: {sum(answers.values()) / seconds:.0f}/s", answers)
    print(f"{'page':<24}{'quiet p50':>12}{'p95':>9}{'flood p50':>12}{'p95':>9}{'times':>8}   (ms)")
    for page in PAGES:
        before, after = _points(quiet[page]), _points(flooded[page])
        columns = f"{before[0]:>12.1f}{before[1]:>9.1f}{after[0]:>12.1f}{after[1]:>9.1f}"
        print(f"{page:<24}{columns}{after[0] / before[0]:>8.2f}")


def _capacity() -> float:
    began = time.perf_counter()
    for _ in range(10):
        phc.make("correct horse battery staple")
    return 10 * hashing.THREADS / (time.perf_counter() - began)


def _latencies(visitor: Visitor, seconds: float) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {page: [] for page in PAGES}
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for page in PAGES:
            taken[page].append(visitor.see(page))
        time.sleep(0.02)
    return taken


def _flooded(issuer: str, visitor: Visitor, seconds: float, rate: float) -> tuple[Counter[int], dict[str, list[float]]]:
    answers: Counter[int] = Counter()
    flooders = [Visitor(issuer) for _ in range(FLOODERS)]
    ends = time.monotonic() + seconds

    def flood(one: Visitor) -> None:
        due = time.monotonic()
        while (now := time.monotonic()) < ends:
            if due > now:
                time.sleep(due - now)
            answers[one.guess()] += 1
            due += FLOODERS / rate

    threads = [threading.Thread(target=flood, args=(one,)) for one in flooders]
    for thread in threads:
        thread.start()
    taken = _latencies(visitor, seconds)
    for thread in threads:
        thread.join()
    return answers, taken


def _points(taken: list[float]) -> tuple[float, float]:
    return statistics.median(taken) * 1000, statistics.quantiles(taken, n=20)[-1] * 1000


@contextlib.contextmanager
def _provider() -> Iterator[str]:
    """A provider of this checkout, and its address."""
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        issuer = f"http://localhost:{port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")} | {
            "IDP_ISSUER": issuer,
            "IDP_DATABASE_URL": f"sqlite:///{Path(folder) / 'canopy.db'}",
            "IDP_SECRET_KEY": secrets.token_urlsafe(48),
            "IDP_RATE_LIMITS": "off",
        }
        idp = [sys.executable, "-c", "from idp.cli import main; main()"]
        subprocess.run([*idp, "db", "upgrade"], env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        with open(os.devnull, "wb") as nowhere:
            server = subprocess.Popen(  # noqa: S603
                [*idp, "serve", "--bind", f"127.0.0.1:{port}", "--workers", "1"],
                env=environment,
                stdout=nowhere,
                stderr=nowhere,
            )
        try:
            _await(f"{issuer}/readyz")
            yield issuer
        finally:
            server.terminate()
            server.wait(30)


def _await(address: str) -> None:
    for _ in range(200):
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            if urllib3.request("GET", address, retries=False, timeout=2).status == 200:
                return
        time.sleep(0.1)
    raise SystemExit("the provider did not start")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
