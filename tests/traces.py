"""What a change leaves behind: its entries in the audit trail and its losses in the change feed."""

import json
from typing import Any

from sqlalchemy import select

from idp.audit.models import Entry
from idp.audit.trail import Actor
from idp.feed.models import Change
from idp.platform import database

OPERATOR = Actor("operator", "ops")
"""Whoever types at the command line."""


def events(subject: str = "") -> list[str]:
    """The names of the entries about `subject` (empty: all), oldest first."""
    return [entry.event for entry in entries(subject)]


def entries(subject: str = "") -> list[Entry]:
    """The entries about `subject` (empty: all), oldest first."""
    database.session().rollback()
    wanted = select(Entry).order_by(Entry.at, Entry.id)
    return list(database.session().scalars(wanted.where(Entry.subject == subject) if subject else wanted))


def losses() -> list[tuple[str, dict[str, Any]]]:
    """Kind and match of every loss in the change feed, oldest first; the epochs that a feed begins with are none."""
    database.session().rollback()
    changes = database.session().scalars(select(Change).where(Change.kind != "epoch").order_by(Change.position))
    return [(change.kind, json.loads(change.selector)) for change in changes]
