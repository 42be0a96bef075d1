"""The first run: the one-time link by which the first operator is made. There is no default person and no password.

Whoever reaches the command line has the link printed (`idp setup`). It opens once, for a day, as long as nobody has
ever run this installation; after the first operator it is closed for good, whatever became of that person (API-08).
"""

from dataclasses import dataclass
from typing import cast

from sqlalchemy import ColumnElement, CursorResult, delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from idp.audit import trail
from idp.audit.trail import Actor
from idp.platform import bearer, clock, database
from idp.platform.errors import Conflict, NotFound
from idp.users.models import Operator, SetupLink

LIFETIME = clock.DAY

_ONLY = "setup"
"""The primary key of the one row: a second link replaces the first."""


class SetUpAlready(Conflict):
    """Somebody runs this installation, or did."""

    code = "set_up_already"
    title = "This installation has been set up"
    remedy = "Ask an operator, or use `idp operator add`."


class SetupClosed(NotFound):
    """The link was used, replaced, has run out or never was; they cannot be told apart."""

    code = "setup_closed"
    title = "There is nothing to set up here"
    remedy = (
        "A link for setting up works once, for a day, until somebody runs this installation. `idp setup` prints it."
    )


@dataclass(frozen=True)
class Link:
    """The secret of a new link, and when it runs out (microseconds since 1970 UTC)."""

    token: str
    expires_at: int


def open_door(*, by: Actor) -> Link:
    """Make the link, instead of any that was made before. Raises `SetUpAlready`. Inside `database.writing()`."""
    if _was_set_up():
        raise SetUpAlready
    token, expires_at = bearer.mint(), clock.now() + LIFETIME
    insert = sqlite.insert if database.is_sqlite() else postgresql.insert
    values = {"token_digest": bearer.digest(token), "expires_at": expires_at}
    replacing = insert(SetupLink).values(id=_ONLY, **values).on_conflict_do_update(index_elements=["id"], set_=values)
    database.session().execute(replacing)
    trail.record("setup.link.made", by=by, subject="setup")
    return Link(token, expires_at)


def require_open(token: str) -> None:
    """Raise `SetupClosed` unless the link with `token` would open now."""
    if _was_set_up() or not database.session().scalar(select(exists().where(*_opened_by(token)))):
        raise SetupClosed


def redeem(token: str) -> None:
    """Use the link up. Inside `database.writing()`, before the operator is made: of two that try, one gets further.

    Raises `SetupClosed`.
    """
    used = database.session().execute(delete(SetupLink).where(*_opened_by(token)))
    if not used.rowcount or _was_set_up():  # type: ignore[attr-defined]
        raise SetupClosed


def close_door() -> int:
    """Let no link open any more, because there is an operator, or the data was restored; how many. In `writing()`."""
    return cast("CursorResult[object]", database.session().execute(delete(SetupLink))).rowcount


def _opened_by(token: str) -> tuple[ColumnElement[bool], ...]:
    return SetupLink.token_digest == bearer.digest(token), SetupLink.expires_at > clock.now()


def _was_set_up() -> bool:
    """Whether anybody is, or ever was, an operator."""
    return bool(database.session().scalar(select(exists().where(Operator.user_id.is_not(None)))))
