"""`/oauth2/accounts`: where a person may work, for applications; `/oauth2/accounts/<id>`: one account, for APIs."""

from typing import Final

from flask import Flask

from idp.oauth import account_records, bearer_tokens, enterable
from idp.oauth.enterable import Position
from idp.oauth.errors import InvalidRequest
from idp.oauth.views import machine
from idp.oauth.views.authentication import authenticate_server
from idp.oauth.views.phrase import as_resource, phrase
from idp.platform.access import public
from idp.platform.calls import Answer, Call
from idp.platform.errors import Refusal

_PAGE: Final = 50
_DIGITS: Final = 3


def init(app: Flask) -> None:
    """Serve the endpoints in `app`."""
    machine.mount(app, "/oauth2/accounts", entries, methods=("GET",), phrase=refuse)
    machine.mount(app, "/oauth2/accounts/<account_id>", record, methods=("GET", "POST"), phrase=as_resource)


@public
def entries(call: Call) -> Answer:
    """A page (`limit`, behind `after`) of where the person may work of whom the token in the header speaks."""
    token = bearer_tokens.presented(call)
    organization_id, _, account = (call.parameters.get("after") or "").partition("/")
    return Answer.json(enterable.page(token, Position(organization_id, account), _limit(call)))


@public
def record(call: Call) -> Answer:
    """What an API has to know of the account that the path names. Raises `NotFound`."""
    authenticate_server(call)
    return Answer.json(account_records.find(call.path.rpartition("/")[2]).told())


def refuse(refusal: Refusal, call: Call) -> Answer:
    """As every endpoint does, and with the challenge of RFC 6750 §3."""
    return phrase(refusal, call).with_headers(*bearer_tokens.challenge(refusal))


def _limit(call: Call) -> int:
    """How many entries are wanted. Raises `InvalidRequest`."""
    said = call.parameters.get("limit") or str(_PAGE)
    if not (said.isascii() and said.isdecimal() and len(said) <= _DIGITS and 1 <= int(said) <= enterable.MOST):
        raise InvalidRequest(f"limit is a number from 1 to {enterable.MOST}")
    return int(said)
