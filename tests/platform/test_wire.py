"""What really arrives over a socket: targets, hosts and bodies as the server hands them to the gate."""

import http.client
from collections.abc import Iterator

import pytest
import urllib3

from tests import databases
from tests.platform.serving import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One worker, on a database that it hardly needs."""
    folder = tmp_path_factory.mktemp("wire")
    [template] = databases.template("sqlite", folder)
    with Service(f"sqlite:///{template.name}", folder).running() as service:
        yield service


def status_of(answered: bytes) -> int:
    return int(answered.split(b" ", 2)[1])


@pytest.mark.rule("HTT-03")
def test_an_absolute_target_does_not_tell_us_who_we_are(service: Service) -> None:
    ours, theirs = f"localhost:{service.port}".encode(), b"evil.test"
    rest = b"\r\nConnection: close\r\nAccept: application/json\r\n\r\n"
    answered, _ = service.raw(b"GET http://evil.test/nowhere HTTP/1.1\r\nHost: " + ours + rest)
    assert status_of(answered) == 404
    assert theirs not in answered
    answered, _ = service.raw(b"GET http://" + ours + b"/nowhere HTTP/1.1\r\nHost: " + theirs + rest)
    assert status_of(answered) == 421
    assert theirs not in answered


@pytest.mark.rule("HTT-03")
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /nowhere HTTP/1.1\r\nHost: evil.test\r\n", 421),
        (b"GET /nowhere HTTP/1.1\r\n", 400),
        (b"GET /nowhere HTTP/1.0\r\n", 400),
        (b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n", 421),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n", 421),
    ],
)
def test_a_host_that_is_not_ours_is_refused(service: Service, head: bytes, status: int) -> None:
    answered, closed = service.raw(head + b"\r\n")
    assert (status_of(answered), closed) == (status, True)


@pytest.mark.rule("HTT-05")
@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/caf%C3%A9", 404),
        (b"/%ff", 400),
        (b"/%00", 400),
        (b"/\xff", 400),
        (b"/a%0d%0aX-Injected:1", 400),
        (b"/a?b=%ED%A0%80", 400),
        (b"/static/x/%2e%2e/%2e%2e/wsgi.py", 404),
        (b"/" + b"a" * 20_000, 414),
    ],
)
def test_targets_arrive_as_they_were_written(service: Service, target: bytes, status: int) -> None:
    host = f"Host: localhost:{service.port}\r\nConnection: close\r\n\r\n".encode()
    answered, _ = service.raw(b"GET " + target + b" HTTP/1.1\r\n" + host)
    assert status_of(answered) == status
    assert b"X-Injected" not in answered


@pytest.mark.rule("HTT-05")
def test_whoever_sends_too_much_gets_to_hear_it(service: Service) -> None:
    manager = urllib3.PoolManager(retries=False, timeout=5)
    answer = manager.request("POST", f"http://localhost:{service.port}/entries", body=b"a" * 10_000_000)
    assert (answer.status, answer.headers["Connection"]) == (413, "close")
    manager.clear()
    connection = http.client.HTTPConnection("localhost", service.port, timeout=5)
    connection.request("POST", "/entries", b"a" * 10_000_000)
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.rule("HTT-05")
def test_whoever_asks_before_sending_too_much_is_told_at_once(service: Service) -> None:
    head = f"POST /entries HTTP/1.1\r\nHost: localhost:{service.port}\r\nContent-Length: 10000000\r\n"
    answered, closed = service.raw(f"{head}Expect: 100-continue\r\n\r\n".encode(), timeout=2)
    assert status_of(answered) == 413
    assert closed


def test_a_head_request_leaves_the_connection_in_order(service: Service) -> None:
    connection = http.client.HTTPConnection("localhost", service.port, timeout=5)
    for method in ("HEAD", "GET", "HEAD"):
        connection.request(method, "/nowhere")
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (404, method == "GET")
    connection.close()
