"""The endpoints of the authorization server and its pages, one module each."""

from flask import Flask

from idp.oauth.views import metadata


def init(app: Flask) -> None:
    """Serve the endpoints in `app`, one line each."""
    metadata.init(app)
