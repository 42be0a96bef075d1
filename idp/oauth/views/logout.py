"""`/oauth2/logout`: applications send people here to be signed out (OpenID Connect RP-Initiated Logout 1.0)."""

from urllib.parse import quote, urlencode

from flask import Flask, Response, request
from werkzeug.wrappers import Response as AnyResponse

from idp.login.views import answers, browser, signing_out
from idp.login.views.identifier import candidate
from idp.oauth import logout, redirect_addresses
from idp.oauth.errors import InvalidRequest
from idp.oauth.logout import LogoutRequest
from idp.platform import lane
from idp.platform.access import for_programs, public
from idp.platform.calls import TEXT, Answer, Call
from idp.platform.forms import Fields
from idp.platform.gate import TARGET_LIMIT
from idp.platform.http_refusals import WrongMethod
from idp.sessions import people
from idp.sessions.people import LiveSession

PATH = "/oauth2/logout"
CONFIRMED = f"{PATH}/confirm"


def init(app: Flask) -> None:
    """Serve these pages in `app`."""
    app.add_url_rule(PATH, "oauth_logout", ask, methods=["GET"])
    app.add_url_rule(PATH, "oauth_logout_posted", ask_by_post, methods=["POST"])
    app.add_url_rule(CONFIRMED, "oauth_logout_confirmed", confirm, methods=["POST"])


@public
def ask() -> AnyResponse:
    """Sign out whom the hint is about, if that is who is signed in here; else ask. Nobody signed in: done."""
    if request.method != "GET":  # HEAD, which Flask takes for a GET
        raise WrongMethod(("GET", "POST"))
    parameters = logout.sent(Call.of(request.environ).parameters)
    asked, sessions = logout.parse(parameters), people.in_browser(browser.current())
    session = logout.meant(asked.hint, sessions)
    if session is None and sessions:
        return _question(asked, parameters, sessions)
    if session is not None:
        signing_out.leave(session.id)
    return _onward(asked)


@for_programs
@public
def ask_by_post() -> Response:
    """The same for a form that any site may post: no cookie counts (SES-03), so the browser asks again by GET."""
    parameters = logout.sent(Call.of(request.environ).form)
    target = f"{PATH}?{urlencode(parameters, quote_via=quote)}"
    if len(target) > TARGET_LIMIT:
        raise InvalidRequest(f"the request is longer than {TARGET_LIMIT} bytes")
    return _to(target)


@public
def confirm() -> AnyResponse:
    """Everybody in this browser signs out; then where the application wanted, which is looked up anew."""
    asked = logout.parse(logout.sent(Fields(tuple(request.form.items(multi=True)))))
    signing_out.leave()
    return _onward(asked)


def _question(asked: LogoutRequest, parameters: dict[str, str], sessions: list[LiveSession]) -> Response:
    """Whether to sign out, for everybody who is signed in here. The hint has said what it can, and stays behind."""
    carried = {name: value for name, value in parameters.items() if name != "id_token_hint"}
    if asked.client is not None:
        carried["client_id"] = asked.client.id
    targets = (redirect_addresses.source(asked.return_to),) if asked.return_to else ()
    everybody = [candidate(one.id, one.user_id) for one in sessions]
    return answers.page("oauth/logout.html", None, targets=targets, people=everybody, carried=carried)


def _onward(asked: LogoutRequest) -> Response:
    return _to(asked.return_to or "/logout")


def _to(address: str) -> Response:
    return lane.response(Answer(303, b"", TEXT, (("Location", address),)))
