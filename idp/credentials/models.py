"""Tables of what people prove themselves with."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.database import Model


class Password(Model):
    """A person's password, as a PHC string that records algorithm, parameters and salt."""

    __tablename__ = "passwords"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    hash: Mapped[str]
    set_at: Mapped[int] = mapped_column(default=clock.now)
