"""The web server: granian around a WSGI application, in one process, on a listener that somebody else holds open.

One listener is shared by all workers, so a connection that a killed worker had not yet accepted goes to another one.
granian's own supervisor is not used: it closes the listener as soon as it is told to stop, and gives up on workers
that die twice. What is called here is the function that it calls in its worker processes, hence the narrow version.
"""

import asyncio
import errno
import os
import resource
import socket
import ssl
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from granian._granian import SocketHolder
from granian.constants import HTTPModes, RuntimeModes, SSLProtocols, TaskImpl
from granian.http import HTTP1Settings
from granian.server.mp import MPServer

from idp.platform import clock, intake
from idp.platform.errors import Refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

CONNECTIONS = 1024
"""Connections that a worker keeps open; more wait in the listener's queue."""

BACKLOG = 1024
"""Connections that wait to be accepted; more are told nothing and try again."""

HEAD_TIME = 30_000
"""Milliseconds in which the head of a request has to come in; also the time a connection may idle."""

HEAD_SIZE = 128 * 1024
"""Bytes that are read in search of the end of a head; the gate says more precisely what is too much."""

PORT_PATIENCE = 5.0
"""Seconds to wait for a port that a predecessor is just giving back."""

_FILES = 16_384


class CannotServe(Refusal):
    """The address or the certificate does not allow to serve."""

    code = "cannot_serve"
    status = 500
    title = "The server cannot begin"
    remedy = "Set what is named and start again."


@dataclass(frozen=True)
class Tls:
    """A certificate with its chain, and its private key: PEM files."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """Raise `CannotServe` unless the key is PKCS#8, belongs to the certificate, and is not for everybody."""
        try:
            text = self.key.read_text("ascii")
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password=_refuse)
        except (OSError, ValueError) as error:
            raise CannotServe(f"--tls-cert and --tls-key: {self.certificate}, {self.key}: {error}") from None
        if "-----BEGIN PRIVATE KEY-----" not in text:
            raise CannotServe(f"--tls-key: {self.key} is not PKCS#8; `openssl pkcs8 -topk8 -nocrypt` makes it so")
        if self.key.stat().st_mode & stat.S_IROTH:
            raise CannotServe(f"--tls-key: {self.key} can be read by everybody; `chmod o-r` it")


def _refuse() -> str:
    raise ValueError("the key is protected by a password")


def listen(host: str, port: int) -> socket.socket:
    """A listener for all workers. Raises `CannotServe` when the address is not to be had."""
    _allow_many_files()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    deadline = clock.monotonic() + PORT_PATIENCE
    while True:
        try:
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or clock.monotonic() > deadline:
                raise CannotServe(f"--bind: {host}:{port}: {os.strerror(error.errno or 0)}") from None
        threading.Event().wait(0.1)


def _allow_many_files() -> None:
    """Every connection is a file, and the usual limit is for programs that have few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def serve(app: "WSGIApplication", listener: socket.socket, tls: Tls | None) -> None:
    """Answer requests that come in at `listener` until SIGTERM, then finish those that have begun.

    Takes the process for itself: its signals, and its copy of `listener`.
    """
    own = os.dup(listener.fileno())
    listener.close()
    MPServer._spawn_wsgi_worker.__wrapped__(
        worker_id=1,
        callback=intake.Intake(app),
        sock=(None, SocketHolder(own, False, BACKLOG)),  # type: ignore[call-arg]  # its stub lacks them
        ipc=None,
        loop=asyncio.new_event_loop(),
        runtime_mode=RuntimeModes.mt,
        runtime_threads=1,
        runtime_blocking_threads=4,
        blocking_threads=intake.THREADS,
        blocking_threads_idle_timeout=60,
        backpressure=CONNECTIONS,
        task_impl=TaskImpl.asyncio,
        http_mode=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_TIME, max_buffer_size=HEAD_SIZE),
        http2_settings=None,
        websockets=False,
        static_path=None,
        log_access_fmt=None,
        ssl_ctx=_ssl_context(tls),
        scope_opts={},
        metrics=(None, None),
    )


def _ssl_context(tls: Tls | None) -> tuple[bool, str | None, str | None, None, str, None, list[str], bool]:
    """In granian's order. TLS 1.2 and later (RFC 9325 §3.1.1); rustls speaks it with its authenticated ciphers only."""
    certificate, key = (str(tls.certificate), str(tls.key)) if tls else (None, None)
    return (tls is not None, certificate, key, None, str(SSLProtocols.tls12), None, [], False)
