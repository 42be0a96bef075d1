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
    """Whether the session is of the highest level that its person can reach, by something that was proven recently.

    A password that is given anew makes nothing recent of a passkey that was used hours ago.
    """
    return progress.shows_who(session.proofs, highest(session.user_id))


def demand(session: LiveSession) -> Demand:
    """What a sign-in has to ask of the person, for `is_recent` to be true after it.

    What is still missing; and everything anew, where the last proof is recent and only the strong one is not.
    """
    level = highest(session.user_id)
    has_recent = any(proof.age() <= RECENT for proof in session.proofs)
    return Demand(person=session.user_id, max_age=RECENT, least=level, fresh=_reaches(session, level) and has_recent)


def _reaches(session: LiveSession, level: str) -> bool:
    reached = levels.reached({proof.method for proof in session.proofs})
    return levels.rank(reached) >= levels.rank(level)
