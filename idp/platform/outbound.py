"""Requests to addresses that others gave us: only where the whole world may go, and never for long or for much (SSR).

A name is resolved once, every address that it has is checked, and what was checked is connected to. There are no
redirects, no proxies, no compressed answers beyond the limit, and one refusal for whatever goes wrong: what it was
stands in the operator's log.
"""

import ipaddress
import re
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final

import structlog
import urllib3
from urllib3.connection import HTTPConnection

from idp.platform import clock, database, memory
from idp.platform.errors import Refusal
from idp.platform.hosts import Address
from idp.platform.public_addresses import is_public
from idp.platform.settings import Settings, settings

TIME_LIMIT: Final = 5.0
"""Seconds from the look-up of the name to the last byte."""

SIZE_LIMIT: Final = 1_000_000
"""Bytes of an answer, and of what it is when it is not compressed any more."""

AT_ONCE: Final = 8
"""Outgoing requests of a process at a time, a quarter of its threads: whoever is slow is slow to few."""

_HEAD_LIMIT: Final = 64_000
_LONGEST: Final = 2_000
_URL = re.compile(r"(https?)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?((?:/[!-~]*)?(?:\?[!-~]*)?)")
_NAME = re.compile(r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")

log = structlog.get_logger()


class OutboundFailed(Refusal):
    """Nothing usable came from the address, or it is none that we go to; nobody is told which (SSR-04)."""

    code = "address_unusable"
    status = 422
    title = "Nothing usable could be fetched from an address that was given"
    remedy = "Check that the address is public, begins with https and answers directly; the operator's log says more."


class _Fault(Exception):
    """Why an outgoing request failed: for the operator's log."""


@dataclass(frozen=True)
class _Target:
    """An address taken apart. `host` in lower case and without brackets; `address`: it, if it is one already."""

    secure: bool
    host: str
    port: int
    path: str
    address: Address | None

    @property
    def authority(self) -> str:
        """What `Host` says."""
        named = f"[{self.host}]" if ":" in self.host else self.host
        return named if self.port == (443 if self.secure else 80) else f"{named}:{self.port}"


def get(url: str, *, accept: tuple[str, ...]) -> bytes:
    """What lies at `url`: the body of a 200 with one of the media types `accept`. Not inside `database.writing()`.

    Raises `OutboundFailed`.
    """
    database.not_while_writing("an outgoing request")
    try:
        with _place(), _within(_Budget(clock.monotonic() + TIME_LIMIT, SIZE_LIMIT + _HEAD_LIMIT)):
            target = _taken_apart(url)
            return _exchange(target, _open(target, _checked_addresses(target)), accept)
    except (_Fault, OSError, HTTPException, ValueError, zlib.error, urllib3.exceptions.HTTPError) as error:
        raise _failed(url, error) from None


def require_plausible(url: str) -> None:
    """Refuse an address that we would not go to, as far as its spelling tells: no name is looked up.

    Raises `OutboundFailed`.
    """
    try:
        target = _taken_apart(url)
        _require_all_allowed(target, _spelled(target))
    except _Fault as error:
        raise _failed(url, error) from None


def require_reachable(url: str) -> None:
    """Refuse an address that we would not go to, as far as can be known without connecting: for what is registered.

    A name that has no address yet is let through: whether it has good ones is looked at again when it is used. Not
    inside `database.writing()`. Raises `OutboundFailed`.
    """
    database.not_while_writing("looking up a name")
    try:
        with _place(), _within(_Budget(clock.monotonic() + TIME_LIMIT, 0)):
            target = _taken_apart(url)
            _require_all_allowed(target, _addresses(target))
    except (OSError, UnicodeError):
        return
    except _Fault as error:
        raise _failed(url, error) from None


def _failed(url: str, error: Exception) -> OutboundFailed:
    """What the caller is told, once the operator's log has the reason (SSR-04)."""
    log.warning("outgoing request failed", url=url[:_LONGEST], reason=f"{type(error).__name__}: {error}")
    return OutboundFailed()


_busy = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def _place() -> Iterator[None]:
    if not _busy.acquire(blocking=False):
        raise _Fault("too many outgoing requests at once")
    try:
        yield
    finally:
        _busy.release()


# Which addresses


def _taken_apart(url: str) -> _Target:
    """SSR-05: https, or http; a host that every reader reads alike; no user name, fragment, space or control."""
    found = _URL.fullmatch(url) if len(url) <= _LONGEST else None
    if found is None or "#" in url:
        raise _Fault("not an address of the form https://host[:port]/path")
    scheme, host, port, path = found[1], found[2].lower(), found[3], found[4]
    number = int(port) if port else {"https": 443, "http": 80}[scheme]
    if not 0 < number < 65_536:
        raise _Fault("no port has that number")
    address = None if _NAME.fullmatch(host) else _literal(host)
    return _Target(scheme == "https", host.strip("[]"), number, path if path.startswith("/") else f"/{path}", address)


def _literal(host: str) -> Address:
    """An address in its one spelling: numbers in octal, in hex or run together are read differently by others."""
    try:
        return ipaddress.IPv6Address(host[1:-1]) if host.startswith("[") else ipaddress.IPv4Address(host)
    except ValueError:
        raise _Fault("neither a name nor an address in its usual spelling") from None


def _spelled(target: _Target) -> tuple[Address, ...]:
    """The address that needs no looking up (RFC 6761 §6.3 for `localhost`), if it is one."""
    if target.host == "localhost" or target.host.endswith(".localhost"):
        return (ipaddress.IPv4Address("127.0.0.1"),)
    return () if target.address is None else (target.address,)


def _checked_addresses(target: _Target) -> tuple[Address, ...]:
    addresses = _addresses(target)
    _require_all_allowed(target, addresses)
    return addresses


def _require_all_allowed(target: _Target, addresses: tuple[Address, ...]) -> None:
    """SSR-01, SSR-02: one address of several that is not public is reason enough."""
    own = _is_own(target, settings())
    for address in addresses:
        if not (own or is_public(address) or (settings().development and address.is_loopback)):
            raise _Fault(f"{address} is not a public address")
    loops = bool(addresses) and all(address.is_loopback for address in addresses)
    if not target.secure and not (loops and (own or settings().development)):
        raise _Fault("plain http goes to loopback alone, under development rules or where IDP_OUTBOUND_ALLOW names it")


def _is_own(target: _Target, known: Settings) -> bool:
    """Whether the operator has named the target, with or without its port, as one of their own networks."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    return not {host, f"{host}:{target.port}"}.isdisjoint(allowed.lower() for allowed in known.outbound_allow)


# Names


_looking_up = threading.BoundedSemaphore(AT_ONCE)


def _addresses(target: _Target) -> tuple[Address, ...]:
    """Every address of the target. The system looks names up and cannot be hurried: we only wait so long."""
    if target.address is not None:
        return (target.address,)
    if not _looking_up.acquire(blocking=False):
        raise _Fault("too many names are being looked up")
    found: list[Any] = []
    thread = threading.Thread(target=_look_up, args=(target, found), daemon=True)
    thread.start()
    thread.join(_budget.get().seconds())
    if not found:
        raise _Fault("the name was not looked up in time")
    if isinstance(found[0], OSError | UnicodeError):
        raise found[0]
    return tuple(ipaddress.ip_address(text) for text in found[0])


def _look_up(target: _Target, found: list[Any]) -> None:
    try:
        listed = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        found.append(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in listed))
    except (OSError, UnicodeError) as error:
        found.append(error)
    finally:
        _looking_up.release()


# Limits


@dataclass
class _Budget:
    """What a request may still cost: time until `deadline` on the clock that never jumps, and bytes received."""

    deadline: float
    bytes: int

    def seconds(self) -> float:
        """The time that is left. Raises `_Fault` when none is."""
        left = self.deadline - clock.monotonic()
        if left <= 0:
            raise _Fault("it took too long")
        return left

    def take(self, size: int) -> int:
        """`size` bytes less. Raises `_Fault` when there were not so many."""
        self.bytes -= size
        if self.bytes < 0:
            raise _Fault("the answer is too large")
        return size


_budget: ContextVar[_Budget] = ContextVar("canopy_outbound_budget")


@contextmanager
def _within(budget: _Budget) -> Iterator[None]:
    token = _budget.set(budget)
    try:
        yield
    finally:
        _budget.reset(token)


class _Socket(socket.socket):
    """A socket every wait of which ends with the budget of the request: a byte now and then does not prolong it."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_budget.get().seconds())
        return _budget.get().take(super().recv_into(*args, **kwargs))


class _TlsSocket(ssl.SSLSocket):
    """The same through TLS."""

    def do_handshake(self, *args: Any, **kwargs: Any) -> None:
        try:
            self.settimeout(_budget.get().seconds())
        except _Fault:  # whoever wraps a socket closes it after an OSError or ValueError alone
            self.close()
            raise
        super().do_handshake(*args, **kwargs)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_budget.get().seconds())
        return _budget.get().take(super().recv_into(*args, **kwargs))


