"""Tables of keys: what signs, and which master keys have sealed something here."""

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.database import Model


class SigningKey(Model):
    """A signing key of one purpose. Its private half is sealed; its life is a row of instants.

    Published in the key set from `published_at`, signs from `activates_at` until a younger key of its purpose and
    algorithm does, leaves the key set at `retires_at`; `withdrawn_at`: refused everywhere from then on.
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
    private_key: Mapped[bytes]
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
