"""Tables of the authorization server: requests under way, decisions, and what was handed out because of them."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock, identifiers
from idp.platform.database import Model, Period

_LIVE = text("ended_at IS NULL")


class Authorization(Model):
    """One decision to let a client act for a person: codes and refresh tokens point at it, access tokens name it.

    `subject`: the `sub` that the client knows the person by. `scope`: granted scopes, separated by blanks;
    `resources`: granted audiences likewise. `organization_id`, `account_id`: the context that was decided for, if any;
    `standing_id`: the row of `membership_statuses` by which the person was active there then (what comes after a
    suspension is another one). `claims_json`: the `claims` parameter (OpenID Connect Core §5.5). `auth_time`, `acr`,
    `amr` (separated by blanks): what the proofs amounted to, which stand in `proofs_json`. `offline` 1: outlives the
    browser session.
    """

    __tablename__ = "authorizations"
    __table_args__ = (
        CheckConstraint("offline IN (0, 1)", name="offline"),
        CheckConstraint("account_id IS NULL OR organization_id IS NOT NULL", name="accounts_have_an_organization"),
        Index("ix_authorizations_user_id", "user_id", "client_id", "ended_at"),
        Index("ix_authorizations_session_id", "session_id"),
        Index("ix_authorizations_client_id", "client_id", "ended_at"),
        Index("ix_authorizations_organization_id", "organization_id", "ended_at"),
        Index("ix_authorizations_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.authorization)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.id"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id"))
    subject: Mapped[str]
    scope: Mapped[str]
    resources: Mapped[str] = mapped_column(default="")
    organization_id: Mapped[str | None] = mapped_column(ForeignKey("organizations.id"))
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    standing_id: Mapped[str | None] = mapped_column(ForeignKey("membership_statuses.id"))
    claims_json: Mapped[str] = mapped_column(default="{}")
    auth_time: Mapped[int]
    acr: Mapped[str]
    amr: Mapped[str]
    proofs_json: Mapped[str] = mapped_column(default="[]", server_default="[]")
    offline: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[int] = mapped_column(default=clock.now)
    expires_at: Mapped[int]
    ended_at: Mapped[int | None]
    ended_because: Mapped[str] = mapped_column(default="")


class AuthorizationCode(Model):
    """A code (RFC 6749 §4.1.2) by its digest: used once, by the client and for the address that it was made for."""

    __tablename__ = "authorization_codes"
    __table_args__ = (Index("ix_authorization_codes_authorization_id", "authorization_id"),)

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    authorization_id: Mapped[str] = mapped_column(ForeignKey("authorizations.id"))
    client_id: Mapped[str]
    redirect_uri: Mapped[str]
    code_challenge: Mapped[str | None]
    nonce: Mapped[str | None]
    created_at: Mapped[int] = mapped_column(default=clock.now)
    expires_at: Mapped[int]
    used_at: Mapped[int | None]


class RefreshToken(Model):
    """A refresh token by its digest. All tokens of one authorization are one family.

    `parent_digest`: the token that it succeeds. `spent_at`: its first use, or the late retry that began another grace
    window; `answers`: how often it was answered with a successor since. `ended_at`: void without having been used
    (its predecessor was asked for another one).
    """

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index("ix_refresh_tokens_authorization_id", "authorization_id"),
        Index("ix_refresh_tokens_parent_digest", "parent_digest"),
    )

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    authorization_id: Mapped[str] = mapped_column(ForeignKey("authorizations.id"))
    parent_digest: Mapped[bytes | None]
    created_at: Mapped[int] = mapped_column(default=clock.now)
    expires_at: Mapped[int]
    spent_at: Mapped[int | None]
    answers: Mapped[int] = mapped_column(default=0)
    ended_at: Mapped[int | None]


class PendingRequest(Model):
    """An authorization request that waits for its person, in one browser. Answered once (`settled_at`).

    `request_json`: the request as it was checked (`authorize.AuthorizeRequest`). `sign_in_id`: the sign-in that it sent
    the person to last. `shown_json`: what the consent page showed and to whom, which is all that can be agreed to;
    `agreed_at`: when the person did.
    """

    __tablename__ = "pending_requests"
    __table_args__ = (
        Index("ix_pending_requests_browser_id", "browser_id"),
        Index("ix_pending_requests_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.pending_request)
    browser_id: Mapped[str] = mapped_column(ForeignKey("browsers.id"))
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.id"))
    request_json: Mapped[str]
    sign_in_id: Mapped[str | None]
    shown_json: Mapped[str] = mapped_column(default="")
    agreed_at: Mapped[int | None]
    created_at: Mapped[int] = mapped_column(default=clock.now)
    expires_at: Mapped[int]
    settled_at: Mapped[int | None]


class Consent(Period, Model):
    """What a person has agreed that a client may do, in one organization (empty: without context).

    `scope` and `resources` (audiences, and `<audience>#<scope>` for scopes of theirs): separated by blanks; `declined`:
    optional scopes that were shown and not agreed to, which are not asked for again. `client_owner`, `redirect_host`:
    as they were; asked again when they change (CON-03). Widened by ending it and making another.
    """

    __tablename__ = "consents"
    __table_args__ = (
        Index(
            "uq_consents_live",
            "user_id",
            "client_id",
            "organization_id",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.consent)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.id"))
    organization_id: Mapped[str] = mapped_column(default="")
    scope: Mapped[str]
    declined: Mapped[str] = mapped_column(default="")
    resources: Mapped[str] = mapped_column(default="")
    client_owner: Mapped[str]
    redirect_host: Mapped[str]


class PairwiseSubject(Model):
    """The `sub` of a person in one sector (OpenID Connect Core §8.1): random, kept for good, never of two people."""

    __tablename__ = "pairwise_subjects"
    __table_args__ = (UniqueConstraint("subject"), Index("ix_pairwise_subjects_user_id", "user_id"))

    sector: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    subject: Mapped[str]


class RevokedToken(Model):
    """An access token that was revoked by itself (RFC 7009), by its `jti`, kept until it would have expired."""

    __tablename__ = "revoked_tokens"
    __table_args__ = (Index("ix_revoked_tokens_expires_at", "expires_at"),)

    jti: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[int]


class SpentAssertion(Model):
    """A client assertion that was used (RFC 7523 §3): its `jti`, by its digest, until it would have expired."""

    __tablename__ = "spent_assertions"
    __table_args__ = (Index("ix_spent_assertions_expires_at", "expires_at"),)

    client_id: Mapped[str] = mapped_column(primary_key=True)
    jti_digest: Mapped[bytes] = mapped_column(primary_key=True)
    expires_at: Mapped[int]
