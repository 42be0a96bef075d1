"""The way back: which addresses a sign-in may lead on to (AUZ-17)."""

import re
from urllib.parse import unquote, urljoin, urlsplit

from idp.platform.settings import settings

HOME = "/me"
"""Where a sign-in leads that nobody asked for."""

LONGEST = 2_000

_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?")
"""Path and query in the characters of RFC 3986: no backslash, blank, control or non-ASCII character, no fragment."""

_UNSAFE = re.compile(r"//|\\|/\.\.?(/|$)|[\x00-\x20\x7f-\x9f]")
"""What browsers strip, or read as the beginning of another host, once it stands in a path."""

_OURS = ("/login", "/logout", "/select")
"""Pages that lead back to where they were asked from: as a way back they would lead in a circle."""


def own_path(text: str) -> str | None:
    """`text` if it is a path (and query) of our own origin that may be followed after a sign-in, else `None`."""
    if len(text) > LONGEST or not _PATH.fullmatch(text):
        return None
    path = text.partition("?")[0]
    if _UNSAFE.search(path) or _UNSAFE.search(unquote(path)) or _stays_here(path):
        return None
    return text if _origin(urljoin(f"{settings().issuer}/login", text)) == settings().issuer else None


def or_home(text: str | None) -> str:
    """`text` where it may be followed, else `HOME`."""
    return own_path(text or "") or HOME


def _stays_here(path: str) -> bool:
    return any(unquote(path) == own or unquote(path).startswith(f"{own}/") for own in _OURS)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
