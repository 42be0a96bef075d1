"""The vault: secrets that we must read back (signing keys, TOTP seeds, upstream client secrets), sealed at rest.

* Each master key of `IDP_SECRET_KEY` has an id, derived from the key itself, that stands in whatever it sealed. The
  first key seals; every key opens.
* No master key is used as it is: HKDF-SHA256 (RFC 5869) derives one for each sealed column and each other purpose.
* Values are sealed with AES-256-GCM-SIV (RFC 8452) under a random nonce. Should a nonce ever repeat (two virtual
  machines resumed from one snapshot), that tells only that two values are equal; plain GCM would lose its
  authentication key.
* Table, column and row are authenticated along: a value that was copied elsewhere does not open there.

A sealed column is declared by `column()`, which is how `sealed_columns()` knows every one of them.
"""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import Flask, current_app
from pydantic import SecretStr
from sqlalchemy import Column, Table
from sqlalchemy.orm import MappedColumn, mapped_column

from idp.platform.database import Model

_VERSION = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEAD_BYTES = len(_VERSION) + _ID_BYTES + _NONCE_BYTES

_EXTENSION = "canopy_vault"
_RECORDED_IN = "sealed; key id recorded in"


class NoMasterKey(RuntimeError):
    """`IDP_SECRET_KEY` is not set, so nothing can be sealed, opened or derived."""


class Unopenable(Exception):
    """A sealed value does not open: it was changed, belongs elsewhere, or its master key is not among ours.

    Not a `Refusal`: no caller did anything wrong. `key_id` names the master key, as far as the value tells.
    """

    def __init__(self, reason: str, key_id: str = "") -> None:
        super().__init__(reason)
        self.key_id = key_id


class Vault:
    """The master keys of one application, in the order in which they were given."""

    def __init__(self, masters: Iterable[bytes]) -> None:
        masters = tuple(masters)
        if not all(masters):
            raise NoMasterKey("IDP_SECRET_KEY holds an empty key")
        self._masters = {_derived(master, "key id", _ID_BYTES).hex(): master for master in masters}
        self._ciphers: dict[tuple[str, str], AESGCMSIV] = {}

    def key_ids(self) -> tuple[str, ...]:
        """The ids of the master keys; the first is that of the one that seals."""
        return tuple(self._masters)

    def first(self) -> str:
        """The id of the master key that seals. Raises `NoMasterKey`."""
        for key_id in self._masters:
            return key_id
        raise NoMasterKey("IDP_SECRET_KEY is not set")

    def derived_keys(self, purpose: str) -> tuple[bytes, ...]:
        """32 bytes for `purpose` from each master key; the first is for making, all are for checking."""
        return tuple(_derived(master, f"use/{purpose}") for master in self._masters.values())

    def seal(self, plaintext: bytes, *, table: str, column: str, row: str, by: str = "") -> bytes:
        """`plaintext` sealed for one place by the first master key, or by the one with the id `by`."""
        key_id = by or self.first()
        head = _VERSION + bytes.fromhex(key_id)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher(key_id, table, column).encrypt(nonce, plaintext, _bound_to(head, table, column, row))
        return head + nonce + sealed

    def open(self, sealed: bytes, *, table: str, column: str, row: str) -> bytes:
        """What was sealed for that place. Raises `Unopenable`."""
        key_id = sealed_by(sealed)
        if key_id not in self._masters:
            raise Unopenable(f"{table}.{column} was sealed by master key {key_id}, which is not given", key_id)
        head, nonce = sealed[: len(_VERSION) + _ID_BYTES], sealed[len(_VERSION) + _ID_BYTES : _HEAD_BYTES]
        bound_to = _bound_to(head, table, column, row)
        try:
            return self._cipher(key_id, table, column).decrypt(nonce, sealed[_HEAD_BYTES:], bound_to)
        except InvalidTag:
            raise Unopenable(f"{table}.{column} holds a value that was not sealed for it", key_id) from None

    def _cipher(self, key_id: str, table: str, column: str) -> AESGCMSIV:
        place = f"seal/{table}.{column}"
        cipher = self._ciphers.get((key_id, place))
        if cipher is None:
            cipher = self._ciphers[key_id, place] = AESGCMSIV(_derived(self._masters[key_id], place))
        return cipher


def sealed_by(sealed: bytes) -> str:
    """The id of the master key that made `sealed`; written beside it, so that it can be asked for. Or `Unopenable`."""
    if sealed[:1] != _VERSION or len(sealed) < _HEAD_BYTES + _TAG_BYTES:
        raise Unopenable("not a sealed value")
    return sealed[len(_VERSION) : len(_VERSION) + _ID_BYTES].hex()


def _derived(master: bytes, purpose: str, length: int = 32) -> bytes:
    return HKDF(SHA256(), length, salt=b"canopy", info=f"canopy/1/{purpose}".encode()).derive(master)


def _bound_to(head: bytes, table: str, column: str, row: str) -> bytes:
    return head + json.dumps([table, column, row]).encode()


# The vault of the current application


def init(app: Flask, masters: Iterable[SecretStr]) -> None:
    """Give `app` its master keys (`IDP_SECRET_KEY`, newest first)."""
    app.extensions[_EXTENSION] = Vault(master.get_secret_value().encode("utf-8", "surrogatepass") for master in masters)


def current() -> Vault:
    """The vault of the current application."""
    vault: Vault = current_app.extensions[_EXTENSION]
    return vault


def seal(plaintext: bytes, *, table: str, column: str, row: str) -> bytes:
    """`plaintext` sealed for the row with the id `row`; record `sealed_by(…)` of it in the column declared for that.

    Raises `LookupError` when the column was not declared by `column()`: resealing would never find the value.
    """
    if _RECORDED_IN not in Model.metadata.tables[table].columns[column].info:
        raise LookupError(f"{table}.{column} is not declared as sealed: use vault.column()")
    return current().seal(plaintext, table=table, column=column, row=row)


def open(sealed: bytes, *, table: str, column: str, row: str) -> bytes:
    """What `seal` was given for that row. Raises `Unopenable`."""
    return current().open(sealed, table=table, column=column, row=row)


def derive(purpose: str) -> bytes:
    """32 bytes for `purpose`, e.g. `audit head`, from the newest master key: what is made now is made with this."""
    current().first()
    return current().derived_keys(purpose)[0]


def derived_keys(purpose: str) -> tuple[bytes, ...]:
    """`derive(purpose)` and the same from every older master key: what was made before is checked with these."""
    return current().derived_keys(purpose)


# Which columns are sealed


@dataclass(frozen=True)
class SealedColumn:
    """A column of sealed values; `row` is the id they are bound to, `recorded_in` names the master key beside each."""

    table: Table
    value: Column[bytes]
    row: Column[str]
    recorded_in: Column[str]


def column(recorded_in: str = "sealed_by") -> MappedColumn[Any]:
    """Declare a sealed column: `secret: Mapped[bytes] = vault.column()`, beside `sealed_by: Mapped[str]`.

    Rows are bound to the primary key, which is one text column. A second sealed column of a table has a
    `recorded_in` of its own.
    """
    return mapped_column(info={_RECORDED_IN: recorded_in})


def sealed_columns() -> tuple[SealedColumn, ...]:
    """Every sealed column of every table, in a fixed order: what `idp keys reseal` walks."""
    return tuple(
        SealedColumn(table, value, table.primary_key.columns[0], table.columns[value.info[_RECORDED_IN]])
        for _, table in sorted(Model.metadata.tables.items())
        for value in table.columns
        if _RECORDED_IN in value.info
    )
