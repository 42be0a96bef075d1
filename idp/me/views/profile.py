"""`/me`: who you are, where you may work, and where you are signed in."""

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.login import contexts
from idp.login.contexts import Question
from idp.login.demands import Demand
from idp.login.views import answers, browser, requires
from idp.platform import database
from idp.platform.errors import NotFound
from idp.sessions import browsers, devices, listings, people
from idp.sessions.people import LiveSession
from idp.users import addresses, users

EVERYWHERE_ELSE = "others"

_MOST_SESSIONS = 50

_MOST_ACCOUNTS = 8
"""Of each organization; the chooser has them all."""


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule("/me", "me", show, methods=["GET"])
    app.add_url_rule("/me/sessions", "end_session", end, methods=["POST"])


@requires.signed_in
def show(session: LiveSession) -> ResponseReturnValue:
    """The page; `context` in the address marks the organization or account that was just chosen."""
    person = users.find(session.user_id)
    demand = Demand(context="any")
    found = contexts.offers(person.id, demand, Question(), most=_MOST_ACCOUNTS)
    return answers.page(
        "me/profile.html",
        None,
        name=users.display_name(person),
        username=person.username,
        addresses=addresses.of(person.id),
        offers=found,
        chosen=request.args.get("context", ""),
        working_in=_chosen(person.id, demand),
        session=session,
        sessions=listings.sessions(person.id, limit=_MOST_SESSIONS),
        described=devices.described,
    )


def _chosen(user_id: str, demand: Demand) -> tuple[str, str] | None:
    """The names of the account and organization that the address says were chosen, where they are the person's."""
    try:
        return contexts.called(contexts.chosen(user_id, demand, request.args.get("context", "")))
    except NotFound:
        return None


@requires.signed_in
def end(session: LiveSession) -> ResponseReturnValue:
    """End one session of the person, or all but this one."""
    wanted = request.form.get("session", "")
    if wanted == session.id:
        return _leave(session)
    by = Actor("user", session.user_id)
    with database.writing():
        if wanted == EVERYWHERE_ELSE:
            people.end_all_of(session.user_id, because="revoked", by=by, but=session.id)
        elif wanted in [one.id for one in people.of_person(session.user_id)]:
            people.end(wanted, because="revoked", by=by)
        else:
            raise NotFound("This session has ended.")
    return redirect("/me", 303)


def _leave(session: LiveSession) -> ResponseReturnValue:
    """End the session in this very browser: its cookie changes (SES-01), and who else is signed in here is asked."""
    with database.writing():
        known = browser.locked()
        people.end(session.id, because="signed_out", by=Actor("user", session.user_id))
        cookie = browsers.renew(known)
    browser.carry(known, cookie)
    return redirect("/login", 303)
