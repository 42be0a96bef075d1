"""What a page asks of its visitor, declared and enforced by one decorator."""

import contextlib
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode

import structlog
from flask import redirect, request
from flask.typing import ResponseReturnValue

from idp.login import returning
from idp.login.views import browser
from idp.platform import access, database
from idp.platform.errors import Unavailable
from idp.sessions import people
from idp.sessions.people import LiveSession

Arguments = ParamSpec("Arguments")

log = structlog.get_logger()


def signed_in(
    view: Callable[Concatenate[LiveSession, Arguments], ResponseReturnValue],
) -> Callable[Arguments, ResponseReturnValue]:
    """Give `view` the session of whoever is signed in; anybody else signs in first and comes back."""

    @wraps(view)
    def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> ResponseReturnValue:
        session = browser.signed_in()
        if session is None:
            return to_sign_in()
        _note_use(session)
        return view(session, *args, **kwargs)

    return access.declare(guarded, browser.SIGNED_IN)


def to_sign_in() -> ResponseReturnValue:
    """Send the visitor to sign in and back to this very page; of a form, to the page's address alone."""
    query = request.query_string.decode("latin-1") if request.method == "GET" else ""
    back = returning.own_path(f"{request.path}?{query}" if query else request.path)
    wanted = {"return_to": back} if back and back != returning.HOME else {}
    return redirect("/login" + (f"?{urlencode(wanted)}" if wanted else ""), 303)


def _note_use(session: LiveSession) -> None:
    """A session in use does not run out; that this cannot be written down keeps nobody from reading."""
    if not people.is_due(session):
        return
    with contextlib.suppress(Unavailable):
        try:
            with database.writing():
                people.touch(session)
        except Exception as error:
            away = database.refusal_for(error)
            if away is None:
                raise
            log.warning("the use of a session was not noted", exc_info=error)
            raise away from error
