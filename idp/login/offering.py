"""What the pages of a sign-in offer beside what they ask: pure functions of how far it has come."""

from dataclasses import replace

from idp.login import steps
from idp.login.steps import Standing
from idp.sessions import levels
from idp.sessions.levels import rank

ENROLLABLE = ("passkey", "totp", "email_code")
"""What can be set up within a sign-in, in the order in which it is offered."""


def to_enrol(standing: Standing) -> tuple[str, ...]:
    """What can be set up, so that what is missing is reached with it; nothing, where nothing counts that would do."""
    missing = standing.aim if may_decline(standing) else standing.least
    return tuple(
        method
        for method in ENROLLABLE
        if method != "email_code" or standing.may_mail
        if rank(levels.reached((standing.proven | {method}) & standing.methods)) >= rank(missing)
    )


def may_decline(standing: Standing) -> bool:
    """Whether the sign-in goes on also if nothing is set up now."""
    return not steps.falls_short(replace(standing, has_declined=True))


def lets_trust(standing: Standing) -> bool:
    """Whether a browser can be trusted here: only where trust would have spared the person this very question."""
    return bool(standing.level) and not standing.is_stale and not steps.wants_more(replace(standing, is_trusted=True))
