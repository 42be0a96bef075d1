"""`/oauth2/token` (RFC 6749 §3.2): checked first, spent second, issued last."""

from contextlib import nullcontext

from flask import Flask

from idp.oauth.issuance import issue
from idp.oauth.token import exchange, grant_of
from idp.oauth.token_request import TokenRequest
from idp.oauth.views import machine
from idp.oauth.views.authentication import authenticate
from idp.oauth.views.phrase import PRAGMA
from idp.platform import database
from idp.platform.access import public
from idp.platform.calls import Answer, Call


def init(app: Flask) -> None:
    """Serve the endpoint in `app`."""
    machine.mount(app, "/oauth2/token", token)


@public
def token(call: Call) -> Answer:
    """Tokens for what the request proves. What proved it is used up for good before they are signed."""
    request = TokenRequest.parse(call)
    grant = grant_of(request)
    client = authenticate(call)
    with database.writing() if grant.writes else nullcontext():
        issuance = exchange(request, client)
    return Answer.json(issue(issuance)).with_headers(PRAGMA)
