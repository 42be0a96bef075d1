"""A flood of sign-ins: what is too much is turned away, and other pages are still answered."""

import http.client
import re
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from idp.credentials import hashing
from tests.platform.serving import Service

AT_ONCE = 10 * hashing.THREADS
"""People who sign in at once: ten times as many as passwords are hashed at once."""

SECONDS = 3.0

Told = tuple[int, bool]
"""A status, and whether it was said when to come back."""


def sign_in_without_end(service: Service, number: int) -> list[Told]:
    """Wrong passwords for people who do not exist, one after the other; what is answered."""
    told = []
    deadline = time.monotonic() + SECONDS
    with closing(http.client.HTTPConnection("localhost", service.port, timeout=10)) as line:
        while time.monotonic() < deadline:
            told += attempt(line, f"nobody-{number}")
    return told


def attempt(line: http.client.HTTPConnection, name: str) -> list[Told]:
    begun = ask(line, "GET", "/login", {})
    if begun.status != 303:
        return [(begun.status, "Retry-After" in begun.headers)]
    cookie = {"Cookie": begun.headers["Set-Cookie"].partition(";")[0]}
    address = begun.headers["Location"]
    shown = ask(line, "GET", address, cookie)
    token = re.search(rb'name="csrf_token" value="([^"]+)"', shown.body)
    if token is None:
        return [(shown.status, "Retry-After" in shown.headers)]
    told = []
    for path, field in ((address, "username"), (address.replace("/login?", "/login/password?"), "password")):
        body = urlencode({"csrf_token": token[1].decode(), field: name})
        answer = ask(line, "POST", path, cookie | {"Content-Type": "application/x-www-form-urlencoded"}, body)
        told.append((answer.status, "Retry-After" in answer.headers))
    return told


class Answer:
    """What was answered."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()


def ask(
    line: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: str | None = None
) -> Answer:
    line.request(method, path, body, headers)
    return Answer(line.getresponse())


def look_around(service: Service, seconds: float) -> list[float]:
    """How long pages take, each of which must be answered."""
    took = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = service.get("/logout", timeout=10)
        assert answer.status == 200, answer.body
        took.append(answer.seconds)
        time.sleep(0.05)
    return took


def milliseconds(took: list[float]) -> str:
    return f"median {statistics.median(took) * 1000:.0f} ms, longest {max(took) * 1000:.0f} ms"


def test_a_flood_of_sign_ins_is_turned_away_and_other_pages_are_answered(database_url: str, tmp_path: Path) -> None:
    with Service(database_url, tmp_path).running() as service, ThreadPoolExecutor(AT_ONCE) as crowd:
        quiet = look_around(service, 1)
        flood = [crowd.submit(sign_in_without_end, service, number) for number in range(AT_ONCE)]
        flooded = look_around(service, SECONDS)
        told = [one for wave in flood for one in wave.result()]
    print(f"other pages: {milliseconds(quiet)}; in a flood: {milliseconds(flooded)}; answers: {Counter(told)}")
    assert {status for status, _ in told} <= {200, 303, 429, 503}
    assert all(says_when == (status in (429, 503)) for status, says_when in told)
    assert len(told) >= AT_ONCE
