"""The row on which everything that changes a person queues."""

from sqlalchemy import select

from idp.platform import database
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
