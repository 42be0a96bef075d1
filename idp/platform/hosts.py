"""Who is asking and for which host: addresses of clients behind configured proxies, and the one host that is ours."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)


@dataclass(frozen=True)
class Proxies:
    """The reverse proxies in front of us, the only ones whose word about a request counts.

    `networks`: where they connect from. `hops`: so many of them stand in a row and no more; 0: any number.
    """

    networks: tuple[Network, ...] = ()
    hops: int = 0

    @classmethod
    def parse(cls, text: str) -> "Proxies":
        """Read `10.0.0.5, 10.1.0.0/16` (any number in a row), `10.0.0.0/8; 2` (exactly two) or `1` (one, on a
        loopback or private address). Raises `ValueError` for anything else."""
        places, _, count = text.partition(";")
        names = places.replace(",", " ").split()
        if len(names) == 1 and names[0].isdecimal() and not count:
            return cls(_PRIVATE, _hops(names[0]))
        return cls(tuple(ipaddress.ip_network(name) for name in names), _hops(count) if count.strip() else 0)

    def __str__(self) -> str:
        """The text that `parse` reads back."""
        places = ", ".join(str(network) for network in self.networks)
        return f"{places}; {self.hops}" if self.hops else places

    def include(self, address: str) -> bool:
        """Whether `address` is that of a proxy of ours."""
        known = _address(address) if self.networks else None
        return known is not None and any(known in network for network in self.networks)


def _hops(text: str) -> int:
    hops = int(text)
    if not 1 <= hops <= 16:
        raise ValueError("the number of proxies in a row is between 1 and 16")
    return hops


def client_address(peer: str, headers: Mapping[str, str], proxies: Proxies) -> str:
    """The address of whoever sent the request, as far as it can be believed (LOG-08, HTT-03).

    `peer` is the other end of the socket; `headers` have WSGI names (`HTTP_X_FORWARDED_FOR`). Headers of anyone but
    a configured proxy are ignored. `X-Forwarded-For` is read from the right, over the proxies, to the first hop that
    is none of them; a chain that cannot be read ends at the last hop that could.
    """
    if not proxies.include(peer):
        return peer
    chain = [*_forwarded(headers), peer]
    passed = 0
    while len(chain) > 1 and passed != (proxies.hops or -1) and proxies.include(chain[-1]):
        chain.pop()
        passed += 1
    return chain[-1]


def _forwarded(headers: Mapping[str, str]) -> list[str]:
    """The hops of `X-Forwarded-For`, else of `Forwarded` (RFC 7239), nearest last; what stands left of junk is junk."""
    listed = headers.get("HTTP_X_FORWARDED_FOR")
    if listed is None:
        listed = ",".join(_FOR.findall(headers.get("HTTP_FORWARDED", "")[:4096]))
    hops: list[str] = []
    for written in reversed(listed[-4096:].split(",") if listed else []):
        hop = _address(_without_port(written.strip().strip('"')))
        if hop is None:
            break
        hops.insert(0, str(hop))
    return hops


_FOR = re.compile(r'(?:^|[;,])\s*for=("[^"]*"|[^;,]*)', re.IGNORECASE)


def _without_port(written: str) -> str:
    if written.startswith("["):
        return written[1:].partition("]")[0]
    host, colon, _ = written.partition(":")
    return host if written.count(":") == 1 and colon else written


@lru_cache(4096)
def _address(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address, without port) is this machine itself."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def authority(url: str) -> str:
    """Host and port of `url` as clients send them in `Host`: lower case, without the port that the scheme implies."""
    parts = urlsplit(url)
    return _canonical(parts.netloc, parts.scheme)


def names(host_header: str, url: str) -> bool:
    """Whether a `Host` header names the host of `url`, in any letter case, with or without the implied port."""
    return _canonical(host_header, urlsplit(url).scheme) == authority(url)


def is_well_formed(host_header: str) -> bool:
    """Whether `host_header` is one host with or without a port (RFC 9110 §7.2), not none, two or something else."""
    return _HOST.fullmatch(host_header) is not None


def is_literal(host_header: str) -> bool:
    """Whether `host_header` names an address or `localhost`, and so nothing that somebody's DNS could point at us."""
    host = _without_port(host_header)
    return host == "localhost" or _address(host) is not None


def _canonical(netloc: str, scheme: str) -> str:
    return netloc.lower().removesuffix(":443" if scheme == "https" else ":80")
