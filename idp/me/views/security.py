"""`/me/security`: what you prove yourself with. Each of it is changed on a page of its own."""

from flask import Flask
from flask.typing import ResponseReturnValue

from idp.credentials import factors, passkeys, passwords, recovery_codes
from idp.login import stepping_up
from idp.login.views import requires
from idp.me.views import frame
from idp.sessions import people, trusted_devices
from idp.sessions.people import LiveSession
from idp.users import users

FEW = 2
"""Recovery codes that are so few that it is time for new ones."""


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(frame.SECURITY, "me_security", show, methods=["GET"])


@requires.signed_in
def show(session: LiveSession) -> ResponseReturnValue:
    """The page."""
    user_id = session.user_id
    mine, set_at, codes = passkeys.of(user_id), passwords.set_at(user_id), recovery_codes.left(user_id)
    return frame.page(
        session,
        "security",
        "me/security.html",
        just_done=frame.just_done(session),
        offers_ending=len(people.of_person(user_id)) > 1,
        is_recent=stepping_up.is_recent(session),
        passkeys=mine,
        known_to_keepers=passkeys.accepted(users.find(user_id)),
        app=factors.app_of(user_id),
        mailbox=factors.mailbox_of(user_id),
        has_factor=bool(factors.of(user_id)),
        codes=codes,
        are_few=codes <= FEW,
        most_codes=recovery_codes.NUMBER,
        password_set_at=set_at,
        ways=len(mine) + (set_at is not None),
        devices=trusted_devices.of(user_id),
    )
