"""Proving: passkeys, authenticator apps, recovery codes, trusted devices, and what each proof was given with.

Revises: 8e27c4b1d05a
"""

from alembic import op
import sqlalchemy as sa


revision = "f72ea74b3fd9"
down_revision = "8e27c4b1d05a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ceremonies",
        sa.Column("challenge_digest", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("bound_to", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("purpose IN ('register', 'sign_in', 'confirm')", name=op.f("ck_ceremonies_purpose")),
        sa.PrimaryKeyConstraint("challenge_digest", name=op.f("pk_ceremonies")),
    )
    with op.batch_alter_table("ceremonies", schema=None) as batch_op:
        batch_op.create_index("ix_ceremonies_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "app_enrolments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("bound_to", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_app_enrolments_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_enrolments")),
    )
    with op.batch_alter_table("app_enrolments", schema=None) as batch_op:
        batch_op.create_index("ix_app_enrolments_expires_at", ["expires_at"], unique=False)
        batch_op.create_index("uq_app_enrolments_bound_to", ["bound_to", "user_id"], unique=True)

    op.create_table(
        "factors",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('passkey', 'totp')", name=op.f("ck_factors_kind")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_factors_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_factors")),
    )
    with op.batch_alter_table("factors", schema=None) as batch_op:
        batch_op.create_index(
            "ix_factors_user_id",
            ["user_id"],
            unique=False,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.create_index(
            "uq_factors_totp",
            ["user_id"],
            unique=True,
            sqlite_where=sa.text("kind = 'totp' AND ended_at IS NULL"),
            postgresql_where=sa.text("kind = 'totp' AND ended_at IS NULL"),
        )

    op.create_table(
        "recovery_codes",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id_users")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_recovery_codes")),
    )
    with op.batch_alter_table("recovery_codes", schema=None) as batch_op:
        batch_op.create_index(
            "ix_recovery_codes_user_id",
            ["user_id"],
            unique=False,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "trusted_devices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("browser_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("factor_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["browser_id"], ["browsers.id"], name=op.f("fk_trusted_devices_browser_id_browsers")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_trusted_devices_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trusted_devices")),
    )
    with op.batch_alter_table("trusted_devices", schema=None) as batch_op:
        batch_op.create_index("ix_trusted_devices_expires_at", ["expires_at"], unique=False)
        batch_op.create_index("ix_trusted_devices_user_id", ["user_id"], unique=False)
        batch_op.create_index(
            "uq_trusted_devices_live",
            ["browser_id", "user_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "authenticator_apps",
        sa.Column("factor_id", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_by", sa.Text(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["factor_id"], ["factors.id"], name=op.f("fk_authenticator_apps_factor_id_factors")),
        sa.PrimaryKeyConstraint("factor_id", name=op.f("pk_authenticator_apps")),
    )
    op.create_table(
        "passkeys",
        sa.Column("factor_id", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("is_synced", sa.BigInteger(), nullable=False),
        sa.Column("is_backed_up", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.Text(), nullable=False),
        sa.Column("aaguid", sa.Text(), nullable=False),
        sa.Column("went_back_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("is_synced IN (0, 1) AND is_backed_up IN (0, 1)", name=op.f("ck_passkeys_flags")),
        sa.ForeignKeyConstraint(["factor_id"], ["factors.id"], name=op.f("fk_passkeys_factor_id_factors")),
        sa.PrimaryKeyConstraint("factor_id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkeys_credential_id")),
    )
    op.create_table(
        "passkey_offers",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("offered_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_passkey_offers_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_passkey_offers")),
    )
    with op.batch_alter_table("authorizations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("proofs_json", sa.Text(), server_default="[]", nullable=False))

    with op.batch_alter_table("login_transactions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("declined", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("offer", sa.Text(), server_default="", nullable=False))

    with op.batch_alter_table("passwords", schema=None) as batch_op:
        batch_op.add_column(sa.Column("is_short", sa.BigInteger(), server_default="0", nullable=False))

    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("longest_pause", sa.BigInteger(), server_default="0", nullable=False))

    with op.batch_alter_table("session_proofs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("factor_id", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("held_in", sa.Text(), server_default="", nullable=False))
        batch_op.create_index("ix_session_proofs_factor_id", ["factor_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("session_proofs", schema=None) as batch_op:
        batch_op.drop_index("ix_session_proofs_factor_id")
        batch_op.drop_column("held_in")
        batch_op.drop_column("factor_id")

    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.drop_column("longest_pause")

    with op.batch_alter_table("passwords", schema=None) as batch_op:
        batch_op.drop_column("is_short")

    with op.batch_alter_table("login_transactions", schema=None) as batch_op:
        batch_op.drop_column("offer")
        batch_op.drop_column("declined")

    with op.batch_alter_table("authorizations", schema=None) as batch_op:
        batch_op.drop_column("proofs_json")

    op.drop_table("passkey_offers")
    op.drop_table("passkeys")
    op.drop_table("authenticator_apps")
    with op.batch_alter_table("trusted_devices", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_trusted_devices_live",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.drop_index("ix_trusted_devices_user_id")
        batch_op.drop_index("ix_trusted_devices_expires_at")

    op.drop_table("trusted_devices")
    with op.batch_alter_table("recovery_codes", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_recovery_codes_user_id",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.drop_table("recovery_codes")
    with op.batch_alter_table("factors", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_factors_totp",
            sqlite_where=sa.text("kind = 'totp' AND ended_at IS NULL"),
            postgresql_where=sa.text("kind = 'totp' AND ended_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_factors_user_id", sqlite_where=sa.text("ended_at IS NULL"), postgresql_where=sa.text("ended_at IS NULL")
        )

    op.drop_table("factors")
    with op.batch_alter_table("app_enrolments", schema=None) as batch_op:
        batch_op.drop_index("uq_app_enrolments_bound_to")
        batch_op.drop_index("ix_app_enrolments_expires_at")

    op.drop_table("app_enrolments")
    with op.batch_alter_table("ceremonies", schema=None) as batch_op:
        batch_op.drop_index("ix_ceremonies_expires_at")

    op.drop_table("ceremonies")
