"""What has been posted and not yet sent, as its readers will get it: the outbox is sealed, and tests open it."""

from sqlalchemy import select

from idp.platform import database, outbox
from idp.platform.outbox import Letter, StoredLetter


def letters(to: str = "") -> list[Letter]:
    """The letters to that address (empty: to all), the oldest first."""
    database.session().rollback()
    ids = database.session().scalars(select(StoredLetter.id).order_by(StoredLetter.created_at, StoredLetter.id))
    return [letter for letter in map(outbox.find, ids) if to in ("", letter.to)]


def only(to: str, template: str) -> Letter:
    """The one letter of that kind to that address."""
    (found,) = [letter for letter in letters(to) if letter.template == template]
    return found
