"""Links for whoever did not do what a letter tells of. Nothing but what they can undo hangs on them."""

from idp.credentials import mailed_links
from idp.platform import clock

LIFETIME = 7 * clock.DAY

PATH = "/not-me"
"""Where such a link leads, before its token."""


def path(user_id: str, address: str, address_key: str) -> str:
    """The path of a new link for the person, for a letter to that address of theirs. Inside `database.writing()`."""
    return f"{PATH}/{mailed_links.make('not_me', user_id, address, address_key, lifetime=LIFETIME)}"
