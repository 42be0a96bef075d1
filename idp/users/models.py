"""Tables of people: who they are, how they are addressed, who of them runs the installation."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock, identifiers
from idp.platform.database import Model, Period

_LIVE = text("ended_at IS NULL")


class User(Model):
    """One person, one login, any number of organizations. `claims`: standard OIDC claims as a JSON object.

    `theme`: `light`, `dark`, or empty for what the machine is set to.
    A person who was deleted (`deleted_at`) keeps the id and nothing else: what the trail says of it stays true.
    """

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.user)
    username: Mapped[str]
    username_key: Mapped[str] = mapped_column(unique=True)
    claims: Mapped[str] = mapped_column(default="{}")
    created_at: Mapped[int] = mapped_column(default=clock.now)
    deleted_at: Mapped[int | None]
    theme: Mapped[str] = mapped_column(default="", server_default="")


class UserDisablement(Period, Model):
    """A time in which a person may do nothing anywhere."""

    __tablename__ = "user_disablements"
    __table_args__ = (
        Index("ix_user_disablements_cover", "user_id", "started_at", "ended_at"),
        Index("uq_user_disablements_live", "user_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))


class Address(Period, Model):
    """An e-mail address of a person. `address_key` is its normal form, held by one person at a time.

    `recovers_from`: a password can be recovered by it from that instant on, 0 for ever: whoever took over a session
    must not have a mailbox of theirs count at once. `leaves_at`: it was replaced or removed, and is the person's until
    then, so that the change can be undone; nobody counts it any more afterwards. Of deleted people the row's id stands
    in place of the address.
    """

    __tablename__ = "user_addresses"
    __table_args__ = (
        Index("uq_user_addresses_live", "address_key", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("ix_user_addresses_user_id", "user_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.address)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    address: Mapped[str]
    address_key: Mapped[str]
    domain: Mapped[str]
    is_primary: Mapped[int] = mapped_column(default=0)
    verified_at: Mapped[int | None]
    recovers_from: Mapped[int] = mapped_column(default=0, server_default="0")
    leaves_at: Mapped[int | None]


class Operator(Period, Model):
    """Who runs the installation. An instance role never appears in an organization's tokens."""

    __tablename__ = "operators"
    __table_args__ = (
        CheckConstraint("instance_role IN ('admin', 'support')", name="instance_role"),
        Index("uq_operators_live", "user_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    instance_role: Mapped[str] = mapped_column(default="admin")


class SetupLink(Model):
    """The link by which the first operator is made: one row at most, gone once it was used."""

    __tablename__ = "setup_links"
    __table_args__ = (CheckConstraint("id = 'setup'", name="only_one"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    token_digest: Mapped[bytes]
    expires_at: Mapped[int]
