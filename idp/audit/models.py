"""Tables of the audit trail: entries, their erasable side rows, and the chain that seals them. Append-only."""

from sqlalchemy import ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock, identifiers, vault
from idp.platform.database import Model


class Entry(Model):
    """One security-relevant act, written in the transaction of what it records.

    `before_json` and `after_json` are JSON values. What identifies a stranger's machine or mailbox stands in
    `EntryDetail`, so that it can be erased while `detail_digest` (salted) keeps the chain whole.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_at", "at", "id"),
        Index("ix_audit_entries_organization", "organization_id", "at", "id"),
        Index("ix_audit_entries_event", "event", "organization_id", "at", "id"),
        Index("ix_audit_entries_subject", "subject", "at", "id"),
        Index("ix_audit_entries_actor", "actor_id", "at", "id"),
        Index("ix_audit_entries_request", "request_id", "at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.entry)
    at: Mapped[int] = mapped_column(default=clock.now)
    event: Mapped[str]
    actor_kind: Mapped[str]
    actor_id: Mapped[str]
    on_behalf_of: Mapped[str | None]
    subject: Mapped[str]
    organization_id: Mapped[str | None]
    account_id: Mapped[str | None]
    source: Mapped[str]
    request_id: Mapped[str]
    before_json: Mapped[str | None]
    after_json: Mapped[str | None]
    detail_digest: Mapped[bytes | None]


class EntryDetail(Model):
    """Network address, user agent and e-mail of an entry: erasable."""

    __tablename__ = "audit_details"

    entry_id: Mapped[str] = mapped_column(ForeignKey("audit_entries.id"), primary_key=True)
    salt: Mapped[bytes]
    address: Mapped[str]
    user_agent: Mapped[str]
    email: Mapped[str]


class Unsealed(Model):
    """The entries that the sealer has yet to chain; it takes a row away when it has.

    `number` grows in the order in which entries were written: two entries of which the second could know of the first
    are chained in that order, whatever the clocks of their nodes say. (Not unique: a restored backup may repeat one.)
    """

    __tablename__ = "audit_unsealed"
    __table_args__ = (Index("ix_audit_unsealed_number", "number"),)

    entry_id: Mapped[str] = mapped_column(ForeignKey("audit_entries.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Identity())


class Seal(Model):
    """The place of one entry in the chain of the instance, and in that of its organization.

    `number` counts without gaps from 1 for the instance, `organization_number` for the organization; each hash covers
    the entry and the hash before it in the same chain. `version`: of the serialisation that was hashed.
    """

    __tablename__ = "audit_seals"
    __table_args__ = (Index("uq_audit_seals_organization", "organization_id", "organization_number", unique=True),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    entry_id: Mapped[str] = mapped_column(ForeignKey("audit_entries.id"), unique=True)
    hash: Mapped[bytes]
    version: Mapped[int] = mapped_column(default=1)
    organization_id: Mapped[str | None]
    organization_number: Mapped[int | None]
    organization_hash: Mapped[bytes | None]
    sealed_at: Mapped[int] = mapped_column(default=clock.now)


class Head(Model):
    """The newest seal of a chain (`instance`, or an organization's id), so that a cut tail is missed.

    `witness` is number and hash, sealed by the vault: who can write the database alone cannot make another.
    """

    __tablename__ = "audit_heads"

    chain: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    hash: Mapped[bytes]
    witness: Mapped[bytes] = vault.column()
    sealed_by: Mapped[str]
