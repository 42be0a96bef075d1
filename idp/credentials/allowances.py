"""How often something may be asked for that costs others something: a letter in their mailbox, say.

An allowance refills with time. Whether it was used up is told to nobody: who asks is answered the same.
"""

import hashlib
import json

from sqlalchemy import case
from sqlalchemy.dialects import postgresql, sqlite

from idp.credentials.models import GuessCount
from idp.platform import clock, database
from idp.platform.settings import settings


def take(what: str, whose: str, *, at_once: int, refill: int) -> bool:
    """Whether `what` may be had once more on account of `whose` (a network, a name), and if so note that it was.

    `at_once`: how often it may be had in a row; `refill`: after how long (microseconds) once more. One statement.
    Inside `database.writing()`.
    """
    if settings().rate_limits == "off":
        return True
    now = clock.now()
    insert = sqlite.insert if database.is_sqlite() else postgresql.insert
    key = hashlib.sha256(json.dumps(["allowance", what, whose]).encode()).digest()
    full_again_at = case((GuessCount.waits_until > now, GuessCount.waits_until), else_=now) + refill
    first = insert(GuessCount).values(key_digest=key, failures=0, last_at=now, waits_until=now + refill)
    taking = first.on_conflict_do_update(
        index_elements=[GuessCount.key_digest],
        set_={"last_at": now, "waits_until": full_again_at},
        where=GuessCount.waits_until <= now + (at_once - 1) * refill,
    ).returning(GuessCount.waits_until)
    return database.session().execute(taking).scalar_one_or_none() is not None
