"""Jobs: work to be done after the transaction that asked for it, kept in the database."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock, identifiers
from idp.platform.database import Model


class Job(Model):
    """One piece of work. `payload` is a JSON object; `leased_until` keeps other workers away while one has it."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_due", "done_at", "due_at"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.job)
    kind: Mapped[str]
    payload: Mapped[str]
    due_at: Mapped[int] = mapped_column(default=clock.now)
    attempts: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[int | None]
    done_at: Mapped[int | None]
    last_error: Mapped[str] = mapped_column(default="")
