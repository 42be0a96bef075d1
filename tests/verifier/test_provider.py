"""Asking over a network that is slow or forgets connections: never for long, and never with half an answer."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from idp_verifier.provider import Answer, Away, Provider
from tests.certificates import self_signed
from tests.verifier.provider import FakeProvider

Talk = Callable[[socket.socket], None]

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def listening() -> Iterator[Callable[[Talk], Provider]]:
    """Makes providers that talk in their own way over each connection."""
    opened: list[socket.socket] = []
    providers: list[Provider] = []

    def listen(talk: Talk) -> Provider:
        listener = socket.create_server(("127.0.0.1", 0))
        opened.append(listener)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                opened.append(connection)
                threading.Thread(target=_quietly, args=(talk, connection), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        providers.append(Provider([address], "app_payments", "secret"))
        return providers[-1]

    yield listen
    for provider in providers:
        provider.close()
    for one in opened:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


def _quietly(talk: Talk, connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side had enough
        talk(connection)


def _asked(connection: socket.socket) -> None:
    """Wait for a request."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        piece = connection.recv(4_096)
        if not piece:
            raise ConnectionResetError
        received += piece


def test_an_answer_in_drips_is_none(listening: Callable[[Talk], Provider]) -> None:
    def drip(connection: socket.socket) -> None:
        _asked(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        for _ in range(98):
            time.sleep(0.1)
            connection.sendall(b" ")
        connection.sendall(b"}")

    began = time.monotonic()
    with pytest.raises(Away, match="too long"):
        listening(drip).get("/")
    assert time.monotonic() - began < 9


def test_half_an_answer_is_none(listening: Callable[[Talk], Provider]) -> None:
    def cut(connection: socket.socket) -> None:
        _asked(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
        connection.shutdown(socket.SHUT_WR)

    with pytest.raises(Away):
        listening(cut).get("/")


def test_in_pieces_an_answer_is_whole_and_its_connection_used_again(listening: Callable[[Talk], Provider]) -> None:
    connections: list[socket.socket] = []

    def in_pieces(connection: socket.socket) -> None:
        connections.append(connection)
        while True:
            _asked(connection)
            connection.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n')
            time.sleep(0.05)
            connection.sendall(b"3\r\n 1}\r\n0\r\n\r\n")

    provider = listening(in_pieces)
    assert [provider.get("/") for _ in range(3)] == [Answer(200, {"a": 1})] * 3
    assert len(connections) == 1


def test_once_a_connection_turns_out_to_be_forgotten_the_others_are_not_tried(
    listening: Callable[[Talk], Provider],
) -> None:
    """As by a firewall: nobody says so, requests on them are just never answered."""
    old, together = threading.Semaphore(3), threading.Barrier(3)

    def talk(connection: socket.socket) -> None:
        is_old = old.acquire(blocking=False)
        _asked(connection)
        if is_old:
            together.wait(5)
        connection.sendall(_ANSWER)
        _asked(connection)

    provider = listening(talk)
    threads = [threading.Thread(target=provider.get, args=("/",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(Away):
        provider.get("/")
    assert provider.get("/").status == 200


@pytest.fixture
def node() -> Iterator[FakeProvider]:
    node = FakeProvider()
    node.start()
    yield node
    node.stop()


def test_a_certificate_has_to_be_one_that_is_trusted_and_of_that_host(node: FakeProvider, tmp_path: Path) -> None:
    own = self_signed(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(own.certificate, own.key)
    assert node.server
    node.server.socket = serving.wrap_socket(node.server.socket, server_side=True)
    port = node.server.server_address[1]
    told = ssl.create_default_context(cafile=str(own.certificate))
    path = "/.well-known/jwks.json"
    trusting = Provider([f"https://localhost:{port}"], "app_payments", "secret", told)
    assert trusting.get(path).status == 200
    trusting.close()
    for address, tls in ((f"https://localhost:{port}", None), (f"https://127.0.0.1:{port}", told)):
        with pytest.raises(Away, match="CERTIFICATE_VERIFY_FAILED"):
            Provider([address], "app_payments", "secret", tls).get(path)
    assert node.count(path) == 1


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_nothing_in_the_environment_leads_it_elsewhere(
    node: FakeProvider, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    asking = Provider([node.issuer], "app_payments", "secret")
    assert asking.get("/.well-known/jwks.json").status == 200
    asking.close()