# The exchange


class _Trust:
    """Of one application: whose certificates count, those of the system and of `IDP_EXTRA_CA_FILE`."""

    def __init__(self) -> None:
        self.context = ssl.create_default_context()
        self.context.sslsocket_class = _TlsSocket
        self.context.set_alpn_protocols(["http/1.1"])
        if settings().extra_ca_file:
            self.context.load_verify_locations(settings().extra_ca_file)


def _open(target: _Target, addresses: tuple[Address, ...]) -> socket.socket:
    """A connection to the first of the addresses that takes one, with the name of the target proven by TLS."""
    failed: OSError = OSError("the name has no address")
    for place, address in enumerate(addresses):
        try:
            connected = _connected(address, target.port, patience=_budget.get().seconds() / (len(addresses) - place))
        except OSError as error:
            failed = error
        else:
            return _secured(connected, target) if target.secure else connected
    raise failed


def _connected(address: Address, port: int, *, patience: float) -> socket.socket:
    opened = _Socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        opened.settimeout(patience)
        opened.connect((str(address), port))
    except BaseException:
        opened.close()
        raise
    return opened


def _secured(connected: socket.socket, target: _Target) -> socket.socket:
    try:
        connected.settimeout(_budget.get().seconds())
        return memory.of(_Trust).context.wrap_socket(connected, server_hostname=target.host)
    except BaseException:
        connected.close()
        raise


