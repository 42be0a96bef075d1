"""The pages of self-service, one module a page."""

from flask import Flask

from idp.me.views import applications, profile


def init(app: Flask) -> None:
    """Serve the pages in `app`."""
    applications.init(app)
    profile.init(app)
