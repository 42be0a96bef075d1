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


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(frame.SECURITY, "me_security", show, methods=["GET"])


@requires.signed_in
def show(session: LiveSession) -> ResponseReturnValue:
    """The page."""
    user_id = session.user_id
    return frame.page(
        session,
        "security",
        "me/security.html",
        just_done=frame.just_done(session),
        offers_ending=len(people.of_person(user_id)) > 1,
        is_recent=stepping_up.is_recent(session),
        passkeys=passkeys.of(user_id),
        known_to_keepers=passkeys.accepted(users.find(user_id)),
        app=next((one for one in factors.of(user_id) if one.kind == "totp"), None),
        codes=recovery_codes.left(user_id),
        most_codes=recovery_codes.NUMBER,
        password_set_at=passwords.set_at(user_id),
        devices=trusted_devices.of(user_id),
    )