def _exchange(target: _Target, opened: socket.socket, accept: tuple[str, ...]) -> bytes:
    connection = HTTPConnection(target.host, target.port, timeout=TIME_LIMIT)
    connection.sock = opened
    try:
        headers = {
            "Host": target.authority,
            "Accept": ", ".join(accept),
            "Accept-Encoding": "identity",
            "Connection": "close",
            "User-Agent": "canopy",
        }
        connection.request("GET", target.path, headers=headers, preload_content=False, decode_content=False)
        with closing(connection.getresponse()) as answer:
            return _body(answer, accept)
    finally:
        connection.close()


def _body(answer: urllib3.HTTPResponse, accept: tuple[str, ...]) -> bytes:
    if answer.status != 200:
        raise _Fault(f"status {answer.status}")
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in accept:
        raise _Fault(f"media type {media_type[:80]!r}")
    received = answer.read(SIZE_LIMIT + 1)
    if answer.length_remaining and len(received) <= SIZE_LIMIT:
        raise _Fault("the answer is cut off")
    body = _decoded(answer.headers.get("Content-Encoding", "").strip().lower(), received)
    if len(body) > SIZE_LIMIT:
        raise _Fault("the answer is too large")
    return body


def _decoded(encoding: str, body: bytes) -> bytes:
    """Servers compress even where they were asked not to; more than `SIZE_LIMIT` is never unpacked."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise _Fault(f"content encoding {encoding[:80]!r}")
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    unpacked = unpacking.decompress(body, SIZE_LIMIT + 1)
    if not unpacking.eof and len(unpacked) <= SIZE_LIMIT:
        raise _Fault("the answer is cut off")
    return unpacked
