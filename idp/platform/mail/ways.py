"""The way out for mail: what `IDP_MAIL` says."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from idp.platform import hosts
from idp.platform.settings import Settings

_SUBMISSION = 587
_SUBMISSIONS = 465


@dataclass(frozen=True)
class Server:
    """A mail server. `implicit_tls`: TLS from the first byte on (RFC 8314 §3.3).

    `needs_tls`: nothing is said to it in the clear. Only on this machine itself, and for a provider that is tried out
    on one (its issuer is on loopback), a server without TLS will do.
    """

    host: str
    port: int
    implicit_tls: bool
    needs_tls: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def is_here(self) -> bool:
        """Whether nothing that is said to it leaves this machine."""
        return hosts.is_loopback(self.host)


@dataclass(frozen=True)
class Folder:
    """A directory in which every letter becomes a file."""

    path: Path


def way_of(settings: Settings) -> Server | Folder | None:
    """Where mail goes; `None`: nowhere, letters wait."""
    if settings.mail.startswith("file:"):
        return Folder(Path(settings.mail.removeprefix("file:")))
    return _server(settings) if settings.mail else None


def _server(settings: Settings) -> Server:
    parts = urlsplit(settings.mail)
    host, implicit = parts.hostname or "", parts.scheme == "smtps"
    is_trial = hosts.is_loopback(host) or hosts.is_loopback(urlsplit(settings.issuer).hostname or "")
    return Server(
        host,
        parts.port or (_SUBMISSIONS if implicit else _SUBMISSION),
        implicit,
        needs_tls=not is_trial,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
