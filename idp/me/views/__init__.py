"""The pages of self-service, one module a page."""

from flask import Flask

from idp.me.views import (
    applications,
    authenticator,
    codes,
    mailed_codes,
    passkeys,
    password,
    profile,
    security,
    sessions,
)


def init(app: Flask) -> None:
    """Serve the pages in `app`."""
    for page in (profile, security, passkeys, authenticator, mailed_codes, codes, password, sessions, applications):
        page.init(app)
