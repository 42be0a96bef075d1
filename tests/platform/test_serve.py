"""`idp serve` as processes: it says when it is ready, replaces what dies, keeps secrets, and leaves in good order."""

import http.client
import os
import signal
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.databases import SECRET_KEY, Template
from tests.platform.serving import METRICS_TOKEN, Answer, Service


@pytest.fixture(scope="module")
def service(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One that serves while the tests of this module look at it; two workers, and one for jobs."""
    folder = tmp_path_factory.mktemp("service")
    with template.copy(folder) as url, Service(url, folder, workers=2).running() as service:
        yield service


def test_standard_output_tells_of_readiness_once_and_of_nothing_else(service: Service) -> None:
    assert service.get("/readyz").status == 200
    assert service.said() == f"READY http://localhost:{service.port}\n"


def test_secrets_stand_neither_in_requests_nor_where_the_system_shows_them_nor_in_logs(service: Service) -> None:
    environ = service.get("/who").json["environ"]
    shown = [Path(f"/proc/{pid}/environ").read_text("latin-1") for pid in (service.pid, *service.workers())]
    for place in (str(environ), *shown, service.log.read_text()):
        for secret in (SECRET_KEY, METRICS_TOKEN, service.url):
            assert secret not in place
    assert all("IDP_SECRET_KEY=***" in place for place in shown)


def test_a_killed_worker_costs_at_most_one_request_and_is_back_within_five_seconds(service: Service) -> None:
    before = set(service.workers())
    victim = service.get("/who").json["pid"]
    failed = 0
    os.kill(victim, signal.SIGKILL)
    for _ in range(100):
        try:
            assert service.get("/who").status == 200
        except (OSError, http.client.HTTPException):
            failed += 1
    assert failed <= 1
    service.until(lambda: len(service.workers()) == 3 and victim not in service.workers(), within=5)
    assert len(before & set(service.workers())) == 2


def test_counts_of_all_workers_are_read_together(service: Service) -> None:
    def counted() -> float:
        lines = service.get("/metrics").body.decode().splitlines()
        wanted = 'canopy_http_requests_total{method="GET",route="/who",status="200"} '
        return next((float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted)), 0)

    before = counted()
    pids = {service.get("/who").json["pid"] for _ in range(30)}
    assert counted() == before + 30
    assert pids <= set(service.workers())


# What HTTP allows

_BAD = {
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "a list of lengths": b"Content-Length: 4, 4\r\n\r\nabcd",
    "a length with a sign": b"Content-Length: +4\r\n\r\nabcd",
    "junk instead of chunks": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded line": b"X-Folded: a\r\n b\r\n\r\n",
    "a bare return": b"X-Bare: a\rb\r\n\r\n",
    "a null": b"X-Null: a\0b\r\n\r\n",
    "two hosts": b"Host: elsewhere.test\r\n\r\n",
}


@pytest.mark.rule("HTT-08")
@pytest.mark.parametrize("head", _BAD.values(), ids=_BAD)
def test_what_two_readers_could_read_differently_is_refused_and_the_connection_closed(
    service: Service, head: bytes
) -> None:
    host = f"Host: localhost:{service.port}\r\n".encode()
    following = b"GET /who HTTP/1.1\r\n" + host + b"\r\n"
    answered, closed = service.raw(b"GET /who HTTP/1.1\r\n" + host + head + following)
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert answered.count(b"HTTP/1.1 ") == 1
    assert closed


def test_a_head_that_never_ends_is_not_read_forever(service: Service) -> None:
    answered, closed = service.raw(b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 400_000)
    assert (answered[:13], closed) == (b"HTTP/1.1 431 ", True)


def test_a_body_that_was_cut_off_is_not_acted_upon(service: Service) -> None:
    head = f"POST /entries HTTP/1.1\r\nHost: localhost:{service.port}\r\nContent-Length: 40\r\n"
    kind = "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    assert service.raw(f"{head}{kind}subject=usr_half".encode(), timeout=0.5) == (b"", False)
    service.post("/entries", "subject=usr_whole")
    assert service.get("/entries").json == ["usr_whole"]


# TLS


def test_tls_is_spoken_from_1_2_on_and_nothing_else(database_url: str, tmp_path: Path) -> None:
    with Service(database_url, tmp_path, tls=self_signed(tmp_path)).running() as service:
        assert service.get("/readyz").status == 200
        assert service.said() == f"READY https://localhost:{service.port}\n"
        assert _shakes_hands(service, ssl.TLSVersion.TLSv1_3)
        assert _shakes_hands(service, ssl.TLSVersion.TLSv1_2)
        assert not _shakes_hands(service, ssl.TLSVersion.TLSv1_1)
        assert b" 200 " not in service.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")[0]


def _shakes_hands(service: Service, version: ssl.TLSVersion) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"), socket.create_connection(("127.0.0.1", service.port), 5) as line:
        context.minimum_version = context.maximum_version = version
        try:
            context.wrap_socket(line).close()
        except ssl.SSLError:
            return False
        return True


# The end


def test_a_stop_leaves_readiness_finishes_what_runs_and_then_closes(
    database_url: str, tmp_path: Path, template: Template
) -> None:
    slow: list[Answer] = []
    with Service(database_url, tmp_path).running() as service:
        running = threading.Thread(target=lambda: slow.append(service.get("/slow?seconds=5", timeout=20)))
        running.start()
        service.until(lambda: service.is_ready(), within=5)
        os.kill(service.pid, signal.SIGTERM)
        service.until(lambda: service.get("/readyz").status == 503, within=2)
        assert service.get("/readyz").json["failed"] == "serving"
        assert service.get("/who").status == 200
        service.until(lambda: _is_closed(service), within=4)
        assert running.is_alive()
        running.join()
        assert (slow[0].status, slow[0].body) == (200, b"done")
        assert service.wait(5) == 0
        assert service.said().count("READY") == 1


def _is_closed(service: Service) -> bool:
    try:
        service.get("/healthz", timeout=1)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
