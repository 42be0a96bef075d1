"""`/oauth2/authorize`: where clients send people to be authorized (RFC 6749 §3.1), by GET or by POST."""

from collections.abc import Callable
from urllib.parse import quote, urlencode

from flask import Flask, Response, request
from werkzeug.wrappers import Response as AnyResponse

from idp.clients.registered import RegisteredClient
from idp.oauth import authorize, responses
from idp.oauth.authorize import AuthorizeRequest, UnregisteredAddress
from idp.oauth.errors import InvalidRequest, OAuthError
from idp.oauth.views import interaction
from idp.platform import database, lane
from idp.platform.access import for_programs, public
from idp.platform.calls import FORM, TEXT, Answer, Call
from idp.platform.forms import Fields
from idp.platform.gate import TARGET_LIMIT
from idp.platform.http_refusals import WrongMediaType, WrongMethod

PATH = "/oauth2/authorize"

Next = Callable[[AuthorizeRequest, RegisteredClient], AnyResponse]


def init(app: Flask) -> None:
    """Serve the endpoint in `app`."""
    app.add_url_rule(PATH, "authorize", ask, methods=["GET"])
    app.add_url_rule(PATH, "authorize_posted", ask_by_post, methods=["POST"])


@public
def ask() -> AnyResponse:
    """What comes of a request: an answer to the client, or the first page that stands in the way."""
    if request.method != "GET":  # HEAD, which Flask takes for a GET: it would hand out codes unseen
        raise WrongMethod(("GET", "POST"))
    return _answered(authorize.sent(request.query_string), interaction.begin)


@for_programs
@public
def ask_by_post() -> AnyResponse:
    """The same for a form that any site may post: no cookie counts (SES-03), so the browser asks again by GET."""
    call = Call.of(request.environ)
    if call.header("Content-Type").partition(";")[0].strip().lower() != FORM:
        raise WrongMediaType(f"Send the request as {FORM}.")
    fields = authorize.sent(request.query_string, call.body)
    return _answered(fields, lambda asked, client: _by_get(fields))


def _answered(fields: Fields, go_on: Next) -> AnyResponse:
    """What `go_on` makes of the request, once it has passed; a refusal on its way to the client, where there is one."""
    client = _client_of(fields)
    try:
        asked = authorize.parse(fields)
        authorize.check(asked, client)
        return go_on(asked, client)
    except OAuthError as refusal:
        return lane.response(responses.refuse(authorize.destination_of(fields), refusal))


def _client_of(fields: Fields) -> RegisteredClient:
    try:
        return authorize.client_of(fields)
    except UnregisteredAddress as refusal:
        with database.writing():
            authorize.reject(refusal)
        raise


def _by_get(fields: Fields) -> Response:
    """To the same request as a GET, less what nobody reads; everything that is read fits there, or is too long."""
    kept = [(name, value) for name, value in fields.pairs if name in authorize.LIMITS]
    target = f"{PATH}?{urlencode(kept, quote_via=quote, safe='')}"
    if len(target) > TARGET_LIMIT:
        raise InvalidRequest(f"the request is longer than {TARGET_LIMIT} bytes")
    return lane.response(Answer(303, b"", TEXT, (("Location", target),)))
