"""`/oauth2/accounts/<id>`: the record of an account, for APIs that are shown an organization's token and an account."""

from typing import Final

from flask import Flask

from idp.oauth import account_records
from idp.oauth.views import machine
from idp.oauth.views.authentication import authenticate_server
from idp.oauth.views.phrase import as_resource
from idp.platform.access import public
from idp.platform.calls import Answer, Call

_METHODS: Final = ("GET", "POST")


def init(app: Flask) -> None:
    """Serve the endpoint in `app`."""
    machine.mount(app, "/oauth2/accounts/<account_id>", record, methods=_METHODS, phrase=as_resource)


@public
def record(call: Call) -> Answer:
    """What an API has to know of the account that the path names. Raises `NotFound`."""
    authenticate_server(call)
    return Answer.json(account_records.find(call.path.rpartition("/")[2]).told())
