"""Where an answer is sent: to an address that the client has registered, compared to the byte (RFC 9700 §2.1)."""

import re
from urllib.parse import urlsplit

from idp.clients.registered import RegisteredClient

_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([1-9][0-9]{0,4}))?((?:[/?].*)?)", re.DOTALL)
_HIGHEST_PORT = 65_535


def is_registered(uri: str, client: RegisteredClient) -> bool:
    """Whether `uri` is one of the client's addresses: the very same text; for native clients (RFC 8252 §7.3) also one
    on 127.0.0.1 or [::1] that differs from a registered one in nothing but its port.
    """
    if uri in client.redirect_uris:
        return True
    return client.text("application_type") == "native" and _is_other_port(uri, client.redirect_uris)


def is_web(uri: str) -> bool:
    """Whether browsers can post a form to the (registered) address."""
    return urlsplit(uri).scheme in ("https", "http")


def source(uri: str) -> str:
    """The (registered) address as a source of a `form-action`: its origin; its scheme where there is no other name for
    it, as of private-use addresses and of IPv6 (CSP Level 3 §2.3.1 has no word for those).
    """
    parts = urlsplit(uri)
    has_origin = is_web(uri) and "[" not in parts.netloc
    return f"{parts.scheme}://{parts.netloc}" if has_origin else f"{parts.scheme}:"


def _is_other_port(uri: str, registered: tuple[str, ...]) -> bool:
    asked = _without_port(uri)
    return asked is not None and any(asked == _without_port(known) for known in registered)


def _without_port(uri: str) -> tuple[str, str] | None:
    """Scheme and host, and what follows the port; `None` for all but http on a loopback address."""
    found = _LOOPBACK.fullmatch(uri)
    if found is None or int(found[2] or 80) > _HIGHEST_PORT:
        return None
    return found[1], found[3]
