"""Offers of a passkey to people who have just typed a password, so that they need not the next time.

Nobody is asked more than once a month, nor in a browser that is new to them. Each function but `forget` is called
inside `database.writing()` with the sign-in held, and the browser locked where it is told.
"""

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite

from idp.audit.trail import Actor
from idp.login import offering, progress, transactions
from idp.login.models import PasskeyOffer
from idp.login.transactions import CLOSED, OPEN, POSSIBLE, SignIn
from idp.platform import clock, database
from idp.sessions import people
from idp.sessions.models import Browser
from idp.users.locks import lock
from idp.users.models import User

PAUSE = 30 * clock.DAY
"""How long a person is left alone after an offer."""


def note(held: SignIn, known: Browser) -> SignIn:
    """Note that the browser says that it can make passkeys, where the person signs in who did so here before.

    Whoever is signed in here already only steps up. Call it before anybody is signed in.
    """
    user_id = held.user_id or ""
    if held.offer or not people.is_known(known, user_id):
        return held
    if any(one.user_id == user_id for one in people.in_browser(known)):
        return held
    return transactions.offer(held, POSSIBLE)


def open_if_due(held: SignIn, known: Browser) -> SignIn:
    """Offer a passkey, where that is possible and suits, and the person was not offered any for a while."""
    if held.offer != POSSIBLE or not offering.offers_passkey(progress.standing(held, known)):
        return held
    return transactions.offer(held, OPEN if _claim(held.user_id or "") else CLOSED)


def close(held: SignIn) -> SignIn:
    """Note that the person has answered, if anything was offered."""
    return transactions.offer(held, CLOSED) if held.offer == OPEN else held


def forget(user: User, by: Actor) -> None:
    """A step of `lifecycle.before_deleting`."""
    database.session().execute(delete(PasskeyOffer).where(PasskeyOffer.user_id == user.id))


def _claim(user_id: str) -> bool:
    """Whether the next month is this offer's. One statement decides: of two tabs, one makes it."""
    lock(user_id)
    now = clock.now()
    insert = sqlite.insert if database.is_sqlite() else postgresql.insert
    claiming = (
        insert(PasskeyOffer)
        .values(user_id=user_id, offered_at=now)
        .on_conflict_do_update(
            index_elements=[PasskeyOffer.user_id],
            set_={"offered_at": now},
            where=PasskeyOffer.offered_at <= now - PAUSE,
        )
        .returning(PasskeyOffer.user_id)
    )
    return database.session().scalar(claiming) is not None
