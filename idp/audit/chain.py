"""The chain: how an entry is turned into bytes, and how each hash covers the one before it.

Serialisation 1 is the text of a JSON array, ASCII only and without blanks, as `json.dumps(…, ensure_ascii=True,
separators=(",", ":"))` writes it: the words `canopy audit`, the number 1, the chain (`instance`, or an organization's
id), the number in the chain, the hash before it (hexadecimal, empty for the first), when it was sealed, and then the
entry: id, at, event, actor's kind and id, on behalf of whom, subject, organization, account, source, request id,
before and after (JSON texts, as they are stored), and the digest of its side row (hexadecimal). What is absent is
`null`; times are microseconds since 1970 UTC. The hash is SHA-256 over that text: whoever holds an export can compute
it again.
"""

import hashlib
import json
from dataclasses import astuple, dataclass

from idp.audit.models import Entry

INSTANCE = "instance"
"""The chain of all entries; every organization has one of its own besides."""

VERSION = 1
"""The serialisation that new seals use; a seal records its own."""

VERSIONS = frozenset([VERSION])
"""The serialisations that were ever used."""


@dataclass(frozen=True)
class Facts:
    """An entry as it is hashed, field by field in this order."""

    id: str
    at: int
    event: str
    actor_kind: str
    actor_id: str
    on_behalf_of: str | None
    subject: str
    organization_id: str | None
    account_id: str | None
    source: str
    request_id: str
    before_json: str | None
    after_json: str | None
    detail_digest: bytes | None


FACTS = tuple(getattr(Entry, name) for name in Facts.__dataclass_fields__)
"""The columns of an entry, in the order of `Facts`."""


@dataclass(frozen=True)
class Place:
    """Where an entry stands: in which chain, under which number, after which hash, since when, hashed in which way."""

    chain: str
    number: int
    previous: bytes
    sealed_at: int
    version: int = VERSION


@dataclass(frozen=True)
class ChainHead:
    """The newest link of a chain, to be kept elsewhere: `str()` is one line, `parse` reads it back."""

    chain: str
    number: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.chain}:{self.number}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> "ChainHead":
        """What `str()` wrote. Raises `ValueError` when it is none."""
        chain, number, digest = text.strip().split(":")
        return cls(chain, int(number), bytes.fromhex(digest))


def link(facts: Facts, place: Place) -> bytes:
    """The hash of an entry at its place in a chain, by the serialisation `place.version` (one of `VERSIONS`)."""
    *entry, digest = astuple(facts)
    head = ["canopy audit", place.version, place.chain, place.number, place.previous.hex(), place.sealed_at]
    line = json.dumps([*head, *entry, digest.hex() if digest is not None else None], separators=(",", ":"))
    return hashlib.sha256(line.encode()).digest()
