"""Outgoing requests: where they go, what they cost at most, and how little is told about why they failed."""

import contextlib
import gzip
import ipaddress
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.platform import clock, database, outbound, public_addresses
from idp.platform.outbound import OutboundFailed
from tests import remote
from tests.certificates import self_signed
from tests.patience import takes
from tests.platform.sites import Site, site
from tests.remote import JSON, Remote, Script, answer


@contextlib.contextmanager
def provider(folder: Path, **given: object) -> Iterator[Site]:
    """A provider under production rules, which no address of ours is public for."""
    with site(folder, **{"rules": "production"} | given) as found, found.app.app_context():
        yield found


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Site]:
    with provider(tmp_path) as found:
        yield found


@pytest.fixture
def lenient(tmp_path: Path) -> Iterator[Site]:
    """Under development rules: http may go to loopback."""
    with provider(tmp_path, rules="development") as found:
        yield found


def get(url: str) -> bytes:
    return outbound.get(url, accept=(JSON,))


def fails(url: str) -> str:
    with pytest.raises(OutboundFailed) as caught:
        get(url)
    return caught.value.message


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: tuple[str, ...]) -> list[str]:
    """Let every name resolve to the first of `answers`, then to the next ones; the names that were asked for."""
    asked: list[str] = []

    def look_up(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        addresses = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@contextlib.contextmanager
def no_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connections are counted, and there must be none."""
    tried: list[object] = []
    with monkeypatch.context() as patched:
        patched.setattr(outbound, "_connected", lambda *to, **_: tried.append(to) or _refuse())
        yield
    assert tried == []


def _refuse() -> socket.socket:
    raise ConnectionRefusedError


# Where they go

NOT_PUBLIC = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.rule("SSR-01")
@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_nothing_goes_to_an_address_that_is_not_public(
    strict: Site, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    named = f"[{address}]" if ":" in address else address
    with no_connections(monkeypatch):
        fails(f"https://{named}/keys")
        with pytest.raises(OutboundFailed):
            outbound.require_reachable(f"https://{named}/keys")
        resolving(monkeypatch, (address,))
        fails("https://keys.example.com/")
        with pytest.raises(OutboundFailed):
            outbound.require_reachable("https://keys.example.com/")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "193.0.6.139", "2606:4700:4700::1111", "2a00:1450:4001::1"])
def test_addresses_of_the_public_network_are_gone_to(
    strict: Site, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolving(monkeypatch, (address,))
    outbound.require_reachable("https://keys.example.com/keys")
    assert public_addresses.is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_no_private_address_is_public_in_any_disguise(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    disguises = [
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address(number),
        ipaddress.IPv6Address((0x0064_FF9B << 96) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
    ]
    assert not any(public_addresses.is_public(one) for one in disguises)
    assert not (address.is_private and public_addresses.is_public(address))


@pytest.mark.rule("SSR-01")
@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost.",
        "LOCALHOST",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "[::1%25lo]",
        "[127.0.0.1]",
        "①②⑦.0.0.1",
        "exa_mple.com",
        "-a.example",
        "a..b",
    ],
)
def test_hosts_that_readers_read_differently_are_refused(
    strict: Site, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    with no_connections(monkeypatch):
        fails(f"https://{host}/")


@pytest.mark.rule("SSR-05")
@pytest.mark.parametrize(
    "url",
    [
        "http://8.8.8.8/",
        "http://keys.example.com/",
        "file:///etc/passwd",
        "gopher://8.8.8.8/",
        "ftp://8.8.8.8/",
        "unix:/run/docker.sock",
        "http+unix://x/",
        "https://user@8.8.8.8/",
        "https://user:word@8.8.8.8/",
        "https://8.8.8.8\\@127.0.0.1/",
        "https://8.8.8.8/\r\nX: y",
        "https://8.8.8.8/\n",
        "https://8.8.8.8/a b",
        "https://8.8.8.8/#part",
        "https://8.8.8.8:0/",
        "https://8.8.8.8:70000/",
        "https://",
        "https:///x",
        "//8.8.8.8/",
        "https://8.8.8.8/" + "a" * 3000,
        "",
    ],
)
def test_only_plain_https_addresses_are_gone_to(strict: Site, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    resolving(monkeypatch, ("8.8.8.8",))
    with no_connections(monkeypatch):
        fails(url)


@pytest.mark.rule("SSR-02")
def test_one_private_address_of_several_is_reason_enough(strict: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ("8.8.8.8", "10.0.0.1"))
    with no_connections(monkeypatch):
        fails("https://keys.example.com/")


@pytest.mark.rule("SSR-02")
def test_what_was_checked_is_connected_to_though_the_name_moves_on(
    strict: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolving(monkeypatch, ("8.8.8.8",), ("127.0.0.1",))
    connected: list[str] = []

    def connect(address: object, port: int, *, patience: float) -> socket.socket:
        connected.append(f"{address}:{port}")
        return _refuse()

    monkeypatch.setattr(outbound, "_connected", connect)
    fails("https://rebinding.example.com/")
    assert (asked, connected) == (["rebinding.example.com"], ["8.8.8.8:443"])


@pytest.mark.rule("SSR-02")
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent", "204 None", "404 No"])
def test_redirects_are_not_followed_and_only_a_200_counts(lenient: Site, status: str) -> None:
    with remote.remote(answer()) as inner:
        script = answer(b"{}", status=status, headers=(f"Location: {inner.url()}",))
        with remote.remote(script) as outer:
            fails(outer.url())
        assert inner.requests == []


@pytest.mark.rule("SSR-05")
def test_proxies_of_the_environment_do_not_count(lenient: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with remote.remote(answer(b'"proxied"')) as proxy, remote.remote(answer(b'"direct"')) as target:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        assert get(target.url()) == b'"direct"'
        assert proxy.connections == 0


@pytest.mark.rule("SSR-05")
def test_http_goes_to_loopback_under_development_rules_alone(tmp_path: Path) -> None:
    with remote.remote(answer()) as target:
        with provider(tmp_path, rules="development"):
            assert get(target.url()) == b"{}"
            fails("http://8.8.8.8/")
        with provider(tmp_path):
            fails(target.url())


@pytest.mark.rule("SSR-01")
def test_the_operators_own_networks_are_reached_where_they_are_named(tmp_path: Path) -> None:
    tls = self_signed(tmp_path)
    with remote.remote(answer(), tls=tls) as target:
        port = f"localhost:{target.port}"
        for allowed in (("localhost",), (port,), ("other", port.upper())):
            with provider(tmp_path, outbound_allow=allowed, extra_ca_file=tls.certificate):
                assert get(target.url()) == b"{}"
        for allowed in (("127.0.0.1",), (f"localhost:{target.port + 1}",), ("localhost.example",)):
            with provider(tmp_path, outbound_allow=allowed, extra_ca_file=tls.certificate):
                fails(target.url())


def test_plain_http_to_loopback_can_be_allowed_but_to_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        remote.remote(answer()) as target,
        provider(tmp_path, outbound_allow=(f"127.0.0.1:{target.port}", "10.0.0.1")),
    ):
        assert get(target.url(host="127.0.0.1")) == b"{}"
        with no_connections(monkeypatch):
            fails("http://10.0.0.1/")


# What they look like


def test_a_request_says_what_it_accepts_and_nothing_about_us(lenient: Site) -> None:
    with remote.remote(answer()) as target:
        get(target.url("/keys?a=b&c=%20"))
        head = target.requests[0].decode()
        lines = head.split("\r\n")
    assert lines[0] == "GET /keys?a=b&c=%20 HTTP/1.1"
    assert f"Host: localhost:{target.port}" in lines
    assert "Accept: application/json" in lines
    assert "Accept-Encoding: identity" in lines
    assert "User-Agent: canopy" in lines
    assert "cookie" not in head.lower()


@pytest.mark.rule("SSR-03")
def test_certificates_are_verified(tmp_path: Path) -> None:
    tls = self_signed(tmp_path)
    with remote.remote(answer(), tls=tls) as target:
        with provider(tmp_path, rules="development"):
            fails(target.url())
        with provider(tmp_path, rules="development", extra_ca_file=tls.certificate):
            assert get(target.url()) == b"{}"
            fails(target.url(host="127.0.0.1"))  # the certificate names localhost
        assert len(target.requests) == 1


# What they cost


def drip(every: float, piece: bytes = b"x", head: bytes = b"") -> Script:
    def script(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            threading.Event().wait(every)
            connection.sendall(piece)

    return script


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SLOW = {
    "silence": lambda connection: threading.Event().wait(60),
    "a byte now and then in the status": drip(0.05),
    "a byte now and then in the headers": drip(0.05, head=OK),
    "a byte now and then in the body": drip(0.05, head=OK + b"\r\n"),
    "a chunk now and then": drip(0.05, b"1\r\nx\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n"),
    "continue, continue": drip(0.01, b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.rule("SSR-03")
@pytest.mark.parametrize("manner", SLOW)
@pytest.mark.parametrize("secure", [False, True])
def test_a_slow_answer_ends_with_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manner: str, secure: bool
) -> None:
    monkeypatch.setattr(outbound, "TIME_LIMIT", 0.4)
    tls = self_signed(tmp_path) if secure else None
    with (
        remote.remote(SLOW[manner], tls=tls) as target,
        provider(tmp_path, rules="development", extra_ca_file=tls.certificate if tls else None),
    ):
        assert takes(lambda: fails(target.url()), less_than=1.5)


@pytest.mark.rule("SSR-03")
def test_a_handshake_that_does_not_end_ends_with_the_time(lenient: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "TIME_LIMIT", 0.4)
    with remote.remote(drip(0.05, b"\x16")) as target:
        assert takes(lambda: fails(target.url().replace("http:", "https:")), less_than=1.5)


@pytest.mark.rule("SSR-03")
def test_a_time_that_is_over_before_the_handshake_leaves_nothing_open(
    lenient: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[socket.socket] = []
    connected = outbound._connected

    def late(*args: Any, **kwargs: Any) -> socket.socket:
        opened.append(connected(*args, **kwargs))
        monkeypatch.setattr(ssl.SSLContext, "wrap_socket", too_late)
        return opened[0]

    def too_late(context: ssl.SSLContext, sock: socket.socket, **kwargs: Any) -> ssl.SSLSocket:
        outbound._budget.get().deadline = clock.monotonic()
        opened.append(wrapped := wrap_socket(context, sock, do_handshake_on_connect=False, **kwargs))
        wrapped.do_handshake()
        return wrapped

    wrap_socket = ssl.SSLContext.wrap_socket
    monkeypatch.setattr(outbound, "_connected", late)
    with remote.remote(drip(0.05, b"\x16")) as target:
        fails(target.url().replace("http:", "https:"))
    assert [one.fileno() for one in opened] == [-1, -1]


@pytest.mark.rule("SSR-03")
def test_a_name_that_is_not_looked_up_in_time_ends_with_the_time(strict: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "TIME_LIMIT", 0.2)
    began, released = clock.monotonic(), threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(60) and [])
    try:
        for _ in range(outbound.AT_ONCE):
            fails("https://slow.example.com/")
        monkeypatch.setattr(outbound, "TIME_LIMIT", 60)
        fails("https://slow.example.com/")  # at once: no thread more waits for the system
        assert clock.monotonic() - began < 30
    finally:
        released.set()


def test_the_time_limit_is_five_seconds_and_the_size_limit_a_megabyte() -> None:
    assert (outbound.TIME_LIMIT, outbound.SIZE_LIMIT) == (5.0, 1_000_000)


BOMB = gzip.compress(b"0" * 50_000_000)
LARGE = {
    "endless": drip(0, b"x" * 100_000, OK + b"\r\n"),
    "endless chunks": drip(0, b"186a0\r\n" + b"x" * 100_000 + b"\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n"),
    "endless headers": drip(0, b"X: " + b"x" * 10_000 + b"\r\n", OK),
    "continue without end": drip(0, b"HTTP/1.1 100 Continue\r\nX: " + b"x" * 60_000 + b"\r\n\r\n"),
    "one long header": drip(0, b"x" * 10_000, OK + b"X: "),
    "a byte more than a megabyte": answer(b"x" * 1_000_001),
    "a bomb": answer(BOMB, headers=("Content-Encoding: gzip",)),
    "a bomb in a bomb": answer(gzip.compress(BOMB), headers=("Content-Encoding: gzip, gzip",)),
    "other compression": answer(zlib.compress(b"{}"), headers=("Content-Encoding: deflate",)),
    "unknown compression": answer(b"{}", headers=("Content-Encoding: br",)),
    "not compressed at all": answer(b"{}", headers=("Content-Encoding: gzip",)),
    "cut off": answer(gzip.compress(b"0" * 5000)[:-9], headers=("Content-Encoding: gzip",)),
    "less than announced": lambda connection: connection.sendall(OK + b"Content-Length: 10\r\n\r\n{}"),
}


@pytest.mark.rule("SSR-03")
@pytest.mark.parametrize("manner", LARGE)
def test_a_large_or_broken_answer_is_not_taken(lenient: Site, manner: str) -> None:
    with remote.remote(LARGE[manner]) as target:
        assert takes(lambda: fails(target.url()), less_than=outbound.TIME_LIMIT - 1)  # it was the size, not the time


@pytest.mark.parametrize(
    "script",
    [
        answer(b"x" * 1_000_000),
        answer(gzip.compress(b"x" * 1_000_000), headers=("Content-Encoding: gzip",)),
        answer(b"x" * 1_000_000, media_type="Application/JSON; charset=utf-8"),
    ],
)
def test_an_answer_of_a_megabyte_is_taken(lenient: Site, script: Script) -> None:
    with remote.remote(script) as target:
        assert get(target.url()) == b"x" * 1_000_000


@pytest.mark.rule("SSR-03")
@pytest.mark.parametrize("media_type", ["text/html", "application/jsonp", "", "text/plain, application/json"])
def test_another_media_type_is_not_taken(lenient: Site, media_type: str) -> None:
    with remote.remote(answer(media_type=media_type)) as target:
        fails(target.url())


@pytest.mark.rule("SSR-03")
def test_slow_servers_hold_only_so_many_threads(lenient: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "TIME_LIMIT", 4)
    with remote.remote(SLOW["silence"]) as target:
        waiting = [threading.Thread(target=_get_in, args=(lenient, target)) for _ in range(outbound.AT_ONCE)]
        for thread in waiting:
            thread.start()
        while target.connections < outbound.AT_ONCE and all(thread.is_alive() for thread in waiting):
            threading.Event().wait(0.01)
        assert target.connections == outbound.AT_ONCE
        assert takes(lambda: fails(target.url()), less_than=0.5)
        for thread in waiting:
            thread.join()
        target.script = answer()
        assert get(target.url()) == b"{}"


def _get_in(found: Site, target: Remote) -> None:
    with found.app.app_context():
        fails(target.url())


# What is told


@pytest.mark.rule("SSR-04")
def test_whatever_goes_wrong_the_same_is_told(lenient: Site, capsys: pytest.CaptureFixture[str]) -> None:
    told = {fails("https://10.0.0.1/secret"), fails("https://127.0.0.1:1/"), fails("file:///etc/passwd")}
    with remote.remote(answer(b"<b>hush</b>", status="500 Oh", media_type="text/html")) as target:
        told.add(fails(target.url()))
    assert told == {OutboundFailed.title}
    assert "10.0.0.1 is not a public address" in capsys.readouterr().err


def test_nothing_goes_out_while_a_transaction_writes(lenient: Site) -> None:
    with remote.remote(answer()) as target, database.writing():
        for act in (get, outbound.require_reachable):
            with pytest.raises(RuntimeError, match="inside a writing transaction"):
                act(target.url())
        assert target.connections == 0


def test_a_name_without_an_address_may_be_registered_and_fails_at_use(
    strict: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    outbound.require_reachable("https://not-yet.example.com/keys")
    fails("https://not-yet.example.com/keys")
