"""Tables of sessions: browsers, who is signed in in them, and by which proofs."""

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock, identifiers
from idp.platform.database import Model

_LIVE = text("ended_at IS NULL")


class Browser(Model):
    """A browser, known by the digest of the one cookie it carries; the cookie changes whenever what it proves does.

    Everything that a browser does before, during and after signing in hangs on this row, so that nothing can be
    begun in one browser and finished in another.
    """

    __tablename__ = "browsers"
    __table_args__ = (Index("ix_browsers_last_seen_at", "last_seen_at"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.browser)
    token_digest: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[int] = mapped_column(default=clock.now)
    last_seen_at: Mapped[int] = mapped_column(default=clock.now)
    address: Mapped[str] = mapped_column(default="")
    user_agent: Mapped[str] = mapped_column(default="")


class BrowserSession(Model):
    """A person signed in in a browser, until it ends; several people can be signed in in one browser.

    `id` is the `sid` of tokens and names nothing secret. `ended_because`: `signed_out`, `revoked`, `replaced`, …
    """

    __tablename__ = "sessions"
    __table_args__ = (
        Index("uq_sessions_live", "browser_id", "user_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("ix_sessions_user_id", "user_id", "ended_at"),
        Index("ix_sessions_ended_at", "ended_at", "last_seen_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.session)
    browser_id: Mapped[str] = mapped_column(ForeignKey("browsers.id"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[int] = mapped_column(default=clock.now)
    last_seen_at: Mapped[int] = mapped_column(default=clock.now)
    longest_pause: Mapped[int] = mapped_column(default=0, server_default="0")
    ended_at: Mapped[int | None]
    ended_because: Mapped[str] = mapped_column(default="")


class SessionProof(Model):
    """One proof in a session; the columns are the fields of `proofs.Proof`."""

    __tablename__ = "session_proofs"
    __table_args__ = (
        Index("ix_session_proofs_session_id", "session_id"),
        Index("ix_session_proofs_factor_id", "factor_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id"))
    method: Mapped[str]
    at: Mapped[int]
    vouched_by: Mapped[str] = mapped_column(default="")
    factor_id: Mapped[str] = mapped_column(default="", server_default="")
    held_in: Mapped[str] = mapped_column(default="", server_default="")


class KnownDevice(Model):
    """A browser in which a person has signed in before: others' failures do not lock the person out there."""

    __tablename__ = "known_devices"

    browser_id: Mapped[str] = mapped_column(ForeignKey("browsers.id"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    first_seen_at: Mapped[int] = mapped_column(default=clock.now)
    last_seen_at: Mapped[int] = mapped_column(default=clock.now)


class TrustedDevice(Model):
    """A browser that a person chose to trust: until `expires_at` a second factor is not asked for in it.

    `factor_id`: what the second factor was when the browser was trusted; empty for a recovery code. Ended, never
    extended.
    """

    __tablename__ = "trusted_devices"
    __table_args__ = (
        Index(
            "uq_trusted_devices_live", "browser_id", "user_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
        ),
        Index("ix_trusted_devices_user_id", "user_id"),
        Index("ix_trusted_devices_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.device)
    browser_id: Mapped[str] = mapped_column(ForeignKey("browsers.id"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    factor_id: Mapped[str] = mapped_column(default="")
    created_at: Mapped[int] = mapped_column(default=clock.now)
    expires_at: Mapped[int]
    ended_at: Mapped[int | None]
