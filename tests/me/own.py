"""People of Acme and Birch (`tests.organizations.actors`) at their own pages."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine import Engine

from idp.credentials import passwords
from idp.platform import clock, correlation, database
from idp.platform.correlation import Origin
from idp.platform.prepared import Prepared
from idp.sessions import browsers, people
from idp.sessions.proofs import Proof
from tests import once
from tests.actors import GOOD
from tests.oauth.actors import Browser
from tests.traces import OPERATOR

_HASH = once.hashed(GOOD)


def browser_of(app: Flask, username: str, address: str = "192.0.2.1") -> Browser:
    """A browser in which this person of Acme or Birch has just signed in by a password."""
    found = Browser(app, address)
    database.session().rollback()
    with correlation.working_for(Origin("", address, "")), database.writing():
        passwords.store(f"usr_{username}", _HASH, by=OPERATOR)
        known, _ = browsers.begin()
        _, cookie = people.open_session(known, f"usr_{username}", [Proof("password", clock.now())])
    found.put_cookie(cookie)
    return found


@contextmanager
def counting() -> Iterator[list[str]]:
    """The statements that reach the database inside the block."""
    seen: list[str] = []
    run = Prepared._run

    def executing(*given: object) -> None:
        seen.append(str(given[2]))

    def running(statement: Prepared[object], values: dict[str, object]) -> object:
        seen.append(statement.sql())
        return run(statement, values)

    event.listen(Engine, "before_cursor_execute", executing)
    Prepared._run = running  # type: ignore[method-assign,assignment]
    try:
        yield seen
    finally:
        Prepared._run = run  # type: ignore[method-assign]
        event.remove(Engine, "before_cursor_execute", executing)
