"""Which clients may act: registered, not disabled, and not of an organization that is suspended or closed (ORG-10)."""

from sqlalchemy import select

from idp.clients.models import Client
from idp.clients.registered import COLUMNS, RegisteredClient, Row
from idp.organizations.conditions import CLIENT, client_in_force
from idp.platform import clock
from idp.platform.prepared import Prepared


def find(client_id: str) -> RegisteredClient | None:
    """The client with that id, as of now; `None` for one that may not act or is not there: they cannot be told apart.

    Every request to the authorization server that concerns a client comes through here. One statement.
    """
    if not client_id or len(client_id) > 128 or "\0" in client_id:
        return None
    row = _CLIENT.one(client_id=client_id, at=clock.FOREVER)
    return None if row is None else row.value()


_CLIENT: Prepared[Row] = Prepared(select(*COLUMNS).where(Client.id == CLIENT, client_in_force(Client)), Row)
