"""The OpenID provider: authorizations, codes, refresh tokens, consents.

Revises: 3760eccfe978
"""

from alembic import op
import sqlalchemy as sa


revision = "696e6218502e"
down_revision = "3760eccfe978"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "revoked_tokens",
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_revoked_tokens")),
    )
    with op.batch_alter_table("revoked_tokens", schema=None) as batch_op:
        batch_op.create_index("ix_revoked_tokens_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "spent_assertions",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("jti_digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "jti_digest", name=op.f("pk_spent_assertions")),
    )
    with op.batch_alter_table("spent_assertions", schema=None) as batch_op:
        batch_op.create_index("ix_spent_assertions_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "client_key_sets",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("keys_json", sa.Text(), nullable=False),
        sa.Column("fetched_at", sa.BigInteger(), nullable=True),
        sa.Column("tried_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_client_key_sets_client_id_clients")),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_client_key_sets")),
    )
    op.create_table(
        "client_origins",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_client_origins_client_id_clients")),
        sa.PrimaryKeyConstraint("client_id", "origin", name=op.f("pk_client_origins")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("client_origins", schema=None) as batch_op:
        batch_op.create_index("ix_client_origins_origin", ["origin"], unique=False)

    op.create_table(
        "consents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("declined", sa.Text(), nullable=False),
        sa.Column("resources", sa.Text(), nullable=False),
        sa.Column("client_owner", sa.Text(), nullable=False),
        sa.Column("redirect_host", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_consents_client_id_clients")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_consents_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    with op.batch_alter_table("consents", schema=None) as batch_op:
        batch_op.create_index(
            "uq_consents_live",
            ["user_id", "client_id", "organization_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "pairwise_subjects",
        sa.Column("sector", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_pairwise_subjects_user_id_users")),
        sa.PrimaryKeyConstraint("sector", "user_id", name=op.f("pk_pairwise_subjects")),
        sa.UniqueConstraint("subject", name=op.f("uq_pairwise_subjects_subject")),
    )
    with op.batch_alter_table("pairwise_subjects", schema=None) as batch_op:
        batch_op.create_index("ix_pairwise_subjects_user_id", ["user_id"], unique=False)

    op.create_table(
        "pending_requests",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("browser_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("request_json", sa.Text(), nullable=False),
        sa.Column("sign_in_id", sa.Text(), nullable=True),
        sa.Column("shown_json", sa.Text(), nullable=False),
        sa.Column("agreed_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["browser_id"], ["browsers.id"], name=op.f("fk_pending_requests_browser_id_browsers")),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_pending_requests_client_id_clients")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pending_requests")),
    )
    with op.batch_alter_table("pending_requests", schema=None) as batch_op:
        batch_op.create_index("ix_pending_requests_browser_id", ["browser_id"], unique=False)
        batch_op.create_index("ix_pending_requests_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "authorizations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("resources", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("standing_id", sa.Text(), nullable=True),
        sa.Column("claims_json", sa.Text(), nullable=False),
        sa.Column("auth_time", sa.BigInteger(), nullable=False),
        sa.Column("acr", sa.Text(), nullable=False),
        sa.Column("amr", sa.Text(), nullable=False),
        sa.Column("offline", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_because", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "account_id IS NULL OR organization_id IS NOT NULL",
            name=op.f("ck_authorizations_accounts_have_an_organization"),
        ),
        sa.CheckConstraint("offline IN (0, 1)", name=op.f("ck_authorizations_offline")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_authorizations_account_id_accounts")),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_authorizations_client_id_clients")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_authorizations_organization_id_organizations")
        ),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("fk_authorizations_session_id_sessions")),
        sa.ForeignKeyConstraint(
            ["standing_id"], ["membership_statuses.id"], name=op.f("fk_authorizations_standing_id_membership_statuses")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_authorizations_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authorizations")),
    )
    with op.batch_alter_table("authorizations", schema=None) as batch_op:
        batch_op.create_index("ix_authorizations_client_id", ["client_id", "ended_at"], unique=False)
        batch_op.create_index("ix_authorizations_expires_at", ["expires_at"], unique=False)
        batch_op.create_index("ix_authorizations_organization_id", ["organization_id", "ended_at"], unique=False)
        batch_op.create_index("ix_authorizations_session_id", ["session_id"], unique=False)
        batch_op.create_index("ix_authorizations_user_id", ["user_id", "client_id", "ended_at"], unique=False)

    op.create_table(
        "authorization_codes",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("authorization_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("code_challenge", sa.Text(), nullable=True),
        sa.Column("nonce", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["authorization_id"],
            ["authorizations.id"],
            name=op.f("fk_authorization_codes_authorization_id_authorizations"),
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_authorization_codes")),
    )
    with op.batch_alter_table("authorization_codes", schema=None) as batch_op:
        batch_op.create_index("ix_authorization_codes_authorization_id", ["authorization_id"], unique=False)

    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("authorization_id", sa.Text(), nullable=False),
        sa.Column("parent_digest", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("spent_at", sa.BigInteger(), nullable=True),
        sa.Column("answers", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["authorization_id"], ["authorizations.id"], name=op.f("fk_refresh_tokens_authorization_id_authorizations")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_refresh_tokens")),
    )
    with op.batch_alter_table("refresh_tokens", schema=None) as batch_op:
        batch_op.create_index("ix_refresh_tokens_authorization_id", ["authorization_id"], unique=False)
        batch_op.create_index("ix_refresh_tokens_parent_digest", ["parent_digest"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("refresh_tokens", schema=None) as batch_op:
        batch_op.drop_index("ix_refresh_tokens_parent_digest")
        batch_op.drop_index("ix_refresh_tokens_authorization_id")

    op.drop_table("refresh_tokens")
    with op.batch_alter_table("authorization_codes", schema=None) as batch_op:
        batch_op.drop_index("ix_authorization_codes_authorization_id")

    op.drop_table("authorization_codes")
    with op.batch_alter_table("authorizations", schema=None) as batch_op:
        batch_op.drop_index("ix_authorizations_user_id")
        batch_op.drop_index("ix_authorizations_session_id")
        batch_op.drop_index("ix_authorizations_organization_id")
        batch_op.drop_index("ix_authorizations_expires_at")
        batch_op.drop_index("ix_authorizations_client_id")

    op.drop_table("authorizations")
    with op.batch_alter_table("pending_requests", schema=None) as batch_op:
        batch_op.drop_index("ix_pending_requests_expires_at")
        batch_op.drop_index("ix_pending_requests_browser_id")

    op.drop_table("pending_requests")
    with op.batch_alter_table("pairwise_subjects", schema=None) as batch_op:
        batch_op.drop_index("ix_pairwise_subjects_user_id")

    op.drop_table("pairwise_subjects")
    with op.batch_alter_table("consents", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_consents_live", sqlite_where=sa.text("ended_at IS NULL"), postgresql_where=sa.text("ended_at IS NULL")
        )

    op.drop_table("consents")
    with op.batch_alter_table("client_origins", schema=None) as batch_op:
        batch_op.drop_index("ix_client_origins_origin")

    op.drop_table("client_origins")
    op.drop_table("client_key_sets")
    with op.batch_alter_table("spent_assertions", schema=None) as batch_op:
        batch_op.drop_index("ix_spent_assertions_expires_at")

    op.drop_table("spent_assertions")
    with op.batch_alter_table("revoked_tokens", schema=None) as batch_op:
        batch_op.drop_index("ix_revoked_tokens_expires_at")

    op.drop_table("revoked_tokens")
