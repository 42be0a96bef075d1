"""Looking after oneself: mailed links and codes, addresses that come and go, resets of factors, break-glass codes.

Revises: f72ea74b3fd9
"""

from alembic import op
import sqlalchemy as sa


revision = "3c94b7e1a6d2"
down_revision = "f72ea74b3fd9"
branch_labels = None
depends_on = None

_ONE_MAILBOX = sa.text("kind = 'email_code' AND ended_at IS NULL")
_OPEN = sa.text("outcome IS NULL")


def upgrade() -> None:
    op.create_table(
        "break_glass_codes",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("used_by", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_break_glass_codes_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_break_glass_codes")),
    )
    with op.batch_alter_table("break_glass_codes", schema=None) as batch_op:
        batch_op.create_index("ix_break_glass_codes_organization_id", ["organization_id"], unique=False)

    op.create_table(
        "email_codes",
        sa.Column("bound_to", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("code_digest", sa.LargeBinary(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_email_codes_user_id_users")),
        sa.PrimaryKeyConstraint("bound_to", "user_id", name=op.f("pk_email_codes")),
    )
    with op.batch_alter_table("email_codes", schema=None) as batch_op:
        batch_op.create_index("ix_email_codes_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "factor_resets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by_kind", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("outcome IN ('done', 'cancelled')", name=op.f("ck_factor_resets_outcome")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_factor_resets_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_factor_resets")),
    )
    with op.batch_alter_table("factor_resets", schema=None) as batch_op:
        batch_op.create_index(
            "uq_factor_resets_open", ["user_id"], unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN
        )

    op.create_table(
        "letters",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letters")),
    )
    op.create_table(
        "mailed_links",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("rests_on", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "purpose IN ('recover', 'verify', 'undo', 'sign_up', 'enrol', 'not_me', 'keep_factors')",
            name=op.f("ck_mailed_links_purpose"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_mailed_links_user_id_users")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_mailed_links")),
    )
    with op.batch_alter_table("mailed_links", schema=None) as batch_op:
        batch_op.create_index("ix_mailed_links_address_key", ["address_key", "purpose"], unique=False)
        batch_op.create_index("ix_mailed_links_expires_at", ["expires_at"], unique=False)
        batch_op.create_index("ix_mailed_links_user_id", ["user_id", "purpose"], unique=False)

    op.create_table(
        "notice_positions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 'mail'", name=op.f("ck_notice_positions_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_positions")),
    )
    op.execute(  # what happened before there were notices is told to nobody
        "INSERT INTO notice_positions (id, number) SELECT 'mail', coalesce(max(number), 0) FROM audit_seals"
    )
    op.create_table(
        "notices_told",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notices_told_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "template", name=op.f("pk_notices_told")),
    )

    with op.batch_alter_table("factors", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("ck_factors_kind"), type_="check")
        batch_op.create_check_constraint(op.f("ck_factors_kind"), "kind IN ('passkey', 'totp', 'email_code')")
        batch_op.create_index(
            "uq_factors_email", ["user_id"], unique=True, sqlite_where=_ONE_MAILBOX, postgresql_where=_ONE_MAILBOX
        )

    with op.batch_alter_table("login_transactions", schema=None) as batch_op:
        batch_op.create_index("ix_login_transactions_user_id", ["user_id"], sqlite_where=_OPEN, postgresql_where=_OPEN)

    with op.batch_alter_table("passwords", schema=None) as batch_op:
        batch_op.add_column(sa.Column("by_mail", sa.BigInteger(), server_default="0", nullable=False))

    with op.batch_alter_table("user_addresses", schema=None) as batch_op:
        batch_op.add_column(sa.Column("recovers_from", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("leaves_at", sa.BigInteger(), nullable=True))

    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("theme", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_column("theme")

    with op.batch_alter_table("user_addresses", schema=None) as batch_op:
        batch_op.drop_column("leaves_at")
        batch_op.drop_column("recovers_from")

    with op.batch_alter_table("passwords", schema=None) as batch_op:
        batch_op.drop_column("by_mail")

    with op.batch_alter_table("login_transactions", schema=None) as batch_op:
        batch_op.drop_index("ix_login_transactions_user_id", sqlite_where=_OPEN, postgresql_where=_OPEN)

    with op.batch_alter_table("factors", schema=None) as batch_op:
        batch_op.drop_index("uq_factors_email", sqlite_where=_ONE_MAILBOX, postgresql_where=_ONE_MAILBOX)
        batch_op.drop_constraint(op.f("ck_factors_kind"), type_="check")
        batch_op.create_check_constraint(op.f("ck_factors_kind"), "kind IN ('passkey', 'totp')")

    op.drop_table("notices_told")
    op.drop_table("notice_positions")
    op.drop_table("mailed_links")
    op.drop_table("letters")
    op.drop_table("factor_resets")
    op.drop_table("email_codes")
    op.drop_table("break_glass_codes")
