"""WebAuthn ceremonies: challenges that were handed out, each good for one answer, at one place, for five minutes."""

import hashlib
import secrets
from typing import cast

from sqlalchemy import CursorResult, delete, select, update

from idp.credentials.models import Ceremony
from idp.platform import clock, database

LIFETIME = 5 * clock.MINUTE

REGISTER, SIGN_IN, CONFIRM = "register", "sign_in", "confirm"
"""What a ceremony is for: setting a passkey up, saying who one is with it, or proving that one is who one says."""

_BYTES = 32


# Each of these is called inside `database.writing()`


def begin(purpose: str, bound_to: str, user_id: str | None) -> bytes:
    """A new challenge of 32 random bytes; the columns of `Ceremony` say what the arguments are."""
    challenge = secrets.token_bytes(_BYTES)
    ceremony = Ceremony(
        challenge_digest=_digest(challenge),
        purpose=purpose,
        bound_to=bound_to,
        user_id=user_id,
        expires_at=clock.now() + LIFETIME,
    )
    database.session().add(ceremony)
    database.session().flush()
    return challenge


def claim(challenge: bytes, purpose: str, bound_to: str) -> Ceremony | None:
    """Use a challenge up: the ceremony if it was begun for this purpose at this place, in time, and not used before.

    The conditional UPDATE makes any number of concurrent answers agree on one winner.
    """
    wanted = (
        Ceremony.challenge_digest == _digest(challenge),
        Ceremony.purpose == purpose,
        Ceremony.bound_to == bound_to,
    )
    open_one = update(Ceremony).where(*wanted, Ceremony.used_at.is_(None), Ceremony.expires_at > clock.now())
    used = cast("CursorResult[object]", database.session().execute(open_one.values(used_at=clock.now())))
    if not used.rowcount:
        return None
    return database.session().scalars(select(Ceremony).where(*wanted)).one()


def void_all() -> int:
    """Let no challenge be answered any more that was handed out until now; how many."""
    left = update(Ceremony).where(Ceremony.used_at.is_(None)).values(used_at=clock.now())
    return cast("CursorResult[object]", database.session().execute(left)).rowcount


def clean_up(limit: int = 500) -> int:
    """Delete up to `limit` challenges that are too old to be answered; how many."""
    old = select(Ceremony.challenge_digest).where(Ceremony.expires_at <= clock.now()).limit(limit)
    gone = database.session().execute(delete(Ceremony).where(Ceremony.challenge_digest.in_(old)))
    return cast("CursorResult[object]", gone).rowcount


def _digest(challenge: bytes) -> bytes:
    """Under which a challenge is stored: it is random and long, so nothing has to slow anybody down."""
    return hashlib.sha256(challenge).digest()
