"""Signing somebody out everywhere, because somebody else may be signed in as them.

Rooms above say what else ends with that by registering a step here: what applications hold, say.
"""

from collections.abc import Callable

from idp.audit.trail import Actor
from idp.credentials import mailed_links
from idp.login import transactions
from idp.sessions import people, trusted_devices

Step = Callable[[str, str, Actor], object]
"""Told the id of the person, who is locked; why (as `people.end`: `password_changed` or `revoked`); and who does it."""

_steps: list[Step] = []


def also(step: Step) -> Step:
    """Register `step` to run whenever somebody is signed out everywhere."""
    if step not in _steps:
        _steps.append(step)
    return step


def sign_out(user_id: str, *, because: str, by: Actor) -> int:
    """End every session of the person and what was proven for the next one, the trust in every browser, links that
    recover a password or add an address, and whatever is registered here; how many sessions. Inside
    `database.writing()`, with the person locked.
    """
    mailed_links.end_all("recover", user_id)
    mailed_links.end_all("verify", user_id)  # asked for by whoever was signed in
    transactions.forget_proofs(user_id)
    trusted_devices.end_all_of(user_id, by=by)
    ended = people.end_all_of(user_id, because=because, by=by)
    for step in _steps:
        step(user_id, because, by)
    return ended
