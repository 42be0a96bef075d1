"""Origins from which scripts of clients may call (`cors_origins`): asked for at every such call, by an index."""

from collections.abc import Iterable

from sqlalchemy import bindparam, delete, select

from idp.clients.models import Client, ClientDisablement, ClientOrigin
from idp.platform import database
from idp.platform.prepared import Prepared


def is_registered(origin: str) -> bool:
    """Whether a client that is neither deleted nor disabled has registered `origin`, to the byte."""
    return "\0" not in origin and _OF.one(origin=origin) is not None


def replace(client_id: str, origins: Iterable[str]) -> None:
    """Let these be the origins of the client. Inside `database.writing()`: for the rule that writes its metadata."""
    wanted = set(origins)
    of_client = ClientOrigin.client_id == client_id
    present = set(database.session().scalars(select(ClientOrigin.origin).where(of_client)))
    for origin in present - wanted:
        database.session().execute(delete(ClientOrigin).where(of_client, ClientOrigin.origin == origin))
    database.session().add_all(ClientOrigin(client_id=client_id, origin=origin) for origin in sorted(wanted - present))


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
