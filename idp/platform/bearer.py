"""Secrets that are handed out once: codes, tokens, invitations, client secrets. Only their digests are stored.

They are random and long, so SHA-256 finds them: there is nothing to guess, hence nothing to slow down.
"""

import hashlib
import hmac
import secrets


def mint(prefix: str = "") -> str:
    """A new secret of 256 bits, URL-safe, with an optional prefix that secret scanners can recognise."""
    return prefix + secrets.token_urlsafe(32)


def digest(presented: str) -> bytes:
    """The 32 bytes under which `presented` is stored. Any text is accepted, whatever a stranger sends."""
    return hashlib.sha256(presented.encode("utf-8", "surrogatepass")).digest()


def matches(presented: str, stored: bytes) -> bool:
    """Whether `presented` is the secret stored as `stored`; takes the same time for every answer (KEY-06)."""
    return same(digest(presented), stored)


def same(one: bytes, other: bytes) -> bool:
    """Whether two digests are equal; takes the same time for every answer (KEY-06)."""
    return hmac.compare_digest(one, other)
