"""How many letters of invitation leave on account of one organization, and of one inviter in it (HTT-09).

Invitations are counted as they stand in their table, which their organization's turn guards: at once, of several
processes, no more are made than are allowed.
"""

from sqlalchemy import ColumnElement, select

from idp.audit.trail import Actor
from idp.organizations.models import Invitation
from idp.platform import clock, database
from idp.platform.errors import Refusal
from idp.platform.settings import settings

WINDOW = clock.HOUR

OF_ORGANIZATION = 300
"""Letters that leave on account of an organization within an hour."""

OF_INVITER = 100
"""The same on account of one inviter in it."""

TO_ADDRESS = 5
"""The same to one address, whoever invites it there."""


class TooManyInvitations(Refusal):
    """Enough letters left for now; another one is after `retry_after` seconds (RFC 6585 §4)."""

    code = "too_many_invitations"
    status = 429
    title = "Too many invitations were sent"
    remedy = "Nobody was invited just now. Invite the others later."

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            f"Enough invitations were sent for now; the next one can be in {-(-retry_after // 60)} minutes."
        )
        self.retry_after = retry_after


def require_room(organization_id: str, address_key: str, *, by: Actor) -> None:
    """Raise `TooManyInvitations` unless one more letter may leave. The organization is locked."""
    if settings().rate_limits == "off":
        return
    mine = Invitation.invited_by_kind == by.kind, Invitation.invited_by == by.id
    waits = (
        _wait(organization_id, OF_ORGANIZATION),
        _wait(organization_id, OF_INVITER, *mine),
        _wait(organization_id, TO_ADDRESS, Invitation.address_key == address_key),
    )
    if longest := max(waits):
        raise TooManyInvitations(-(-longest // clock.SECOND))


def _wait(organization_id: str, most: int, *which: ColumnElement[bool]) -> int:
    """How long (microseconds) until fewer than `most` of these were made within the window; 0 where they are."""
    made = select(Invitation.created_at).where(
        Invitation.organization_id == organization_id, Invitation.created_at > clock.now() - WINDOW, *which
    )
    latest = made.order_by(Invitation.created_at.desc()).offset(most - 1).limit(1)
    oldest = database.session().scalar(latest)
    return 0 if oldest is None else max(1, oldest + WINDOW - clock.now())
