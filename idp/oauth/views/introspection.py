"""`/oauth2/introspect` (RFC 7662)."""

from flask import Flask

from idp.oauth import introspection
from idp.oauth.client_authentication import refusal
from idp.oauth.token_request import refuse_query, require
from idp.oauth.views import machine
from idp.oauth.views.authentication import authenticate
from idp.platform.access import public
from idp.platform.calls import Answer, Call


def init(app: Flask) -> None:
    """Serve the endpoint in `app`."""
    machine.mount(app, "/oauth2/introspect", introspect)


@public
def introspect(call: Call) -> Answer:
    """What the token in the form says; the client proves who it is, which public ones cannot."""
    refuse_query(call)
    asker = authenticate(call)
    if asker.is_public:
        raise refusal(call)
    return Answer.json(introspection.introspect(require(call.form, "token"), asker))
