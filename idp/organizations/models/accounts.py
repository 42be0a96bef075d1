"""Tables of accounts: where they belong, and the groups that they are in."""

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.organizations.models.edges import one_live, within
from idp.platform import clock, identifiers
from idp.platform.database import Model, Period


class Account(Model):
    """One business unit. `livemode` (1 live, 0 sandbox) is fixed at creation; where it belongs says its placement."""

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("id", "livemode"),
        CheckConstraint("livemode IN (0, 1)", name="livemode"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.account)
    name: Mapped[str]
    country: Mapped[str]
    livemode: Mapped[int]
    created_at: Mapped[int] = mapped_column(default=clock.now)


class Placement(Period, Model):
    """One stay of an account in an organization, under a key that is unique there."""

    __tablename__ = "account_placements"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        ForeignKeyConstraint(["account_id", "livemode"], ["accounts.id", "accounts.livemode"]),
        one_live("uq_account_placements_account", "account_id"),
        one_live("uq_account_placements_key", "organization_id", "key"),
        Index(
            "ix_account_placements_cover",
            "account_id",
            "organization_id",
            "id",
            "livemode",
            "started_at",
            "ended_at",
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.placement)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    account_id: Mapped[str]
    livemode: Mapped[int]
    key: Mapped[str]


class AccountSuspension(Period, Model):
    """A time in which nothing counts in an account; it stays with the account when it moves."""

    __tablename__ = "account_suspensions"
    __table_args__ = (
        Index("ix_account_suspensions_cover", "account_id", "started_at", "ended_at"),
        one_live("uq_account_suspensions_live", "account_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))


class AccountMove(Model):
    """An account that one organization offers to another. Settled once: `accepted`, `declined` or `withdrawn`."""

    __tablename__ = "account_moves"
    __table_args__ = (
        within("placement_id", "account_placements"),
        CheckConstraint("organization_id <> target_id", name="elsewhere"),
        CheckConstraint("outcome IN ('accepted', 'declined', 'withdrawn')", name="outcome"),
        Index(
            "uq_account_moves_open",
            "placement_id",
            unique=True,
            sqlite_where=text("outcome IS NULL"),
            postgresql_where=text("outcome IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.account_move)
    organization_id: Mapped[str]
    placement_id: Mapped[str]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    target_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    asked_by_kind: Mapped[str]
    asked_by: Mapped[str]
    asked_at: Mapped[int] = mapped_column(default=clock.now)
    outcome: Mapped[str | None]
    settled_by: Mapped[str | None]
    settled_at: Mapped[int | None]


class AccountGroup(Period, Model):
    """A named set of accounts; roles granted on it reach its present and its future accounts."""

    __tablename__ = "account_groups"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        one_live("uq_account_groups_key", "organization_id", "key"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.account_group)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    key: Mapped[str]
    name: Mapped[str]


class GroupAccount(Period, Model):
    """An account's place in a group."""

    __tablename__ = "account_group_accounts"
    __table_args__ = (
        within("account_group_id", "account_groups"),
        within("placement_id", "account_placements"),
        one_live("uq_account_group_accounts_live", "placement_id", "account_group_id"),
        Index("ix_account_group_accounts_cover", "placement_id", "account_group_id", "started_at", "ended_at"),
        Index("ix_account_group_accounts_group", "account_group_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    organization_id: Mapped[str]
    account_group_id: Mapped[str]
    placement_id: Mapped[str]
