"""`/me/security/mail`: codes by mail as a second factor, turned on by one that was mailed and is right, or off."""

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.credentials import email_codes, factors, guesses, held, recovery_codes
from idp.credentials.email_codes import TooManyCodes
from idp.credentials.guesses import TooMany
from idp.login import attempts, changing_factors, mailboxes
from idp.login.changing_factors import LastWayIn, StillDemanded
from idp.login.mailboxes import NoMailbox
from idp.login.views import browser, requires
from idp.me.views import codes, frame
from idp.platform import clock, database
from idp.platform.errors import Refusal
from idp.sessions import people
from idp.sessions.people import LiveSession
from idp.sessions.proofs import Proof

PATH = f"{frame.SECURITY}/mail"
METHOD = "email_code"

WRONG = "wrong"


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(PATH, "me_mail", show, methods=["GET"])
    app.add_url_rule(PATH, "change_mail", change, methods=["POST"])


@requires.recently_proven
def show(session: LiveSession) -> ResponseReturnValue:
    """The page."""
    return _page(session)


@requires.recently_proven
def change(session: LiveSession) -> ResponseReturnValue:
    """Mail a code, turn codes on by it, or turn them off."""
    act = request.form.get("act", "")
    try:
        if act == "remove":
            return _remove(session)
        if act == "send":
            with database.writing():
                requires.still_recent(session)
                mailboxes.send(session.user_id, session.id)
            return redirect(PATH, 303)
        with database.writing():
            cookie = _turned_on(session)
    except (NoMailbox, TooManyCodes, TooMany, LastWayIn, StillDemanded) as refusal:
        return _page(session, refusal)
    if not cookie:
        return _page(session, failure=WRONG)
    browser.carry(browser.known_or_new(), cookie)
    has_codes = recovery_codes.left(session.user_id) > 0
    return frame.done(session, "mail.added", frame.SECURITY if has_codes else codes.PATH)


def _turned_on(session: LiveSession) -> str:
    """The browser's new token, with the code as a proof in this session; empty if the code is not right."""
    user_id = session.user_id
    requires.still_recent(session)
    reservation = guesses.reserve(attempts.guesser_again(user_id, browser.unchanged()))
    given, by = request.form.get("otp", ""), Actor("user", user_id)
    made = None if reservation.is_barred else mailboxes.turn_on(user_id, session.id, given, by=by)
    if made is None:
        attempts.failed_again(user_id, METHOD, reservation)
        return ""
    guesses.succeeded(reservation)
    return people.open_session(browser.locked(), user_id, (Proof(METHOD, clock.now(), factor_id=made.id),))[1]


def _remove(session: LiveSession) -> ResponseReturnValue:
    there = factors.mailbox_of(session.user_id)
    if there is not None:
        with database.writing():
            requires.still_recent(session)
            changing_factors.remove(session.user_id, there.id, by=Actor("user", session.user_id))
    return frame.done(session, "mail.removed")


def _page(session: LiveSession, refusal: Refusal | None = None, *, failure: str = "") -> ResponseReturnValue:
    user_id = session.user_id
    there, address = factors.mailbox_of(user_id), mailboxes.of(user_id)
    waits = refusal.retry_after if isinstance(refusal, TooMany | TooManyCodes) else 0
    page = frame.page(
        session,
        "security",
        "me/mail.html",
        refusal.status if refusal else 400 if failure else 200,
        mailbox=there,
        address=mailboxes.masked(address) if address else "",
        is_by_mail=bool(held.by(user_id).by_mail),
        is_sent=email_codes.pending(user_id, session.id, address) is not None,
        is_last=len(factors.of(user_id)) == 1,
        hindrance=frame.told(changing_factors.hindrance(user_id, there.id)) if there else None,
        failure=failure,
        minutes=-(-waits // 60),
        is_about_codes=isinstance(refusal, TooManyCodes),
    )
    if waits:
        page.headers["Retry-After"] = str(waits)
    return page
