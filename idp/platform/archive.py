"""Archives: streams that are compressed, encrypted in chunks, and authentic from the first byte to the last.

Format 1. The head: `canopy archive`, a byte 1, the id of a master key (8 bytes) and a salt (32 bytes). Then chunks,
each of a byte (1: this is the last one, else 0), the length of what follows (4 bytes, big-endian), and AES-256-GCM of
at most 1 MiB. The key is HKDF-SHA256 of what the vault derives from that master key for `archive`, with the salt and
with the info `canopy archive 1`; the nonce is the number of the chunk (11 bytes, from 0) and the byte before it; the
head is authenticated along. So a chunk that is changed, moved, repeated or missing does not open, nor does a file that
was cut off. What the chunks hold together is one zlib stream (RFC 1950).
"""

import secrets
import zlib
from collections.abc import Iterable, Iterator
from itertools import count
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from idp.platform import vault
from idp.platform.errors import Refusal

CHUNK: Final = 1 << 20
"""Bytes of the zlib stream in a chunk."""

_MAGIC: Final = b"canopy archive\x01"
_KEY_ID_BYTES: Final = 8
_SALT_BYTES: Final = 32
_HEAD_BYTES: Final = len(_MAGIC) + _KEY_ID_BYTES + _SALT_BYTES
_TAG_BYTES: Final = 16


class NotAuthentic(Refusal):
    """The file is none of ours, was changed, or is cut off. Nothing of it was believed."""

    code = "archive_not_authentic"
    status = 422
    title = "The file is no archive of this provider, was changed, or is cut off"
    remedy = "Take another copy of the file."


class WrongMasterKey(Refusal):
    """The master key that sealed the archive is not among ours."""

    code = "archive_of_another_key"
    status = 422
    title = "The archive was made with another master key"
    remedy = "Add the master key of that time behind the others in IDP_SECRET_KEY."


def sealed(plain: Iterable[bytes]) -> Iterator[bytes]:
    """The archive of `plain`, piece by piece, made with the newest master key."""
    key_id = vault.current().first()
    head = _MAGIC + bytes.fromhex(key_id) + secrets.token_bytes(_SALT_BYTES)
    cipher = _cipher(head)
    yield head
    waiting = bytearray()
    number = count()
    for piece in _compressed(plain):
        waiting += piece
        while len(waiting) > CHUNK:
            yield _closed(cipher, head, next(number), bytes(waiting[:CHUNK]), is_last=False)
            del waiting[:CHUNK]
    yield _closed(cipher, head, next(number), bytes(waiting), is_last=True)


def opened(stream: BinaryIO) -> Iterator[bytes]:
    """What was sealed into the archive that `stream` reads, piece by piece.

    Raises `WrongMasterKey`, and `NotAuthentic` as soon as a chunk does not open: only who has read to the end knows
    that the archive is whole.
    """
    head = _exactly(stream, _HEAD_BYTES)
    cipher = _cipher(head)
    inflate = zlib.decompressobj()
    for number in count():
        last, chunk = _open_next(stream, cipher, head, number)
        yield inflate.decompress(chunk)
        if last:
            break
    if stream.read(1):
        raise NotAuthentic


def _compressed(plain: Iterable[bytes]) -> Iterator[bytes]:
    deflate = zlib.compressobj(level=1)
    for piece in plain:
        yield deflate.compress(piece)
    yield deflate.flush()


def _closed(cipher: AESGCM, head: bytes, number: int, chunk: bytes, *, is_last: bool) -> bytes:
    last = bytes([is_last])
    encrypted = cipher.encrypt(number.to_bytes(11, "big") + last, chunk, head)
    return last + len(encrypted).to_bytes(4, "big") + encrypted


def _open_next(stream: BinaryIO, cipher: AESGCM, head: bytes, number: int) -> tuple[bool, bytes]:
    last = _exactly(stream, 1)
    length = int.from_bytes(_exactly(stream, 4), "big")
    if length > CHUNK + _TAG_BYTES:
        raise NotAuthentic
    try:
        return last == b"\x01", cipher.decrypt(number.to_bytes(11, "big") + last, _exactly(stream, length), head)
    except InvalidTag:
        raise NotAuthentic from None


def _exactly(stream: BinaryIO, length: int) -> bytes:
    read = stream.read(length)
    if len(read) < length:
        raise NotAuthentic
    return read


def _cipher(head: bytes) -> AESGCM:
    if not head.startswith(_MAGIC):
        raise NotAuthentic
    key_id = head[len(_MAGIC) : len(_MAGIC) + _KEY_ID_BYTES].hex()
    keys = dict(zip(vault.current().key_ids(), vault.derived_keys("archive"), strict=True))
    if key_id not in keys:
        raise WrongMasterKey(f"The archive was made with the master key {key_id}, which is not among IDP_SECRET_KEY.")
    salt = head[-_SALT_BYTES:]
    return AESGCM(HKDF(SHA256(), 32, salt=salt, info=b"canopy archive 1").derive(keys[key_id]))
