"""The endpoints of the authorization server and its pages, one module each."""

from flask import Flask

from idp.oauth.views import (
    accounts,
    authorize,
    changes,
    consent,
    evaluation,
    interaction,
    introspection,
    logout,
    metadata,
    revocation,
    token,
    userinfo,
)


def init(app: Flask) -> None:
    """Serve the endpoints in `app`, one line each."""
    accounts.init(app)
    authorize.init(app)
    changes.init(app)
    consent.init(app)
    evaluation.init(app)
    interaction.init(app)
    introspection.init(app)
    logout.init(app)
    metadata.init(app)
    revocation.init(app)
    token.init(app)
    userinfo.init(app)
