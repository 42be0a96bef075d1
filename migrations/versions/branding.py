"""Branding: the hue and the logo of an organization.

Revises: 696e6218502e
"""

from alembic import op
import sqlalchemy as sa


revision = "5d1f0a7c92be"
down_revision = "696e6218502e"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "organization_brandings",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("hue", sa.BigInteger(), nullable=True),
        sa.Column("logo", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_organization_brandings_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_organization_brandings")),
    )


def downgrade() -> None:
    op.drop_table("organization_brandings")
