"""Where the current work comes from: the request id that stands in logs, audit entries and on error pages."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Origin:
    """A request, command or job: its id, and the network address and user agent of a request (else empty)."""

    request_id: str = field(default_factory=lambda: secrets.token_hex(12))
    address: str = ""
    user_agent: str = ""


_current: ContextVar[Origin | None] = ContextVar("origin", default=None)


def current() -> Origin:
    """The origin of the work in hand; outside of a request, command or job one is made up."""
    origin = _current.get()
    if origin is None:
        origin = Origin()
        _current.set(origin)
    return origin


@contextmanager
def working_for(origin: Origin) -> Iterator[Origin]:
    """Let everything inside the block be on account of `origin`."""
    token = _current.set(origin)
    try:
        yield origin
    finally:
        _current.reset(token)
