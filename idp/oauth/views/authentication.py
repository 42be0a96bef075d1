"""The first act of every machine endpoint that asks for a client."""

from idp.clients.registered import RegisteredClient
from idp.oauth import client_authentication
from idp.platform.calls import Call


def authenticate(call: Call) -> RegisteredClient:
    """The client that calls; before `database.writing()` is opened.

    Raises `InvalidClient` and `InvalidRequest`, as `client_authentication.prove` does.
    """
    return client_authentication.prove(call).client
