"""Following: how far each instance of a service has followed the change feed.

Revises: 5d1f0a7c92be
"""

from alembic import op
import sqlalchemy as sa


revision = "8e27c4b1d05a"
down_revision = "5d1f0a7c92be"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_acknowledgements",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("reached_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "instance", name=op.f("pk_feed_acknowledgements")),
    )
    with op.batch_alter_table("feed_acknowledgements", schema=None) as batch_op:
        batch_op.create_index("ix_feed_acknowledgements_seen_at", ["seen_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("feed_acknowledgements", schema=None) as batch_op:
        batch_op.drop_index("ix_feed_acknowledgements_seen_at")

    op.drop_table("feed_acknowledgements")
