"""`/me/delete`: the end of one's account, by oneself; and the page that says that it is done."""

from urllib.parse import urlencode

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.login import departing, transactions
from idp.login.departing import WrongName
from idp.login.views import answers, browser, requires
from idp.login.views.browser import ForeignForm
from idp.login.views.requires import NotRecent
from idp.me.views import frame
from idp.organizations import memberships, own_memberships, proven_addresses
from idp.platform import database, doors
from idp.platform.access import public
from idp.platform.errors import Conflict, Refusal
from idp.sessions import browsers, csrf
from idp.sessions.people import LiveSession
from idp.users import lifecycle, users

PATH = "/me/delete"
DONE = "/me/deleted"

_ENDPOINT = "delete_me"
_PURPOSE = "deleted"


def init(app: Flask) -> None:
    """Serve these pages in `app`."""
    app.add_url_rule(PATH, "me_deleting", ask, methods=["GET"])
    app.add_url_rule(PATH, _ENDPOINT, delete, methods=["POST"])
    app.add_url_rule(DONE, "me_deleted", deleted, methods=["GET"])
    app.register_error_handler(ForeignForm, _again)
    app.register_error_handler(NotRecent, _again)


@requires.recently_proven
def ask(session: LiveSession) -> ResponseReturnValue:
    """What ends and what stays, before the button; or what stands in the way."""
    return _page(session)


@requires.recently_proven
def delete(session: LiveSession) -> ResponseReturnValue:
    """Delete whoever is signed in, and sign them out. Whoever typed something else is asked again."""
    try:
        cookie = _delete(session)
    except WrongName:
        return _page(session, 422, is_wrong=True)
    except Conflict as refusal:
        return _page(session, refusal.status)
    browser.carry(browser.known_or_new(), cookie)
    return redirect(_done(session.user_id), 303)


def _delete(session: LiveSession) -> str:
    """The browser's new token: whoever else is signed in in it stays so (SES-01)."""
    user_id = session.user_id
    with database.writing():
        transactions.cancel_all(browser.known_or_new())
        memberships.lock_homes(user_id)
        requires.still_recent(session)
        departing.depart(user_id, request.form.get("username", ""), by=Actor("user", user_id))
        return browsers.renew(browser.locked())


def _page(session: LiveSession, status: int = 200, *, is_wrong: bool = False) -> ResponseReturnValue:
    user_id = session.user_id
    owned = {one.id for one in own_memberships.owned(user_id)}
    return frame.page(
        session,
        "profile",
        "me/delete.html",
        status,
        username=users.find(user_id).username,
        user_id=user_id,
        signed=csrf.token(user_id, _PURPOSE),
        hindrances=[(one, frame.told(one)) for one in departing.hindrances(user_id)],
        owned=own_memberships.owned(user_id),
        managers=sorted(set(proven_addresses.managers(user_id).values())),
        others=[one for one in own_memberships.of(user_id) if one.id not in owned],
        gets_letter=bool(proven_addresses.counting(user_id)),
        is_wrong=is_wrong,
    )


# It is done


def _done(user_id: str) -> str:
    """Where it is said that the person is deleted: to whoever did it, and nobody who is sent a link."""
    return f"{DONE}?{urlencode({'person': user_id, 'signed': csrf.token(user_id, _PURPOSE)})}"


@public
def deleted() -> ResponseReturnValue:
    """That it is done."""
    if not _is_gone(request.args.get("person", ""), request.args.get("signed", "")):
        return redirect("/login", 303)
    return answers.page("me/deleted.html", None)


def _again(refusal: Refusal) -> ResponseReturnValue:
    """Whoever presses the button twice, or goes back and presses it, hears that it is done and not that the form is out
    of date; anything else is refused as everywhere.
    """
    person, signed = request.form.get("person", ""), request.form.get("signed", "")
    if request.endpoint == _ENDPOINT and _is_gone(person, signed):
        return redirect(_done(person), 303)
    return doors.tell(refusal)


def _is_gone(user_id: str, signed: str) -> bool:
    return csrf.is_genuine(signed, user_id, _PURPOSE) and lifecycle.is_deleted(user_id)
