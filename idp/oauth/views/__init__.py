"""The endpoints of the authorization server and its pages, one module each."""

from flask import Flask

from idp.oauth.views import introspection, metadata, revocation, token


def init(app: Flask) -> None:
    """Serve the endpoints in `app`, one line each."""
    introspection.init(app)
    metadata.init(app)
    revocation.init(app)
    token.init(app)
