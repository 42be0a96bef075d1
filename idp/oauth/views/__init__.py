"""The endpoints of the authorization server and its pages, one module each."""

from flask import Flask


def init(app: Flask) -> None:
    """Serve the endpoints in `app`, one line each."""
