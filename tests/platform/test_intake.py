"""The intake: bodies whole, turns bounded, and an answer for everybody, however many come at once."""

import io
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from idp.platform import intake
from idp.platform.forms import BODY_LIMIT
from idp.platform.intake import Intake

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class _Inner:
    """An application that takes its time: each request waits until `let_go`."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.let_go = threading.Event()
        self.bodies: list[bytes] = []
        self.most_at_once = self._now = 0
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            self._work(environ)
        start_response("200 OK", [])
        return [b"done"]

    def _work(self, environ: "WSGIEnvironment") -> None:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        self.begun.release()
        assert self.let_go.wait(20)
        self.bodies.append(environ["wsgi.input"].read())
        with self._lock:
            self._now -= 1


class _Slow(io.BytesIO):
    """A body of which the rest has not come yet."""

    def __init__(self) -> None:
        super().__init__(b"rest")
        self.waited_for = threading.Event()
        self.comes = threading.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        self.waited_for.set()
        assert self.comes.wait(20)
        return super().read(size)


def _ask(app: Intake, path: str = "/", body: io.BytesIO | None = None, length: str = "") -> tuple[int, dict[str, str]]:
    told: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        told.extend((int(status[:3]), dict(headers)))

    environ = {"PATH_INFO": path, "wsgi.input": body or io.BytesIO(), "CONTENT_LENGTH": length}
    b"".join(app(environ, start_response))
    return told[0], told[1]


@pytest.fixture
def inner(monkeypatch: pytest.MonkeyPatch) -> _Inner:
    for name, value in {"WORKING": 2, "WAITING": 3, "READING": 1, "PATIENCE": 0.5}.items():
        monkeypatch.setattr(intake, name, value)
    return _Inner()


def test_so_many_work_so_many_wait_and_one_more_is_told_to_come_back_at_once(
    inner: _Inner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "PATIENCE", 60)  # who waited would find the work done
    app = Intake(inner)
    with ThreadPoolExecutor(5) as many:
        first = [many.submit(_ask, app) for _ in range(5)]
        assert all(inner.begun.acquire(timeout=20) for _ in range(2))
        while app._seats._value:
            time.sleep(0.01)
        status, headers = _ask(app)
        assert (status, headers["Retry-After"], headers["Cache-Control"]) == (503, "1", "no-store")
        assert headers["X-Request-Id"]
        assert _ask(app, "/healthz")[0] == 200
        inner.let_go.set()
        assert [asked.result()[0] for asked in first] == [200] * 5
    assert inner.most_at_once == 2
    assert _ask(app)[0] == 200


def test_who_waited_long_enough_is_told_to_come_back(inner: _Inner) -> None:
    app = Intake(inner)
    with ThreadPoolExecutor(2) as many:
        working = [many.submit(_ask, app) for _ in range(2)]
        assert all(inner.begun.acquire(timeout=20) for _ in range(2))
        began = time.monotonic()
        assert _ask(app)[0] == 503
        assert time.monotonic() - began > 0.4
        inner.let_go.set()
        assert [asked.result()[0] for asked in working] == [200] * 2


def test_a_body_that_trickles_takes_no_turn_and_more_of_them_are_turned_away(inner: _Inner) -> None:
    app, slow = Intake(inner), _Slow()
    inner.let_go.set()
    with ThreadPoolExecutor(1) as other:
        trickling = other.submit(_ask, app, "/", slow, "4")
        assert slow.waited_for.wait(20)
        assert _ask(app, body=io.BytesIO(b"whole"), length="5")[0] == 503
        assert [_ask(app)[0] for _ in range(3)] == [200] * 3
        slow.comes.set()
        assert trickling.result()[0] == 200
    assert inner.bodies == [b"", b"", b"", b"rest"]


def test_a_body_that_ends_before_its_length_is_refused(inner: _Inner) -> None:
    inner.let_go.set()
    status, headers = _ask(Intake(inner), body=io.BytesIO(b"amount=1"), length="9")
    assert (status, headers["Connection"]) == (400, "close")
    assert inner.bodies == []


@pytest.mark.parametrize("length", [str(BODY_LIMIT + 1), "-1", "x", "٣"])
def test_what_the_gate_will_refuse_is_not_read_here(inner: _Inner, length: str) -> None:
    inner.let_go.set()
    unread = _Slow()
    unread.comes.set()
    _ask(Intake(inner), body=unread, length=length)
    assert inner.bodies == [b"rest"]  # read by the application, not before
