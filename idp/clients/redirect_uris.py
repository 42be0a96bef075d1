"""Where an answer may be sent: the addresses that a client may register (AUZ-06; RFC 6749 §3.1.2, RFC 8252 §7)."""

import re
from urllib.parse import SplitResult, urlsplit

from idp.platform.errors import Invalid

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""Hosts that plain http may name, because what is sent there does not leave the machine."""

_LONGEST = 2_000
_ALLOWED = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()+,;=%-]+")  # RFC 3986, less the fragment and the wildcard
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
_DANGEROUS = frozenset(
    {"about", "blob", "data", "file", "filesystem", "javascript", "vbscript", "view-source", "ws", "wss"}
)


class InvalidRedirectUri(Invalid):
    """The address cannot be registered (RFC 7591 §3.2.2)."""

    code = "invalid_redirect_uri"
    title = "The redirect address cannot be registered"
    remedy = (
        "Use an https address, http on a loopback host, or a private-use scheme with a dot; without fragment, "
        "user name and wildcard."
    )


def require_valid(uri: object, field: str = "redirect_uris") -> str:
    """`uri`, as it was given. Raises `InvalidRedirectUri`, naming `field`."""
    if not isinstance(uri, str):
        raise InvalidRedirectUri("an address must be a string", field=field)
    fault = _fault(uri)
    if fault:
        raise InvalidRedirectUri(f"{_shown(uri)}: {fault}", field=field)
    return uri


def is_web_address(uri: str) -> bool:
    """Whether `uri` is a valid https address, or a valid http one on a loopback host."""
    return _fault(uri) == "" and urlsplit(uri).scheme in ("http", "https")


def _fault(uri: str) -> str:
    """What is wrong with `uri`, or nothing."""
    scheme = _SCHEME.match(uri)
    if scheme is None or len(uri) > _LONGEST:
        return f"must be an absolute address of at most {_LONGEST} characters"
    if not _ALLOWED.fullmatch(uri):
        return "must not contain a fragment, a wildcard, a space, or a control or special character"
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "must be an absolute address with a valid host and port"
    if "@" in parts.netloc:
        return "must not contain a user name"
    return _fault_of_web(parts, host) if parts.scheme in ("http", "https") else _fault_of_private(parts.scheme)


def _fault_of_web(parts: SplitResult, host: str) -> str:
    if not _HOST.fullmatch(host):
        return "must name a host"
    if parts.scheme == "http" and host not in LOOPBACK:
        return "must be https; plain http is for 127.0.0.1, [::1] and localhost"
    return ""


def _fault_of_private(scheme: str) -> str:
    if scheme in _DANGEROUS or "." not in scheme:
        return "the scheme must be https, http on a loopback host, or a private-use one with a dot (RFC 8252 §7.1)"
    return ""


def _shown(uri: str) -> str:
    return ascii(uri if len(uri) <= 120 else f"{uri[:120]}…")
