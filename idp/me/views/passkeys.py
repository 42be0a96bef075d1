"""`/me/security/passkeys`: adding a passkey; and each of them, to be renamed or removed."""

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.credentials import factors, passkeys, recovery_codes
from idp.credentials.authenticators import NotAccepted
from idp.login import changing_factors, stepping_up
from idp.login.changing_factors import LastWayIn, StillDemanded
from idp.login.views import browser, requires
from idp.login.views.enrol_passkey import default_name
from idp.login.views.requires import NotRecent
from idp.me.views import codes, frame
from idp.platform import clock, database
from idp.platform.errors import NotFound
from idp.sessions import people
from idp.sessions.people import LiveSession
from idp.sessions.proofs import Proof
from idp.users import users

PATH = f"{frame.SECURITY}/passkeys"


def init(app: Flask) -> None:
    """Serve these pages in `app`."""
    app.add_url_rule(PATH, "me_passkeys", ask, methods=["GET"])
    app.add_url_rule(PATH, "add_passkey", add, methods=["POST"])
    app.add_url_rule(f"{PATH}/options", "me_passkey_options", options, methods=["POST"])
    app.add_url_rule(f"{PATH}/<factor_id>", "me_passkey", show, methods=["GET"])
    app.add_url_rule(f"{PATH}/<factor_id>", "change_passkey", change, methods=["POST"])


@requires.recently_proven
def ask(session: LiveSession) -> ResponseReturnValue:
    """The page on which a passkey is added."""
    return _page(session)


@requires.signed_in
def options(session: LiveSession) -> ResponseReturnValue:
    """What the browser is to be asked for (JSON). To the script of the page nobody is sent who has to step up."""
    if not stepping_up.is_recent(session):
        raise NotRecent
    with database.writing():
        requires.still_recent(session)
        wanted = passkeys.creation_options(users.find(session.user_id), session.id)
    return jsonify(wanted)


@requires.recently_proven
def add(session: LiveSession) -> ResponseReturnValue:
    """What the browser offers, looked at and kept."""
    offered, name = request.form.get("credential", ""), request.form.get("name", "").strip()
    if not offered:
        return _page(session, 400, is_missing=True)
    try:
        cookie = _register(session, offered, name or default_name())
    except NotAccepted:
        return _page(session, 400, is_refused=True)
    browser.carry(browser.known_or_new(), cookie)
    has_codes = recovery_codes.left(session.user_id) > 0
    return frame.done(session, "passkey.added", frame.SECURITY if has_codes else codes.PATH)


def _register(session: LiveSession, offered: str, name: str) -> str:
    """The new passkey, which has just verified its owner; the browser's new token. Raises `NotAccepted`."""
    user_id = session.user_id
    with database.writing():
        requires.still_recent(session)
        made = passkeys.register(user_id, session.id, offered, name, by=Actor("user", user_id))
        proof = Proof("passkey", clock.now(), factor_id=made.id, held_in=passkeys.held_in(made.id))
        return people.open_session(browser.locked(), user_id, (proof,))[1]


@requires.recently_proven
def show(session: LiveSession, factor_id: str) -> ResponseReturnValue:
    """One passkey."""
    return _one(session, factor_id)


@requires.recently_proven
def change(session: LiveSession, factor_id: str) -> ResponseReturnValue:
    """Rename or remove it."""
    by, name = Actor("user", session.user_id), request.form.get("name", "").strip()
    if request.form.get("act") == "remove":
        try:
            with database.writing():
                requires.still_recent(session)
                changing_factors.remove(session.user_id, factor_id, by=by)
        except (LastWayIn, StillDemanded) as refusal:
            return _one(session, factor_id, refusal.status)
        return frame.done(session, "passkey.removed")
    if not name:
        return _one(session, factor_id, 400, is_missing=True)
    with database.writing():
        requires.still_recent(session)
        factors.rename(session.user_id, factor_id, name, by=by)
    return frame.done(session, "passkey.renamed")


def _page(
    session: LiveSession, status: int = 200, *, is_refused: bool = False, is_missing: bool = False
) -> ResponseReturnValue:
    return frame.page(
        session,
        "security",
        "me/passkeys.html",
        status,
        suggested=request.form.get("name", "").strip() or default_name(),
        longest=factors.LONGEST_NAME,
        is_refused=is_refused,
        is_missing=is_missing,
    )


def _one(session: LiveSession, factor_id: str, status: int = 200, *, is_missing: bool = False) -> ResponseReturnValue:
    mine = {factor.id: (factor, passkey) for factor, passkey in passkeys.of(session.user_id)}
    if factor_id not in mine:
        raise NotFound("There is no such passkey.")
    factor, passkey = mine[factor_id]
    return frame.page(
        session,
        "security",
        "me/passkey.html",
        status,
        factor=factor,
        passkey=passkey,
        is_last=len(factors.of(session.user_id)) == 1,
        hindrance=frame.told(changing_factors.hindrance(session.user_id, factor_id)),
        longest=factors.LONGEST_NAME,
        is_missing=is_missing,
    )
