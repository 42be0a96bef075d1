"""`/oauth2/revoke` (RFC 7009)."""

from flask import Flask

from idp.audit.trail import Actor
from idp.oauth import revocation
from idp.oauth.token_request import refuse_query, require
from idp.oauth.views import machine
from idp.oauth.views.authentication import authenticate
from idp.platform import database
from idp.platform.access import public
from idp.platform.calls import TEXT, Answer, Call


def init(app: Flask) -> None:
    """Serve the endpoint in `app`."""
    machine.mount(app, "/oauth2/revoke", revoke)


@public
def revoke(call: Call) -> Answer:
    """Revoke the token in the form; whatever became of it, the answer is the same once it is durable (§2.2)."""
    refuse_query(call)
    client = authenticate(call)
    found = revocation.find(require(call.form, "token"), client)
    if found is not None:
        with database.writing():
            revocation.revoke(found, by=Actor("client", client.id))
    return Answer(200, b"", TEXT)
