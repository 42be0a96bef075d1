"""Tables of what people prove themselves with."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.database import Model


class Password(Model):
    """A person's password, as a PHC string that records algorithm, parameters and salt."""

    __tablename__ = "passwords"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    hash: Mapped[str]
    set_at: Mapped[int] = mapped_column(default=clock.now)


class GuessCount(Model):
    """How many proofs failed under a key (who, from where), and until when the next one waits; see `guesses`."""

    __tablename__ = "guess_counts"
    __table_args__ = (Index("ix_guess_counts_last_at", "last_at"),)

    key_digest: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[int]
    waits_until: Mapped[int] = mapped_column(default=0)
