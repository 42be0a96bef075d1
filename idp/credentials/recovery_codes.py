"""Recovery codes: for the day on which a second factor is lost. Shown once, stored by digest, each used once."""

import hashlib
import json
from collections.abc import Collection

from sqlalchemy import delete, func, select, update

from idp.audit import trail
from idp.audit.trail import Actor
from idp.credentials.models import RecoveryCode
from idp.platform import clock, database, typed_codes
from idp.platform.errors import Invalid
from idp.users.locks import lock
from idp.users.models import User

NUMBER = 10
"""Codes that a person gets at a time."""

SHORTEST = 13
"""Letters and digits that a code has at least which was made elsewhere: 64 bits, were it drawn as ours are."""


def left(user_id: str) -> int:
    """How many codes the person can still use."""
    live = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user_id, *_LIVE)
    return database.session().scalar(live) or 0


def read(text: str) -> tuple[str, ...]:
    """The codes that `text` lists, as we write them; nothing if anything else is in it. Nobody's are looked up."""
    listed = tuple(text.split())
    return listed if len(listed) == NUMBER and all(map(typed_codes.is_ours, listed)) else ()


def made_at(user_id: str) -> int:
    """When the person last had codes made; 0 for never."""
    newest = select(func.max(RecoveryCode.created_at)).where(RecoveryCode.user_id == user_id)
    return database.session().scalar(newest) or 0


def are_known(user_id: str, codes: Collection[str]) -> bool:
    """Whether the person has had each of these, used or replaced though it may be."""
    wanted = {_digest(user_id, code) for code in codes}
    known = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.digest.in_(wanted))
    return database.session().scalar(known) == len(wanted)


def require_long(code: str) -> None:
    """Raise `Invalid` for a code, made elsewhere, that is too short or too long; it is not repeated."""
    if not SHORTEST <= len(typed_codes.plain(code)) <= typed_codes.LONGEST:
        letters = f"from {SHORTEST} to {typed_codes.LONGEST} letters and digits"
        raise Invalid(f"a recovery code has {letters}", field="recovery_codes")


# Each of these is called inside `database.writing()`


def make(user_id: str, *, by: Actor) -> tuple[str, ...]:
    """New codes for the person, as they are shown this once, of 80 bits each (TOT-04); the old ones are void."""
    codes = tuple(typed_codes.drawn() for _ in range(NUMBER))
    store(user_id, codes, by=by)
    return codes


def store(user_id: str, codes: Collection[str], *, by: Actor) -> None:
    """Let the person's codes be these, made elsewhere, and no others. What was used or void once stays so."""
    lock(user_id)
    _end(user_id)
    mine = {_digest(user_id, code) for code in codes}
    old = select(RecoveryCode.digest).where(RecoveryCode.user_id == user_id, RecoveryCode.digest.in_(mine))
    fresh = sorted(mine - set(database.session().scalars(old)))
    database.session().add_all(RecoveryCode(digest=digest, user_id=user_id) for digest in fresh)
    database.session().flush()
    trail.record("user.codes.made", by=by, subject=user_id, after={"codes": len(fresh)})


def use(user_id: str, code: str) -> bool:
    """Use a code of the person's up: whether it was one that could be used. One statement decides."""
    mine = update(RecoveryCode).where(RecoveryCode.digest == _digest(user_id, code), *_LIVE)
    used = database.session().execute(
        mine.where(RecoveryCode.user_id == user_id).values(used_at=clock.now()),
        execution_options={"synchronize_session": False},
    )
    if not used.rowcount:  # type: ignore[attr-defined]
        return False
    trail.record("user.code.used", by=Actor("user", user_id), subject=user_id, after={"left": left(user_id)})
    return True


def void(user_id: str, *, by: Actor) -> None:
    """Let the person have no codes; twice changes nothing."""
    lock(user_id)
    ended = _end(user_id)
    if ended:
        trail.record("user.codes.removed", by=by, subject=user_id, before={"codes": ended})


def void_all() -> int:
    """Let no code be good any more that was given until now; how many."""
    ended = database.session().execute(update(RecoveryCode).where(*_LIVE).values(ended_at=clock.now()))
    return int(ended.rowcount)  # type: ignore[attr-defined]


def forget(user: User, by: Actor) -> None:
    """A step of `lifecycle.before_deleting`: a deleted person leaves no codes."""
    void(user.id, by=by)
    database.session().execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))


_LIVE = (RecoveryCode.used_at.is_(None), RecoveryCode.ended_at.is_(None))


def _end(user_id: str) -> int:
    mine = update(RecoveryCode).where(RecoveryCode.user_id == user_id, *_LIVE)
    ended = database.session().execute(
        mine.values(ended_at=clock.now()), execution_options={"synchronize_session": False}
    )
    return int(ended.rowcount)  # type: ignore[attr-defined]


def _digest(user_id: str, code: str) -> bytes:
    """Under which a code of that person is stored: nobody else's is found by it."""
    spelt = json.dumps(["recovery code", user_id, typed_codes.plain(code)])
    return hashlib.sha256(spelt.encode()).digest()
