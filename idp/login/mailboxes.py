"""Codes by mail, where they go: to the first address by which the person could recover a password.

So whoever took over a session cannot have them sent elsewhere at once.
"""

from idp.audit.trail import Actor
from idp.credentials import email_codes, held
from idp.credentials.models import Factor
from idp.organizations import proven_addresses
from idp.platform.errors import Conflict
from idp.users import languages, users


class NoMailbox(Conflict):
    """Codes by mail would prove nothing, or have nowhere to go."""

    code = "no_mailbox"
    title = "Codes by mail cannot be used now"
    remedy = "Have an e-mail address that is confirmed, and a password that was not set through a mailed link."


def of(user_id: str) -> str:
    """The address that codes go to; empty where there is none."""
    return next((one.address for one in proven_addresses.recovering(user_id)), "")


def masked(address: str) -> str:
    """The address as its owner knows it again and nobody else learns it."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}…@{domain}"


def may_be_used(user_id: str) -> bool:
    """Whether a code by mail would prove anything of the person: it has somewhere to go, and the password did not come
    the same way.
    """
    return not held.by(user_id).by_mail and of(user_id) != ""


# Each of these is called inside `database.writing()`


def send(user_id: str, bound_to: str) -> None:
    """Mail the person a code for that sign-in or session. Raises `NoMailbox` and `email_codes.TooManyCodes`."""
    if not may_be_used(user_id):
        raise NoMailbox
    email_codes.send(user_id, bound_to, of(user_id), languages.of(users.find(user_id)))


def verify(user_id: str, bound_to: str, code: str) -> str | None:
    """The id of the person's factor, if that is the code that they were mailed, as `email_codes.verify`."""
    return email_codes.verify(user_id, bound_to, code, of(user_id)) if may_be_used(user_id) else None


def turn_on(user_id: str, bound_to: str, code: str, *, by: Actor) -> Factor | None:
    """Let codes by mail be a factor of the person, if that is the code that they were mailed; the factor."""
    return email_codes.confirm(user_id, bound_to, code, of(user_id), by=by) if may_be_used(user_id) else None
