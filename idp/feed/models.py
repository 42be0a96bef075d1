"""The tables of the change feed: what was taken away, in commit order, and how far services have followed it."""

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


class Acknowledgement(Model):
    """An instance of a service that follows the feed: see `acknowledgements.Following`.

    No foreign key: the client lies in a room above, and what is not seen for an hour goes by itself.
    """

    __tablename__ = "feed_acknowledgements"
    __table_args__ = (Index("ix_feed_acknowledgements_seen_at", "seen_at"),)

    client_id: Mapped[str] = mapped_column(primary_key=True)
    instance: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    reached_at: Mapped[int]
    seen_at: Mapped[int]
