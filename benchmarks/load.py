"""Load: any number of connections in one thread, each going through its acts one after the other."""

import gc
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.wire import Reply, Steps, addressed, reply_in

Act = Callable[[], Steps]
"""Begins one act anew."""

PATIENCE = 30.0
"""Seconds for an answer."""


@dataclass
class Sample:
    """What was measured: how long each act took, in seconds, and all of them together."""

    seconds: float
    acts: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """The quantile `share` (0.5: the median), in seconds."""
        ordered = sorted(self.acts)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def rate(self) -> float:
        """Acts a second."""
        return len(self.acts) / self.seconds

    @classmethod
    def of(cls, several: Sequence["Sample"]) -> "Sample":
        """All of them as one."""
        return cls(sum(one.seconds for one in several), [took for one in several for took in one.acts])


class _Connection:
    """A connection that goes through its acts; `took` holds how long each of them was under way."""

    def __init__(self, port: int, act: Act) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.took: list[float] = []
        self._host = f"localhost:{port}".encode()
        self._act, self._buffer = act, b""

    def begin(self) -> None:
        """Send the first request of the next act."""
        self._steps = self._act()
        first = next(self._steps)
        self._began = time.perf_counter()
        self._send(first)

    def take(self) -> bool:
        """Take in what has come, and send what follows from it; whether an act has ended."""
        piece = self.socket.recv(262_144)
        if not piece:
            raise ConnectionError("the provider has closed the connection")
        self._buffer += piece
        reply = reply_in(self._buffer)
        return reply is not None and self._go_on(reply)

    def _go_on(self, reply: Reply) -> bool:
        self._buffer, now = b"", time.perf_counter()
        try:
            self._send(self._steps.send(reply))
        except StopIteration:
            self.took.append(now - self._began)
            return True
        return False

    def _send(self, request: bytes) -> None:
        self.socket.sendall(addressed(request, self._host))


def once(port: int, steps: Steps) -> None:
    """Go through `steps` now."""
    connection = _Connection(port, lambda: steps)
    with connection.socket:
        connection.begin()
        while not connection.take():
            pass


def drive(port: int, acts: Sequence[Act], seconds: float) -> Sample:
    """Repeat each of `acts` on a connection of its own for that long. Raises `Unexpected`, `OSError`."""
    connections = [_Connection(port, act) for act in acts]
    gc.collect()
    gc.disable()
    try:
        with selectors.DefaultSelector() as selector:
            began = time.perf_counter()
            for one in connections:
                selector.register(one.socket, selectors.EVENT_READ, one)
                one.begin()
            _repeat(selector, len(connections), began + seconds)
            spent = time.perf_counter() - began
    finally:
        gc.enable()
        for one in connections:
            one.socket.close()
    return Sample(spent, [took for one in connections for took in one.took])


def _repeat(selector: selectors.BaseSelector, busy: int, until: float) -> None:
    while busy:
        ready = selector.select(PATIENCE)
        if not ready:
            raise TimeoutError("the provider does not answer")
        for key, _ in ready:
            connection: _Connection = key.data
            if not connection.take():
                continue
            if time.perf_counter() < until:
                connection.begin()
            else:
                selector.unregister(connection.socket)
                busy -= 1
