"""The first act of every machine endpoint that asks for a client."""

import threading
from dataclasses import replace
from typing import Final

from idp.clients import key_sets
from idp.clients.key_sets import Due
from idp.clients.registered import RegisteredClient
from idp.oauth import client_authentication
from idp.oauth.errors import AccessDenied, InvalidRequest
from idp.oauth.token_request import refuse_query
from idp.platform import clock, database, outbound
from idp.platform.calls import FORM, Call
from idp.platform.errors import Unavailable

_SECRET: Final = ("client_secret", "client_assertion", "access_token")
_PAUSE: Final = 0.05
"""Seconds between two looks at what another request fetches."""


def authenticate(call: Call) -> RegisteredClient:
    """The client that calls; before `database.writing()` is opened.

    What serves once is spent at once and stays so, whatever becomes of the request. Raises `InvalidClient` and
    `InvalidRequest`, as `client_authentication` does.
    """
    shown = client_authentication.read(call)
    if wanted := client_authentication.due(shown):
        renew(wanted)
    proof = client_authentication.prove(shown)
    if proof.assertion is not None:
        with database.writing():
            client_authentication.spend(proof)
    return proof.client


def authenticate_server(call: Call) -> RegisteredClient:
    """The API that calls: a client that proves who it is and of which the operator says that it serves one.

    Where no form is posted it does so in the header. Raises as `authenticate` does, `InvalidRequest` for credentials in
    the address, and `AccessDenied` for every other client.
    """
    if call.method != "GET":
        refuse_query(call)
    elif any(call.parameters.get(name) is not None for name in _SECRET):
        raise InvalidRequest("credentials do not belong in the address")
    client = authenticate(_with_a_form(call))
    if client.is_public:
        raise client_authentication.refusal(call)
    if not client.serves:
        raise AccessDenied("this is for APIs: no audience is named in serves of the client")
    return client


def _with_a_form(call: Call) -> Call:
    """The call itself if it posts a form; else one that says the same in its header, with an empty form."""
    is_form = call.header("Content-Type").partition(";")[0].strip().lower() == FORM
    if is_form and call.method == "POST":
        return call
    return replace(call, environ={**call.environ, "CONTENT_TYPE": FORM, "CONTENT_LENGTH": "0"})


def renew(wanted: Due) -> None:
    """Fetch keys of a client, or wait for whoever does; if that fails, the copy we have goes on."""
    with database.writing():
        claimed = key_sets.claim(wanted)
    if not claimed:
        _wait(wanted)
        return
    fetched = key_sets.fetch(wanted)
    with database.writing():
        key_sets.keep(wanted, fetched)


_waiting = threading.BoundedSemaphore(outbound.AT_ONCE)


def _wait(wanted: Due) -> None:
    """Until there is a first copy, no longer than a fetch takes, without a connection, and only so many threads."""
    if not _waiting.acquire(blocking=False):
        raise Unavailable
    try:
        deadline = clock.monotonic() + outbound.TIME_LIMIT
        while key_sets.is_awaited(wanted) and clock.monotonic() < deadline:
            database.session().rollback()
            threading.Event().wait(_PAUSE)
    finally:
        database.session().rollback()
        _waiting.release()
