"""Tables of notices: how far the trail has been read, and what somebody was told lately."""

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform.database import Model


class Position(Model):
    """The number of the seal up to which everything has been told: one row, which one node at a time moves on."""

    __tablename__ = "notice_positions"
    __table_args__ = (CheckConstraint("id = 'mail'", name="only_one"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]


class Told(Model):
    """When somebody was last told of something that they are told of only so often."""

    __tablename__ = "notices_told"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    template: Mapped[str] = mapped_column(primary_key=True)
    told_at: Mapped[int]
