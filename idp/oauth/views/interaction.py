"""What comes of an authorization request: an answer to the client, or the page that stands in the way.

Every detour ends at `/oauth2/authorize/<id>`, which looks at everything anew; detours never lead to one another.
"""

from dataclasses import replace

from flask import Flask, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from idp.clients.registered import RegisteredClient
from idp.login import attempts, transactions
from idp.login.transactions import SignIn, SignInOver
from idp.login.views import answers, browser
from idp.oauth import active_clients, authorize, consent, interaction, pending_requests, redirect_addresses, responses
from idp.oauth.authorize import AuthorizeRequest
from idp.oauth.errors import AccessDenied, OAuthError
from idp.oauth.interaction import Asked, Situation
from idp.oauth.needs import REFUSALS, Need
from idp.oauth.pending_requests import Pending, RequestOver
from idp.platform import clock, database, lane
from idp.platform.access import public
from idp.platform.http_refusals import WrongMethod
from idp.sessions.models import Browser
from idp.users.locks import lock

CONSENT = "/consent"


def init(app: Flask) -> None:
    """Serve the way back in `app`."""
    app.add_url_rule("/oauth2/authorize/<id>", "authorize_resumed", resume, methods=["GET"])


def begin(asked: AuthorizeRequest, client: RegisteredClient) -> AnyResponse:
    """What comes of a request that has passed every check; at once, where nothing is missing.

    Raises the `OAuthError` that is sent back to the client.
    """
    return _go_on(interaction.asked(asked, client, begun_at=clock.now()), None)


@public
def resume(id: str) -> AnyResponse:
    """Go on with a request of this browser, wherever its person comes from."""
    if request.method != "GET":  # HEAD, which Flask takes for a GET: it would hand out codes unseen
        raise WrongMethod(("GET",))
    pending = pending_requests.find(browser.current(), id)
    try:
        return _go_on(asked_by(pending), pending)
    except OAuthError as refusal:
        return refuse(pending, refusal)


def asked_by(pending: Pending) -> Asked:
    """The request with what has come of it. Raises `RequestOver` when its client or address is no more, and what is
    sent back to the client: what the client may ask for no longer, `AccessDenied` when the person went back without
    signing in.
    """
    client = active_clients.find(pending.request.client_id)
    if client is None or not redirect_addresses.is_registered(pending.request.redirect_uri, client):
        raise RequestOver
    authorize.check(pending.request, client)
    sign_in = _sign_in_of(pending)
    if sign_in is not None and sign_in.outcome == "cancelled":
        raise AccessDenied("the person did not sign in")
    return replace(
        interaction.asked(pending.request, client, begun_at=pending.begun_at),
        sign_in=sign_in if sign_in is not None and sign_in.outcome == "done" else None,
        agreed=pending.shown if pending.agreed else None,
    )


def refuse(pending: Pending, refusal: OAuthError) -> AnyResponse:
    """Tell the client no; the request is answered."""
    with database.writing():
        pending_requests.settle(pending_requests.hold(browser.unchanged(), pending.id))
    return lane.response(responses.refuse(pending.request.destination, refusal))


def address(pending: Pending) -> str:
    """Where the request goes on."""
    return f"/oauth2/authorize/{pending.id}"


def targets_of(asked: AuthorizeRequest) -> tuple[str, ...]:
    """Where forms on the way may lead, for their `form-action`."""
    return (redirect_addresses.source(asked.redirect_uri),)


def _go_on(asked: Asked, pending: Pending | None) -> AnyResponse:
    situation = interaction.look(asked, browser.current())
    if situation.need is Need.NOTHING and situation.session:
        return _answer(asked, pending, situation.session.user_id)
    if "none" in asked.request.prompt:
        raise REFUSALS[situation.need]
    return _detour(asked, pending, situation)


def _answer(asked: Asked, pending: Pending | None, user_id: str) -> AnyResponse:
    """The code, on its way to the client; round again, if something came between."""
    with database.writing():
        known = browser.unchanged()
        held = pending_requests.hold(known, pending.id) if pending else None
        code = interaction.conclude(asked, known, user_id)
        if held and code:
            pending_requests.settle(held)
    if code is None:
        return redirect(request.full_path, 303)
    return lane.response(responses.answer(asked.request.destination, {"code": code}))


def _detour(asked: Asked, pending: Pending | None, situation: Situation) -> AnyResponse:
    """To the page that asks for what is missing, with the request kept meanwhile."""
    with database.writing():
        known = browser.known_or_new()
        held = pending_requests.hold(known, pending.id) if pending else None
        if situation.session:
            lock(situation.session.user_id)  # before their browser, as everywhere: a sign-in may be all but done
        held = held or pending_requests.begin(known.id, asked.request, begun_at=asked.begun_at)
        if situation.need is Need.CONSENT:
            _show(held, situation)
            return redirect(f"{CONSENT}?txn={held.id}", 303)
        sign_in = _under_way(known, held, asked, situation) or _sign_in(known, held, asked, situation)
    return answers.onward(sign_in)


def _show(held: Pending, situation: Situation) -> None:
    if situation.question and situation.entered:
        context = situation.entered.context
        pending_requests.show(held, consent.to_show(situation.question, context.account_id if context else ""))


def _under_way(known: Browser, held: Pending, asked: Asked, situation: Situation) -> SignIn | None:
    """The sign-in that the person has begun already, if it is for the same."""
    sign_in = _sign_in_of(held)
    wanted = interaction.demand(asked, situation, targets=targets_of(asked.request))
    return sign_in if sign_in is not None and sign_in.outcome is None and sign_in.demand == wanted else None


def _sign_in(known: Browser, held: Pending, asked: Asked, situation: Situation) -> SignIn:
    wanted = interaction.demand(asked, situation, targets=targets_of(asked.request))
    begun = transactions.begin(known.id, wanted, return_to=address(held), application=asked.client.name)
    session = situation.session
    if session and (situation.need is Need.CONTEXT or wanted.person == session.user_id):
        begun = transactions.pick(begun, session.user_id, session.id)
    if asked.sign_in and asked.sign_in.organization_id and situation.need is Need.ENTRY:  # what was chosen stays chosen
        begun = transactions.choose(begun, asked.sign_in.organization_id, asked.sign_in.account_id or "")
    pending_requests.send_to_sign_in(held, begun.id)
    begun, cookie = attempts.go_on(begun, browser.locked())  # a browser that is trusted may be all it takes
    if cookie:
        browser.carry(known, cookie)
    return begun


def _sign_in_of(pending: Pending) -> SignIn | None:
    """The sign-in to which the person was sent last; `None` when it ran out, or there was none."""
    try:
        return transactions.find(browser.current(), pending.sign_in_id)
    except SignInOver:
        return None
