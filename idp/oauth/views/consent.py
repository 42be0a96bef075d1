"""`/consent`: what an application wants to do for a person, to be allowed or denied."""

from collections.abc import Iterable
from dataclasses import dataclass

from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as AnyResponse

from idp.clients.models import OPERATOR
from idp.clients.registered import RegisteredClient
from idp.login import contexts as names
from idp.login.views import answers, browser
from idp.login.views.browser import ForeignForm
from idp.oauth import claims, consent, interaction, pending_requests, scopes
from idp.oauth.consent import Shown
from idp.oauth.errors import AccessDenied, OAuthError
from idp.oauth.interaction import Asked
from idp.oauth.needs import Need
from idp.oauth.pending_requests import Pending
from idp.oauth.views import interaction as way
from idp.organizations.effective import Context
from idp.platform import database, i18n
from idp.platform.access import public
from idp.sessions import people
from idp.sessions.models import Browser
from idp.users import users

ALLOW, DENY = "allow", "deny"

_TICK = "scope:"
"""What the name of a field begins with that stands for a scope."""

KINDS = ("sign-in", "profile", "acting")
"""What a scope can be about, in the order shown."""


@dataclass(frozen=True)
class Line:
    """A scope as a line of the page: `words` say what it lets the application do."""

    name: str
    words: str
    is_optional: bool


@dataclass(frozen=True)
class Group:
    """Lines about the same thing; `kind`: one of `KINDS`."""

    kind: str
    lines: tuple[Line, ...]


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(way.CONSENT, "consent", show, methods=["GET"])
    app.add_url_rule(way.CONSENT, "consent_given", decide, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """The page, as it was decided that it has to be shown; else the way to whatever has to be asked instead."""
    pending = pending_requests.find(browser.current(), browser.transaction())
    shown = pending.shown
    if shown is None or not _is_asked(browser.current(), pending):
        return redirect(way.address(pending), 303)
    try:
        asked = way.asked_by(pending)
    except OAuthError:  # told to the client there
        return redirect(way.address(pending), 303)
    return _page(asked, shown)


@public
def decide() -> AnyResponse:
    """The person allows or denies. What was not shown to this very person in this browser counts for nothing."""
    decision, agreed = request.form.get("decision", ""), _ticked(request.form)
    with database.writing():
        known = browser.unchanged()
        held = pending_requests.hold(known, browser.transaction())
        if held.shown is None or not agreed <= set(held.shown.optional) or decision not in (ALLOW, DENY):
            raise ForeignForm
        if not held.agreed and not _is_asked(known, held):
            raise ForeignForm
        if decision == ALLOW and not held.agreed:
            _allow(known, held, held.shown, agreed)
    if decision == DENY:
        return way.refuse(held, AccessDenied("the person said no"))
    return redirect(way.address(held), 303)


def _ticked(form: Iterable[str]) -> frozenset[str]:
    """The scopes that stand in the form, each as a field of its own; nothing else in a form may be about scopes."""
    return frozenset(name.removeprefix(_TICK) for name in form if name.startswith("scope"))


def _allow(known: Browser, held: Pending, shown: Shown, agreed: frozenset[str]) -> None:
    """Note what is agreed to; nothing, if something else is wanted by now: then the page is shown anew, or the client
    is told why not, where the request goes on.
    """
    try:
        situation = interaction.look(way.asked_by(held), known)
    except OAuthError:
        return
    question = situation.question
    if situation.need is Need.CONSENT and question is not None and shown.answers(question):
        consent.give(question, declined=set(shown.optional) - agreed)
        pending_requests.agree(held)


def _is_asked(known: Browser | None, pending: Pending) -> bool:
    """Whether whom the page is for is here, and has not answered yet."""
    shown = pending.shown
    present = [one.user_id for one in people.in_browser(known)]
    return shown is not None and not pending.agreed and shown.user_id in present


def _page(asked: Asked, shown: Shown) -> Response:
    client = asked.client
    person = users.find(shown.user_id)
    account, organization = names.called(_context(shown)) if shown.organization_id else ("", "")
    return answers.page(
        "consent/consent.html",
        None,
        targets=way.targets_of(asked.request),
        id=browser.transaction(),
        client_name=_said(client, "client_name") or client.name,
        publisher="" if client.owner == OPERATOR else names.called(Context(client.owner))[1],
        person=users.display_name(person),
        username=person.username,
        organization_name=organization,
        account_name=account,
        returns_to=consent.host_of(asked.request.redirect_uri),
        groups=_groups(asked, shown),
        policy=_said(client, "policy_uri"),
        terms=_said(client, "tos_uri"),
    )


def _context(shown: Shown) -> Context:
    return Context(shown.organization_id, shown.account_id)


def _said(client: RegisteredClient, name: str) -> str:
    """What is registered for people to read, in their language if it is registered in that (RFC 7591 §2.2)."""
    return client.text(f"{name}#{i18n.locale()}") or client.text(name)


def _groups(asked: Asked, shown: Shown) -> list[Group]:
    lines = [
        Line(one.name, one.words, one.name in shown.optional) for one in scopes.shown(shown.scope, asked.audiences)
    ]
    groups = [Group(kind, tuple(line for line in lines if _kind(line.name) == kind)) for kind in KINDS]
    return [group for group in groups if group.lines]


def _kind(scope: str) -> str:
    if scope == scopes.OPENID:
        return "sign-in"
    return "profile" if scope in claims.OF_SCOPE else "acting"
