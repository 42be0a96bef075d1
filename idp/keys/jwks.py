"""The key set that everybody may read (RFC 7517 §5): rendered once per change, served from memory.

It holds public members only (JWT-06), of the keys that sign tokens; keys for SAML stand in SAML metadata. A database
that is away does not stop it: what was last read is served on.
"""

import hashlib
import json
import logging
import threading
from dataclasses import dataclass

from idp.keys import lifecycle, material, signing
from idp.keys.material import SLOTS
from idp.keys.signing import Known, Row
from idp.platform import clock, database, memory, vault

MEDIA_TYPE = "application/jwk-set+json"
CACHE_CONTROL = f"public, max-age={lifecycle.JWKS_LIFETIME // clock.SECOND}"

_PURPOSES = frozenset(slot.purpose for slot in SLOTS)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeySet:
    """The document, and its entity tag with the quotes (RFC 9110 §8.8.3)."""

    body: bytes
    etag: str


class _Memory:
    """Of one application: the document as last rendered, from which rows, and who is reading just now."""

    def __init__(self) -> None:
        self.rendered: tuple[tuple[Row, ...], KeySet] | None = None
        self.reading = threading.Lock()
        self.away_until = 0.0


def document() -> KeySet:
    """The key set as of now, at most some seconds old while the database answers."""
    remembered = memory.of(_Memory)
    rows = tuple(row for row in _known(remembered).published() if row.purpose in _PURPOSES)
    if remembered.rendered is None or remembered.rendered[0] != rows:
        remembered.rendered = rows, _rendered(rows)
    return remembered.rendered[1]


def _known(remembered: _Memory) -> Known:
    """The keys as last read. One thread at a time looks whether they changed, the others do not wait for it."""
    last = signing.last_known()
    if not last.rows:
        return signing.known()
    if clock.monotonic() < remembered.away_until or not remembered.reading.acquire(blocking=False):
        return last
    try:
        return signing.known()
    except Exception as error:
        if database.refusal_for(error) is None:
            raise
        database.session().rollback()
        remembered.away_until = clock.monotonic() + signing.FRESH_FOR
        _log.warning("the key set is served from memory: the database does not answer")
        return last
    finally:
        remembered.reading.release()


def _rendered(rows: tuple[Row, ...]) -> KeySet:
    keys = [key for row in rows if (key := _public(row)) is not None]
    body = json.dumps({"keys": keys}, separators=(",", ":")).encode()
    return KeySet(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _public(row: Row) -> dict[str, str] | None:
    """The public half, taken from the sealed one. A row that was tampered with costs that one key, not the others."""
    try:
        return material.public(signing.opened(row).pair)
    except vault.Unopenable:
        _log.exception("signing key %s does not open and is left out of the key set", row.kid)
        return None
