"""The tables of sign-ins that are under way, and of what was offered in them."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock, identifiers
from idp.platform.database import Model

_UNDER_WAY = text("outcome IS NULL")


class Transaction(Model):
    """One sign-in (or choice) under way in one browser. What happened so far stands here and nowhere else.

    `identifier`: as typed, in normal form; `user_id`: whom it names, if anybody (nothing that the browser sees tells).
    `demand_json`: what whoever sent the browser here wants (`demands.Demand`); `return_to`: a path of our own origin.
    `proofs_json`: proofs (`sessions.proofs.Proof`) until they are enough for a session, and by which password.
    `session_id`: the session that this sign-in goes on from, or has opened. `declined` 1: the person does not want to
    set anything up now. `offer`: how that of a passkey for the next time stands (`SignIn.offer`). `failure`: why the
    page is shown again. Settled once: `done` or `cancelled`.
    """

    __tablename__ = "login_transactions"
    __table_args__ = (
        CheckConstraint("outcome IN ('done', 'cancelled')", name="outcome"),
        Index("ix_login_transactions_browser_id", "browser_id"),
        Index("ix_login_transactions_expires_at", "expires_at"),
        Index("ix_login_transactions_user_id", "user_id", sqlite_where=_UNDER_WAY, postgresql_where=_UNDER_WAY),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.transaction)
    browser_id: Mapped[str] = mapped_column(ForeignKey("browsers.id"))
    return_to: Mapped[str]
    application: Mapped[str] = mapped_column(default="")
    demand_json: Mapped[str] = mapped_column(default="{}")
    identifier: Mapped[str] = mapped_column(default="")
    user_id: Mapped[str | None]
    proofs_json: Mapped[str] = mapped_column(default="[]")
    session_id: Mapped[str | None]
    declined: Mapped[int] = mapped_column(default=0, server_default="0")
    offer: Mapped[str] = mapped_column(default="", server_default="")
    failure: Mapped[str] = mapped_column(default="")
    organization_id: Mapped[str | None]
    account_id: Mapped[str | None]
    created_at: Mapped[int] = mapped_column(default=clock.now)
    expires_at: Mapped[int]
    outcome: Mapped[str | None]
    settled_at: Mapped[int | None]


class PasskeyOffer(Model):
    """When a person was last offered a passkey after a password."""

    __tablename__ = "passkey_offers"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    offered_at: Mapped[int]
