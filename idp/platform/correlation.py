"""Where the current work comes from: the request id that stands in logs, audit entries and on error pages."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

_SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: nothing that is mistaken for another sign when read out."""


def _reference() -> str:
    """A new request id of 80 random bits in four groups, e.g. `7Q4K-M2ZD-91XA-0TPC`: people quote it on the phone."""
    number = secrets.randbits(80)
    signs = "".join(_SIGNS[number >> shift & 31] for shift in range(75, -1, -5))
    return "-".join(signs[start : start + 4] for start in range(0, 16, 4))


@dataclass(frozen=True)
class Origin:
    """A request, command or job: its id, and the network address and user agent of a request (else empty)."""

    request_id: str = field(default_factory=_reference)
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
