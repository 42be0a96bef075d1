"""The factory: the only module that knows every room."""

from flask import Flask

import idp.audit.models
import idp.clients.models
import idp.credentials.models
import idp.feed.models
import idp.keys.models
import idp.organizations.models
import idp.platform.jobs
import idp.users.models  # noqa: F401 importing the tables makes Alembic and the ORM see them
from idp.platform import database
from idp.platform.settings import Settings


def create_app(settings: Settings) -> Flask:
    """The provider as a WSGI application."""
    app = Flask("idp")
    database.init(app, settings.database_url)
    return app
