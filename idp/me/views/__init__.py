"""The pages of self-service, one module a page."""

from flask import Flask

from idp.me.views import (
    addresses,
    applications,
    authenticator,
    codes,
    mailed_addresses,
    mailed_codes,
    passkeys,
    password,
    profile,
    security,
    sessions,
)


def init(app: Flask) -> None:
    """Serve the pages in `app`."""
    for page in (
        profile,
        addresses,
        mailed_addresses,
        security,
        passkeys,
        authenticator,
        mailed_codes,
        codes,
        password,
        sessions,
        applications,
    ):
        page.init(app)
