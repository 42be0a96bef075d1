"""The row on which everything that changes a person queues.

Whoever changes access in organizations, too, has locked those before any person: never the other way round.
"""

from collections.abc import Collection

from sqlalchemy import select

from idp.platform import bulk, database
from idp.platform.errors import NotFound
from idp.users.models import User


def lock(user_id: str) -> User:
    """The person `user_id`, locked until the transaction ends (`FOR NO KEY UPDATE`; SQLite's writers queue anyway).

    Whoever changes what a disabling must see (an ownership, say) locks the same row first. Who locks several people
    does so in the order of their ids. Raises `NotFound`.
    """
    wanted = select(User).where(User.id == user_id).with_for_update(key_share=True)
    user = database.session().scalars(wanted, execution_options={"populate_existing": True}).one_or_none()
    if user is None:
        raise NotFound("there is no such person")
    return user


def hold(user_ids: Collection[str]) -> set[str]:
    """Lock those of these people who exist, in the order of their ids; who they are.

    Nobody of them is disabled or deleted until the transaction ends.
    """
    found: set[str] = set()
    for some in bulk.chunks(sorted(set(user_ids))):
        there = select(User.id).where(User.id.in_(some), User.deleted_at.is_(None)).order_by(User.id)
        found |= set(database.session().scalars(there.with_for_update(key_share=True)))
    return found
