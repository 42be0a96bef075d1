"""Stepping up within a session: whether somebody proved recently, and strongly, who they are, and what else it takes.

Whoever changes what a person proves themselves with has to have done so (TOT-08).
"""

from idp.credentials import held
from idp.login import progress
from idp.login.demands import Demand
from idp.sessions import levels
from idp.sessions.people import LiveSession

RECENT = progress.RECENT
"""How old (microseconds) a proof may be that still counts as recent."""


def highest(user_id: str) -> str:
    """The highest level that the person can reach with what they have."""
    return levels.reached(held.methods(user_id))


def is_recent(session: LiveSession) -> bool:
    """Whether the session is of the highest level that its person can reach, by something that was proven recently
    (`progress.shows_who`).
    """
    return progress.shows_who(session.proofs, highest(session.user_id))


def demand(session: LiveSession) -> Demand:
    """What a sign-in has to ask of the person, for `is_recent` to be true after it.

    What is still missing; and everything anew, where the last proof is recent and only the strong one is not.
    """
    level = highest(session.user_id)
    is_partly_recent = progress.reaches(session.proofs, level) and any(
        proof.age() <= RECENT for proof in session.proofs
    )
    return Demand(person=session.user_id, max_age=RECENT, least=level, fresh=is_partly_recent)
