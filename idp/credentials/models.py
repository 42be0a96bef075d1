"""Tables of what people prove themselves with."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock, identifiers, vault
from idp.platform.database import Model

_LIVE = text("ended_at IS NULL")
_OPEN = text("outcome IS NULL")
_ONE_APP = text("kind = 'totp' AND ended_at IS NULL")
_ONE_MAILBOX = text("kind = 'email_code' AND ended_at IS NULL")


class Password(Model):
    """A person's password, as a PHC string that records algorithm, parameters and salt.

    `is_short` 1: it has fewer characters than one has to have that proves somebody alone (PWD-01). `by_mail` 1: it was
    set through a mailed link, so a code by mail proves nothing beside it.
    """

    __tablename__ = "passwords"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    hash: Mapped[str]
    set_at: Mapped[int] = mapped_column(default=clock.now)
    is_short: Mapped[int] = mapped_column(default=0, server_default="0")
    by_mail: Mapped[int] = mapped_column(default=0, server_default="0")


class Factor(Model):
    """Something that a person has to prove themselves with, until it is removed: a passkey, an authenticator app, or
    codes by mail.

    Ended, never deleted: what was proven with it names it.
    """

    __tablename__ = "factors"
    __table_args__ = (
        CheckConstraint("kind IN ('passkey', 'totp', 'email_code')", name="kind"),
        Index("ix_factors_user_id", "user_id", sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("uq_factors_totp", "user_id", unique=True, sqlite_where=_ONE_APP, postgresql_where=_ONE_APP),
        Index("uq_factors_email", "user_id", unique=True, sqlite_where=_ONE_MAILBOX, postgresql_where=_ONE_MAILBOX),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.factor)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str]
    name: Mapped[str] = mapped_column(default="")
    created_at: Mapped[int] = mapped_column(default=clock.now)
    last_used_at: Mapped[int | None]
    ended_at: Mapped[int | None]


class Passkey(Model):
    """What is kept of a passkey (WebAuthn §4, credential record). Ids and keys are base64url, without padding.

    `credential_id` is never taken twice, also after the factor ended. `public_key`: COSE. `is_synced` 1: it may leave
    its device (BE); `is_backed_up` 1: it has (BS). `sign_count`: the last one seen; `went_back_at`: when one came that
    was not greater. `transports`: how the browser reached it, separated by blanks.
    """

    __tablename__ = "passkeys"
    __table_args__ = (CheckConstraint("is_synced IN (0, 1) AND is_backed_up IN (0, 1)", name="flags"),)

    factor_id: Mapped[str] = mapped_column(ForeignKey("factors.id"), primary_key=True)
    credential_id: Mapped[str] = mapped_column(unique=True)
    public_key: Mapped[str]
    sign_count: Mapped[int]
    is_synced: Mapped[int]
    is_backed_up: Mapped[int]
    transports: Mapped[str] = mapped_column(default="")
    aaguid: Mapped[str] = mapped_column(default="")
    went_back_at: Mapped[int | None]


class Ceremony(Model):
    """A WebAuthn challenge that was handed out, by its digest: for one purpose, at one place, once.

    `purpose`: `register`, `sign_in` or `confirm`; `bound_to`: the id of the sign-in under way or of the session that
    asked; `user_id`: whose passkey it has to be, if that is known.
    """

    __tablename__ = "ceremonies"
    __table_args__ = (
        CheckConstraint("purpose IN ('register', 'sign_in', 'confirm')", name="purpose"),
        Index("ix_ceremonies_expires_at", "expires_at"),
    )

    challenge_digest: Mapped[bytes] = mapped_column(primary_key=True)
    purpose: Mapped[str]
    bound_to: Mapped[str]
    user_id: Mapped[str | None]
    created_at: Mapped[int] = mapped_column(default=clock.now)
    expires_at: Mapped[int]
    used_at: Mapped[int | None]


class AuthenticatorApp(Model):
    """The secret of an authenticator app (RFC 6238). `last_step`: that of the last code taken; no earlier one is."""

    __tablename__ = "authenticator_apps"

    factor_id: Mapped[str] = mapped_column(ForeignKey("factors.id"), primary_key=True)
    secret: Mapped[bytes] = vault.column()
    sealed_by: Mapped[str]
    last_step: Mapped[int] = mapped_column(default=0)


class AppEnrolment(Model):
    """An authenticator app that is being set up: its secret was shown, and no code of it was given yet.

    `bound_to`: the id of the sign-in under way or of the session that it was shown in. Taken once (`used_at`).
    """

    __tablename__ = "app_enrolments"
    __table_args__ = (
        Index("uq_app_enrolments_bound_to", "bound_to", "user_id", unique=True),
        Index("ix_app_enrolments_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.enrolment)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    bound_to: Mapped[str]
    secret: Mapped[bytes] = vault.column()
    sealed_by: Mapped[str]
    created_at: Mapped[int] = mapped_column(default=clock.now)
    expires_at: Mapped[int]
    used_at: Mapped[int | None]


class RecoveryCode(Model):
    """A recovery code by the digest of its owner and itself; used once. `ended_at`: a newer set replaced its own."""

    __tablename__ = "recovery_codes"
    __table_args__ = (Index("ix_recovery_codes_user_id", "user_id", sqlite_where=_LIVE, postgresql_where=_LIVE),)

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[int] = mapped_column(default=clock.now)
    used_at: Mapped[int | None]
    ended_at: Mapped[int | None]


class EmailCode(Model):
    """A code that was mailed, to be typed once at the place that asked for it.

    `bound_to`: the id of the sign-in under way or of the session that asked. `code_digest`: keyed, for the code is
    short. `address`: where it was mailed.
    """

    __tablename__ = "email_codes"
    __table_args__ = (Index("ix_email_codes_expires_at", "expires_at"),)

    bound_to: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    code_digest: Mapped[bytes]
    address: Mapped[str]
    sent: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[int] = mapped_column(default=clock.now)
    expires_at: Mapped[int]
    used_at: Mapped[int | None]


class MailedLink(Model):
    """A link that was mailed, by its digest: what it is for, whose it is and which address it proves, in one record
    that never changes (RST-06).

    `user_id`: nobody's yet in a sign-up. `rests_on`: what has to be as it was when the link was made, in words of its
    purpose. Spent once (`used_at`), or ended by a younger one or a change (`ended_at`).
    """

    __tablename__ = "mailed_links"
    __table_args__ = (
        CheckConstraint(
            "purpose IN ('recover', 'verify', 'undo', 'sign_up', 'enrol', 'not_me', 'keep_factors')", name="purpose"
        ),
        Index("ix_mailed_links_user_id", "user_id", "purpose"),
        Index("ix_mailed_links_address_key", "address_key", "purpose"),
        Index("ix_mailed_links_expires_at", "expires_at"),
    )

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    purpose: Mapped[str]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    address: Mapped[str]
    address_key: Mapped[str]
    rests_on: Mapped[str] = mapped_column(default="")
    created_at: Mapped[int] = mapped_column(default=clock.now)
    expires_at: Mapped[int]
    used_at: Mapped[int | None]
    ended_at: Mapped[int | None]


class FactorReset(Model):
    """That somebody who may has asked to take every second factor from a person who has lost them.

    Done at once, or at `due_at` where the person holds privileged roles, unless it is cancelled before. Settled once:
    `done` or `cancelled`.
    """

    __tablename__ = "factor_resets"
    __table_args__ = (
        CheckConstraint("outcome IN ('done', 'cancelled')", name="outcome"),
        Index("uq_factor_resets_open", "user_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    reason: Mapped[str]
    asked_by_kind: Mapped[str]
    asked_by: Mapped[str]
    asked_at: Mapped[int] = mapped_column(default=clock.now)
    due_at: Mapped[int]
    outcome: Mapped[str | None]
    settled_at: Mapped[int | None]


class GuessCount(Model):
    """How many proofs failed under a key (who, from where), and until when the next one waits; see `guesses`."""

    __tablename__ = "guess_counts"
    __table_args__ = (Index("ix_guess_counts_last_at", "last_at"),)

    key_digest: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[int]
    waits_until: Mapped[int] = mapped_column(default=0)
