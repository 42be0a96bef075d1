"""What the tables of this room have in common: edges of which one is live, and keys that carry the organization."""

from sqlalchemy import ForeignKeyConstraint, Index, text

LIVE = text("ended_at IS NULL")


def one_live(name: str, *columns: str) -> Index:
    """At most one live row has these columns."""
    return Index(name, *columns, unique=True, sqlite_where=LIVE, postgresql_where=LIVE)


def within(column: str, target: str) -> ForeignKeyConstraint:
    """`column` names a row of `target` in the same organization."""
    return ForeignKeyConstraint(["organization_id", column], [f"{target}.organization_id", f"{target}.id"])
