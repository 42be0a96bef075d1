"""Tables of keys: what signs, and which master keys have sealed something here."""

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock, database, vault
from idp.platform.database import Model


class SigningKey(Model):
    """A signing key of one purpose and algorithm. Its life is a row of instants; rows are never deleted.

    In the key set from `published_at`; signs from `activates_at` until a younger key of its purpose and algorithm
    does; leaves the key set at `retires_at`; `withdrawn_at`: refused everywhere from then on, whatever the clock says.
    `private_key` seals purpose, algorithm and key together (`material.written`), so that none of them can be swapped;
    `public_jwk` is for lists and is never trusted.
    """

    __tablename__ = "signing_keys"
    __table_args__ = (
        CheckConstraint("purpose IN ('access_token', 'id_token', 'saml')", name="purpose"),
        Index("ix_signing_keys_purpose", "purpose", "alg", "activates_at"),
    )

    kid: Mapped[str] = mapped_column(primary_key=True)
    purpose: Mapped[str]
    alg: Mapped[str]
    public_jwk: Mapped[str]
    private_key: Mapped[bytes] = vault.column()
    sealed_by: Mapped[str]
    published_at: Mapped[int] = mapped_column(default=clock.now)
    activates_at: Mapped[int]
    retires_at: Mapped[int | None]
    withdrawn_at: Mapped[int | None]


class MasterKey(Model):
    """A master key that sealed something here, by its id, with a value that only the right key opens."""

    __tablename__ = "master_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    check_value: Mapped[bytes]
    first_used_at: Mapped[int] = mapped_column(default=clock.now)


def only_writer(table: type[Model]) -> None:
    """Until this transaction ends, nobody else writes to `table`; what is read from now on is what counts.

    Waits for whoever is at it. SQLite has one writer at any time.
    """
    if not database.is_sqlite():
        database.session().execute(text(f"LOCK TABLE {table.__tablename__} IN SHARE ROW EXCLUSIVE MODE"))
