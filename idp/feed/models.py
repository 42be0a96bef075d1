"""The table of the change feed: what was taken away, in commit order."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform.database import Model


class Change(Model):
    """One loss. `selector` is a partial token as a JSON object; tokens that agree and are older are superseded."""

    __tablename__ = "change_feed"
    __table_args__ = (Index("ix_change_feed_written_at", "written_at"),)

    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    selector: Mapped[str]
    written_at: Mapped[int]
