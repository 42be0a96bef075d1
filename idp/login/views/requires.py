"""What a page asks of its visitor, declared and enforced by one decorator."""

import contextlib
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode

import structlog
from flask import redirect, request
from flask.typing import ResponseReturnValue

from idp.login import returning, stepping_up, transactions
from idp.login.views import answers, browser
from idp.platform import access, database
from idp.platform.errors import Forbidden, NotFound, Unavailable
from idp.sessions import people
from idp.sessions.people import LiveSession
from idp.users.locks import lock

Arguments = ParamSpec("Arguments")

log = structlog.get_logger()


class NotRecent(Forbidden):
    """What the person proved is too old, or too weak, to change what they prove themselves with; or they were signed
    out meanwhile.
    """

    code = "proof_not_recent"
    title = "For this you have to prove again that it is you"
    remedy = "Reload the page: it asks you to."


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


def recently_proven(
    view: Callable[Concatenate[LiveSession, Arguments], ResponseReturnValue],
) -> Callable[Arguments, ResponseReturnValue]:
    """As `signed_in`, of somebody who has just proven who they are as strongly as they can; others do so and come back.

    Of a form nothing is kept: its page is shown again (TOT-08).
    """

    @wraps(view)
    def guarded(session: LiveSession, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> ResponseReturnValue:
        if not stepping_up.is_recent(session):
            return to_step_up(session)
        return view(session, *args, **kwargs)

    return signed_in(guarded)


def still_recent(session: LiveSession) -> None:
    """Look again, before something is changed, inside `database.writing()`: with the person locked, so that what took
    the session or its proofs away meanwhile is seen. Raises `NotRecent`.
    """
    if not stepping_up.is_recent(still_there(session)):
        raise NotRecent


def still_there(session: LiveSession) -> LiveSession:
    """The session as it stands, its person locked, inside `database.writing()`. Raises `NotRecent` if it has ended."""
    lock(session.user_id)
    try:
        return people.find(browser.unchanged(), session.id)
    except NotFound:
        raise NotRecent from None


def to_sign_in() -> ResponseReturnValue:
    """Send the visitor to sign in and back to this very page; of a form, to the page's address alone."""
    back = _this_page()
    wanted = {"return_to": back} if back != returning.HOME else {}
    return redirect("/login" + (f"?{urlencode(wanted)}" if wanted else ""), 303)


def to_step_up(session: LiveSession) -> ResponseReturnValue:
    """Send whoever is signed in to prove anew who they are, and back as `to_sign_in` does."""
    with database.writing():
        begun = transactions.begin(session.browser_id, stepping_up.demand(session), return_to=_this_page())
        begun = transactions.pick(begun, session.user_id, session.id)
    return answers.onward(begun)


def _this_page() -> str:
    query = request.query_string.decode("latin-1") if request.method == "GET" else ""
    return returning.or_home(f"{request.path}?{query}" if query else request.path)


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
