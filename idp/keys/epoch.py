"""A new epoch: every token that was issued before is refused from now on."""

from idp.audit import trail
from idp.audit.trail import Actor
from idp.feed import losses


def new(*, by: Actor) -> None:
    """Begin a new epoch, e.g. after a restore: one entry in the change feed that hits every token.

    Call it inside `database.writing()`. Whoever follows the feed refuses older tokens within a second; clients refresh.
    """
    losses.record("epoch")
    trail.record("feed.epoch.begun", by=by, subject="feed")
