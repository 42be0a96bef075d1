"""Which addresses are of the public network, where the whole world may go (RFC 6890)."""

import ipaddress
from typing import Final

from idp.platform.hosts import Address, Network


def is_public(address: Address) -> bool:
    """Whether `address` is one of the public network, and not another one in disguise (SSR-01)."""
    if isinstance(address, ipaddress.IPv6Address):
        return address in _PUBLIC_IPV6 and not any(address in network for network in _SPECIAL_IPV6)
    return address.is_global and not any(address in network for network in _SPECIAL_IPV4)


_PUBLIC_IPV6: Final = ipaddress.ip_network("2000::/3")
"""All that is handed out to the public (RFC 4291 §2.4): mapped, NAT64, unique local and link-local lie outside."""

_SPECIAL_IPV6: Final[tuple[Network, ...]] = tuple(
    map(ipaddress.ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)
"""Protocol assignments with Teredo, documentation, 6to4 (RFC 6890, RFC 9637)."""

_SPECIAL_IPV4: Final[tuple[Network, ...]] = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4", "240.0.0.0/4"))
)
"""Protocol assignments, relays of 6to4, multicast, reserved; beside what `is_global` excludes."""
