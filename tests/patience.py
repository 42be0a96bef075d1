"""Patience with machines that are busy elsewhere: they stand still for seconds, and let writers wait too long."""

from collections.abc import Callable

import psycopg
from sqlalchemy.exc import OperationalError

from idp.platform import clock, database
from idp.platform.database import DatabaseUnavailable, db


def takes(act: Callable[[], object], *, less_than: float) -> bool:
    """Whether `act` takes less than so many seconds: at least once in three times, for what is slow is so always."""
    return any(_seconds(act) < less_than for _ in range(3))


def _seconds(act: Callable[[], object]) -> float:
    began = clock.monotonic()
    act()
    return clock.monotonic() - began


def come_back(act: Callable[[], None]) -> None:
    """Let `act` write in a transaction of its own; again, where no turn came in time and so nothing was written."""
    while True:
        try:
            with database.writing():
                act()
        except DatabaseUnavailable:
            continue
        except OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            db.session.remove()
        else:
            return
