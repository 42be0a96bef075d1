"""What is checked and made before a process begins to serve or to work, in the order it happens."""

import ctypes
import os
from collections.abc import Callable
from typing import Final

import structlog
from flask import Flask

from idp.audit.trail import SYSTEM
from idp.cli.door import make_what_comes_with_the_release
from idp.keys import master_keys, material, rotation
from idp.platform import configuration, database, schema, settings
from idp.platform.mail import ways

log = structlog.get_logger()


def _put_the_master_key_on_record() -> None:
    master_keys.check()
    with database.writing():
        master_keys.record(by=SYSTEM)


def make_missing_keys() -> None:
    """Fill the slots that no signing key fills: all of them at the first start, later those of a new algorithm."""
    if missing := rotation.missing():
        pairs = material.generate(missing)
        with database.writing():
            rotation.ensure(pairs, by=SYSTEM)


def _say_whether_mail_can_leave() -> None:
    """Letters wait without a way out; who starts the provider hears of it, as in `idp doctor`."""
    if ways.way_of(settings.settings()) is None:
        log.warning("mail cannot leave, letters wait: set IDP_MAIL")


STEPS: Final[tuple[Callable[[], None], ...]] = (
    schema.check,
    _put_the_master_key_on_record,
    make_missing_keys,
    make_what_comes_with_the_release,
    _say_whether_mail_can_leave,
)
"""Every one of them may refuse. Asking twice changes nothing, and nodes that start at once wait for one another."""


def make_ready(app: Flask) -> None:
    """Take all steps, and leave no connection open: the process may fork afterwards."""
    with app.app_context():
        try:
            for step in STEPS:
                step()
        finally:
            database.db.session.remove()
            database.db.engine.dispose()


def forget_secrets() -> None:
    """Take secrets out of the environment once they were read.

    Servers copy the environment into every request, and the system shows to others of this user (`/proc/*/environ`)
    the memory in which it was handed over; so that is overwritten, too.
    """
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    for name in map(configuration.variable, configuration.SECRETS | configuration.ADDRESSES):
        value, place = os.environb.get(name.encode()), libc.getenv(name.encode())
        if value and place:
            ctypes.memset(place, ord("*"), len(value))
    settings.forget_secrets(os.environ)
