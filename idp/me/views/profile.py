"""`/me`: who you are, and where you may work."""

from flask import Flask, request
from flask.typing import ResponseReturnValue

from idp.login import contexts
from idp.login.contexts import Question
from idp.login.demands import Demand
from idp.login.views import requires
from idp.me.views import frame
from idp.platform.errors import NotFound
from idp.sessions.people import LiveSession
from idp.users import addresses, users

_MOST_ACCOUNTS = 8
"""Of each organization; the chooser has them all."""


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule("/me", "me", show, methods=["GET"])


@requires.signed_in
def show(session: LiveSession) -> ResponseReturnValue:
    """The page; `context` in the address marks the organization or account that was just chosen."""
    person = users.find(session.user_id)
    demand = Demand(context="any")
    found = contexts.offers(person.id, demand, Question(), most=_MOST_ACCOUNTS)
    return frame.page(
        session,
        "profile",
        "me/profile.html",
        username=person.username,
        addresses=addresses.of(person.id),
        offers=found,
        chosen=request.args.get("context", ""),
        working_in=_chosen(person.id, demand),
    )


def _chosen(user_id: str, demand: Demand) -> tuple[str, str] | None:
    """The names of the account and organization that the address says were chosen, where they are the person's."""
    try:
        return contexts.called(contexts.chosen(user_id, demand, request.args.get("context", "")))
    except NotFound:
        return None
