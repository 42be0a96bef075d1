"""The factory: the only module that knows every room."""

from flask import Flask

import idp.audit.models
import idp.clients.models
import idp.credentials.models
import idp.feed.models
import idp.keys.models
import idp.login.models
import idp.notices.models
import idp.oauth.models
import idp.organizations.models
import idp.platform.jobs
import idp.platform.outbox
import idp.sessions.models
import idp.users.models  # noqa: F401 importing the tables makes Alembic and the ORM see them
from idp.clients import apis, clients, declaration
from idp.credentials import authenticator_apps, email_codes, factors, mailed_links, passwords, recovery_codes
from idp.login import everywhere, factor_resets, passkey_offers
from idp.login import views as login
from idp.me import views as me
from idp.oauth import authorizations
from idp.oauth import views as oauth
from idp.organizations import locking, memberships, ownership, roles
from idp.platform import access, database, doors, health, hosts, logging, pages, resources, vault
from idp.platform.gate import Gate
from idp.platform.lane import Lane
from idp.platform.mail import on_show
from idp.platform.settings import Settings, configure, settings
from idp.sessions import people, trusted_devices
from idp.users import lifecycle


def create_app(settings: Settings) -> Flask:
    """The provider as a WSGI application.

    Nothing is asked of the database here: migrations may not have run yet. Raises `access.Undeclared` when a route
    does not say what it needs of its caller.
    """
    logging.configure(settings.log_format, messages=settings.development)
    app = Flask("idp", static_folder=None, template_folder=str(resources.folder("templates")))
    app.config.update(
        SERVER_NAME=hosts.authority(settings.issuer),
        PREFERRED_URL_SCHEME=settings.issuer.partition(":")[0],
        PROVIDE_AUTOMATIC_OPTIONS=False,
        TRAP_BAD_REQUEST_ERRORS=False,
    )
    app.debug = False  # whatever the environment says (HTT-06)
    configure(app, settings)
    database.init(app, settings.database_url)
    vault.init(app, settings.secret_key)
    _stand_at_the_door(app, settings)
    _open_rooms(app)
    on_show.init(app, settings)
    access.check(app)
    return app


def _stand_at_the_door(app: Flask, settings: Settings) -> None:
    """What every request passes: the gate, then the lane, then Flask."""
    app.extensions["canopy_lane"] = inner = Lane(app.wsgi_app)
    app.wsgi_app = Gate(app, inner, settings)  # type: ignore[method-assign]
    pages.init(app)
    doors.init(app)
    health.init(app)


def start() -> None:
    """Make the rows that come with this release: the issuer's own permissions, and the built-in roles.

    Run before the first request of every process, once migrations have run; asking twice changes nothing, and nodes
    that start at once wait for one another.
    """
    with database.writing():
        declared = declaration.shipped()
        apis.declare_own(declared, settings().issuer)
        roles.start_built_in(declared)


def _open_rooms(app: Flask) -> None:
    """One line a room that serves anything, or that has to be told of the application or of another room."""
    clients.before_owning(locking.lock_open)
    lifecycle.before_disabling(ownership.require_owns_nothing)
    lifecycle.before_disabling(people.end_with)
    lifecycle.before_disabling(authorizations.end_with)
    everywhere.also(authorizations.end_everywhere)
    lifecycle.locks_before_deleting(memberships.lock_homes)
    lifecycle.before_deleting(people.forget)
    lifecycle.before_deleting(memberships.leave_everywhere)
    lifecycle.before_deleting(mailed_links.forget)
    lifecycle.before_deleting(passwords.forget)
    lifecycle.before_deleting(trusted_devices.forget)
    lifecycle.before_deleting(factors.forget)
    lifecycle.before_deleting(authenticator_apps.forget)
    lifecycle.before_deleting(email_codes.forget)
    lifecycle.before_deleting(recovery_codes.forget)
    lifecycle.before_deleting(passkey_offers.forget)
    lifecycle.before_deleting(factor_resets.forget)
    login.init(app)
    oauth.init(app)
    me.init(app)
