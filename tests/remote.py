"""Servers of others, well-behaved or not, that outgoing requests reach."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from flask import Flask

from idp.platform.settings import Settings, configure
from idp.platform.web_server import Tls

Script = Callable[[socket.socket], None]
"""What is said after a request was read; the connection is closed then."""

JSON = "application/json"


def answer(
    body: bytes = b"{}", *, status: str = "200 OK", media_type: str = JSON, headers: tuple[str, ...] = ()
) -> Script:
    """An ordinary answer."""
    head = [f"HTTP/1.1 {status}", f"Content-Type: {media_type}", f"Content-Length: {len(body)}", *headers]
    return lambda connection: connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)


@dataclass
class Remote:
    """A server on loopback. `script` may be exchanged at any time; `requests` are the heads that it has read."""

    script: Script
    port: int
    secure: bool
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str = "/", host: str = "localhost") -> str:
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{path}"


@contextlib.contextmanager
def remote(script: Script, *, tls: Tls | None = None) -> Iterator[Remote]:
    """Serve `script` until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    found = Remote(script, listener.getsockname()[1], secure=tls is not None)
    context = _context(tls) if tls else None
    open_ones: list[socket.socket] = []
    threading.Thread(target=_accept, args=(listener, found, context, open_ones), daemon=True).start()
    try:
        yield found
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in open_ones:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    return context


def _accept(
    listener: socket.socket, found: Remote, context: ssl.SSLContext | None, open_ones: list[socket.socket]
) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            found.connections += 1
            open_ones.append(connection)
            threading.Thread(target=_serve, args=(connection, found, context), daemon=True).start()


def _serve(connection: socket.socket, found: Remote, context: ssl.SSLContext | None) -> None:
    with contextlib.suppress(OSError), contextlib.closing(connection):
        secured = context.wrap_socket(connection, server_side=True) if context else connection
        with contextlib.closing(secured):
            head = b""
            while b"\r\n\r\n" not in head and (piece := secured.recv(65_536)):
                head += piece
            found.requests.append(head)
            found.script(secured)


def allow(app: Flask, found: Remote) -> None:
    """Let requests of `app` reach the server, as its operator may (`IDP_OUTBOUND_ALLOW`)."""
    known: Settings = app.extensions["canopy_settings"]
    configure(app, known.model_copy(update={"outbound_allow": (*known.outbound_allow, f"localhost:{found.port}")}))
