"""The pages of self-service, one module a page."""

from flask import Flask

from idp.me.views import profile


def init(app: Flask) -> None:
    """Serve the pages in `app`."""
    profile.init(app)
