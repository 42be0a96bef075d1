"""`Refusal`: the root of every expected "no".

Rooms raise a refusal; the door that was knocked at phrases it (a page, an OAuth error, a problem document, an exit
status). Whatever is not a refusal is a bug: it rolls back, is logged with the request id, and the caller learns
only that id.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class Refusal(Exception):
    """An expected "no", told to whoever asked.

    `code` is a stable word for programs; `status` the HTTP status; `title` and `remedy` are sentences for people:
    what happened, and what to do now. The message of an instance adds the particulars that the caller may know.
    `keeps`: what was done before the refusal is kept (a spent code, a counted failure): the door commits.
    `particulars`: what programs are told besides, as JSON values by name.
    """

    code = "refused"
    status = 400
    title = "That is not possible"
    remedy = "Check what was asked for and try again."
    keeps = False
    particulars: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.title)
        self.message = message or self.title


class Invalid(Refusal):
    """A value that cannot be accepted; `field` names it as the caller spelled it, where there is one."""

    code = "invalid"
    status = 422
    title = "A value cannot be accepted"
    remedy = "Correct the named value and try again."

    def __init__(self, message: str = "", *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NotFound(Refusal):
    """What was asked for does not exist, or belongs to somebody else: the two cannot be told apart."""

    code = "not_found"
    status = 404
    title = "There is nothing here"
    remedy = "Check the address or the id."


class Forbidden(Refusal):
    """The object is visible to the caller, the act is not theirs to do."""

    code = "forbidden"
    status = 403
    title = "You may not do this"
    remedy = "Ask an administrator of the organization."


class Conflict(Refusal):
    """The state of the object does not allow the act."""

    code = "conflict"
    status = 409
    title = "The current state does not allow this"
    remedy = "Reload and look at the current state first."


class Unavailable(Refusal):
    """Something that is needed does not answer just now (RFC 9110 §15.6.4): try again after `retry_after` seconds."""

    code = "unavailable"
    status = 503
    title = "The service is busy"
    remedy = "Try again in a moment."
    retry_after = 2
