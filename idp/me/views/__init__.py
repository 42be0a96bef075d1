"""The pages of self-service, one module a page."""

from flask import Flask

from idp.me.views import (
    access,
    activity,
    addresses,
    applications,
    authenticator,
    codes,
    deletion,
    export,
    mailed_addresses,
    mailed_codes,
    organizations,
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
        access,
        organizations,
        activity,
        export,
        deletion,
    ):
        page.init(app)
