"""Origins from which scripts of clients may call (`cors_origins`): asked for at every such call, by an index."""

from sqlalchemy import bindparam, select

from idp.clients.models import Client, ClientDisablement, ClientOrigin
from idp.platform.database import Prepared


def is_registered(origin: str) -> bool:
    """Whether a client that is neither deleted nor disabled has registered `origin`, to the byte."""
    return "\0" not in origin and _OF.one(origin=origin) is not None


_OF = Prepared(
    select(ClientOrigin.client_id)
    .join(Client, Client.id == ClientOrigin.client_id)
    .where(
        ClientOrigin.origin == bindparam("origin"),
        Client.ended_at.is_(None),
        ~select(ClientDisablement.id)
        .where(ClientDisablement.client_id == Client.id, ClientDisablement.ended_at.is_(None))
        .exists(),
    )
    .limit(1),
    str,
)
