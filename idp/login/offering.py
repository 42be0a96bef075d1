"""What the pages of a sign-in offer beside what they ask: pure functions of how far it has come."""

from dataclasses import replace

from idp.login import steps
from idp.login.steps import Standing, Step
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


def suits_a_passkey(standing: Standing) -> bool:
    """Whether a passkey may be set up for the next time, by somebody from whom nothing is missing for this one."""
    return "passkey" in standing.methods and "passkey" not in standing.held and standing.may_enrol


def offers_passkey(standing: Standing) -> bool:
    """Whether a passkey would be offered: to whoever gave a password, and was not asked to set anything up."""
    is_through = steps.next_step(standing) in (Step.SELECT, Step.DONE)
    return is_through and "password" in standing.proven and suits_a_passkey(standing) and not standing.has_declined


def lets_trust(standing: Standing) -> bool:
    """Whether a browser can be trusted here: only where trust would have spared the person this very question."""
    return bool(standing.level) and not standing.is_stale and not steps.wants_more(replace(standing, is_trusted=True))
