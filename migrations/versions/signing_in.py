"""Signing in: browsers, sessions, sign-ins under way, counts of failures.

Revises: 69ed74024ee4
"""

from alembic import op
import sqlalchemy as sa


revision = "3760eccfe978"
down_revision = "69ed74024ee4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "browsers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_browsers")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_browsers_token_digest")),
    )
    with op.batch_alter_table("browsers", schema=None) as batch_op:
        batch_op.create_index("ix_browsers_last_seen_at", ["last_seen_at"], unique=False)

    op.create_table(
        "guess_counts",
        sa.Column("key_digest", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("waits_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_digest", name=op.f("pk_guess_counts")),
    )
    with op.batch_alter_table("guess_counts", schema=None) as batch_op:
        batch_op.create_index("ix_guess_counts_last_at", ["last_at"], unique=False)

    op.create_table(
        "known_devices",
        sa.Column("browser_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["browser_id"], ["browsers.id"], name=op.f("fk_known_devices_browser_id_browsers")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_known_devices_user_id_users")),
        sa.PrimaryKeyConstraint("browser_id", "user_id", name=op.f("pk_known_devices")),
    )
    op.create_table(
        "login_transactions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("browser_id", sa.Text(), nullable=False),
        sa.Column("return_to", sa.Text(), nullable=False),
        sa.Column("application", sa.Text(), nullable=False),
        sa.Column("demand_json", sa.Text(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("proofs_json", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("outcome IN ('done', 'cancelled')", name=op.f("ck_login_transactions_outcome")),
        sa.ForeignKeyConstraint(
            ["browser_id"], ["browsers.id"], name=op.f("fk_login_transactions_browser_id_browsers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_transactions")),
    )
    with op.batch_alter_table("login_transactions", schema=None) as batch_op:
        batch_op.create_index("ix_login_transactions_browser_id", ["browser_id"], unique=False)
        batch_op.create_index("ix_login_transactions_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("browser_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_because", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["browser_id"], ["browsers.id"], name=op.f("fk_sessions_browser_id_browsers")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.create_index("ix_sessions_ended_at", ["ended_at", "last_seen_at"], unique=False)
        batch_op.create_index("ix_sessions_user_id", ["user_id", "ended_at"], unique=False)
        batch_op.create_index(
            "uq_sessions_live",
            ["browser_id", "user_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "session_proofs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("vouched_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("fk_session_proofs_session_id_sessions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session_proofs")),
    )
    with op.batch_alter_table("session_proofs", schema=None) as batch_op:
        batch_op.create_index("ix_session_proofs_session_id", ["session_id"], unique=False)

    op.create_table(
        "setup_links",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 'setup'", name=op.f("ck_setup_links_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_setup_links")),
    )


def downgrade() -> None:
    op.drop_table("setup_links")
    with op.batch_alter_table("session_proofs", schema=None) as batch_op:
        batch_op.drop_index("ix_session_proofs_session_id")

    op.drop_table("session_proofs")
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.drop_index("uq_sessions_live")
        batch_op.drop_index("ix_sessions_user_id")
        batch_op.drop_index("ix_sessions_ended_at")

    op.drop_table("sessions")
    with op.batch_alter_table("login_transactions", schema=None) as batch_op:
        batch_op.drop_index("ix_login_transactions_expires_at")
        batch_op.drop_index("ix_login_transactions_browser_id")

    op.drop_table("login_transactions")
    op.drop_table("known_devices")
    with op.batch_alter_table("guess_counts", schema=None) as batch_op:
        batch_op.drop_index("ix_guess_counts_last_at")

    op.drop_table("guess_counts")
    with op.batch_alter_table("browsers", schema=None) as batch_op:
        batch_op.drop_index("ix_browsers_last_seen_at")

    op.drop_table("browsers")
