"""`/me/security/password`: a password, set, changed or removed.

Whoever has nothing but a password gives the old one for a new one; anybody else has just proven who they are by
something stronger (PWD-07).
"""

from dataclasses import dataclass

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.credentials import guesses, hashing, passwords
from idp.credentials.guesses import Reservation, TooMany
from idp.credentials.hashing import TooBusy
from idp.credentials.passwords import Verdict
from idp.login import attempts, changing_factors, new_passwords, stepping_up
from idp.login.changing_factors import LastWayIn, StillDemanded
from idp.login.views import answers, browser, requires
from idp.me.views import frame
from idp.oauth import authorizations
from idp.platform import clock, database
from idp.platform.errors import Invalid
from idp.sessions import browsers, people
from idp.sessions.levels import ONE_FACTOR
from idp.sessions.people import LiveSession
from idp.sessions.proofs import Proof
from idp.users import users

PATH = f"{frame.SECURITY}/password"


class WrongPassword(Invalid):
    """The current password is another one."""

    code = "wrong_password"
    title = "That is not your current password"
    remedy = "Enter the password that you sign in with now."


@dataclass(frozen=True)
class Change:
    """What the form says. `checked`: the current password as it was found right, where it was asked for."""

    hashed: str
    is_short: bool
    ends_others: bool
    checked: Verdict | None


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(PATH, "me_password", show, methods=["GET"])
    app.add_url_rule(PATH, "change_password_of_mine", change, methods=["POST"])


@requires.signed_in
def show(session: LiveSession) -> ResponseReturnValue:
    """The page."""
    if not _may_go_on(session):
        return requires.to_step_up(session)
    return _page(session)


@requires.signed_in
def change(session: LiveSession) -> ResponseReturnValue:
    """Set, change or remove it."""
    if not _may_go_on(session):
        return requires.to_step_up(session)
    if request.form.get("act") == "remove":
        return _remove(session)
    try:
        cookie = _store(session, _wanted(session))
    except (Invalid, TooMany, TooBusy) as refusal:
        return _refused(session, refusal)
    browser.carry(browser.known_or_new(), cookie)
    return frame.done(session, "password.set")


def _may_go_on(session: LiveSession) -> bool:
    return _asks_current(session.user_id) or stepping_up.is_recent(session)


def _asks_current(user_id: str) -> bool:
    """Whether the password is all that the person has: then only it can show that it is they who change it."""
    return stepping_up.highest(user_id) == ONE_FACTOR and bool(passwords.stored(user_id))


# Changing


def _wanted(session: LiveSession) -> Change:
    """What the form says, looked at and hashed. Raises `Invalid`, `TooMany` and `TooBusy`."""
    hashing.require_room()
    checked = _checked(session) if _asks_current(session.user_id) else None
    plaintext = request.form.get("password", "")
    hashed = passwords.hash(plaintext, new_passwords.about(session.user_id))
    return Change(hashed, passwords.is_short(plaintext), "others" in request.form, checked)


def _checked(session: LiveSession) -> Verdict:
    """The current password, counted, then tried. Raises `WrongPassword`, `TooMany` and `TooBusy`."""
    with database.writing():
        reservation = guesses.reserve(attempts.guesser_again(session.user_id, browser.unchanged()))
    try:
        whose = None if reservation.is_barred else session.user_id
        verdict = passwords.verify(whose, request.form.get("current", ""))
    except TooBusy:
        _settle(session, reservation, is_right=True)
        raise
    _settle(session, reservation, is_right=verdict.is_right)
    if not verdict.is_right:
        raise WrongPassword(field="current")
    return verdict


def _settle(session: LiveSession, reservation: Reservation, *, is_right: bool) -> None:
    with database.writing():
        if is_right:
            guesses.succeeded(reservation)
        else:
            attempts.failed_again(session.user_id, "password", reservation)


def _store(session: LiveSession, wanted: Change) -> str:
    """The new password; the browser's new token (SES-01). Raises `WrongPassword` if another tab was faster."""
    user_id, by = session.user_id, Actor("user", session.user_id)
    with database.writing():
        if not wanted.checked:
            requires.still_recent(session)
        elif not passwords.is_current(wanted.checked):
            raise WrongPassword(field="current")
        requires.still_there(session)
        changing_factors.set_password(user_id, wanted.hashed, by=by, is_short=wanted.is_short)
        if wanted.ends_others:
            people.end_all_of(user_id, because="password_changed", by=by, but=session.id)
            authorizations.end_others(user_id, session.id, because="password_changed", by=by)
        known = browser.locked()
        if wanted.checked:
            return people.open_session(known, user_id, (Proof("password", clock.now()),))[1]
        return browsers.renew(known)


def _remove(session: LiveSession) -> ResponseReturnValue:
    try:
        with database.writing():
            requires.still_recent(session)
            changing_factors.remove_password(session.user_id, by=Actor("user", session.user_id))
    except (LastWayIn, StillDemanded) as refusal:
        return _page(session, refusal.status)
    return frame.done(session, "password.removed")


# The page


def _refused(session: LiveSession, refusal: Invalid | TooMany | TooBusy) -> Response:
    """The page again, with what has to be changed or how long to wait."""
    if isinstance(refusal, Invalid):
        return _page(session, 400, field=refusal.field, problem=answers.in_words(refusal))
    waits = refusal.retry_after
    page = _page(session, refusal.status, minutes=-(-waits // 60), is_busy=isinstance(refusal, TooBusy))
    page.headers["Retry-After"] = str(waits)
    return page


def _page(
    session: LiveSession,
    status: int = 200,
    *,
    field: str = "",
    problem: str = "",
    minutes: int = 0,
    is_busy: bool = False,
) -> Response:
    user_id = session.user_id
    return frame.page(
        session,
        "security",
        "me/password.html",
        status,
        username=users.find(user_id).username,
        set_at=passwords.set_at(user_id),
        asks_current=_asks_current(user_id),
        shortest=new_passwords.about(user_id).shortest,
        has_others=len(people.of_person(user_id)) > 1,
        hindrance=frame.told(changing_factors.password_hindrance(user_id)),
        field=field,
        problem=problem,
        minutes=minutes,
        is_busy=is_busy,
    )
