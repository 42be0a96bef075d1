"""Somebody who comes back when told to: a machine that is busy elsewhere may let a writer wait for too long."""

from collections.abc import Callable

import psycopg
from sqlalchemy.exc import OperationalError

from idp.platform import database
from idp.platform.database import DatabaseUnavailable, db


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
