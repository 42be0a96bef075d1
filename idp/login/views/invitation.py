"""`/invitations/<token>`: an invitation, shown to whoever has its link, and accepted by whose address it is for.

Looking changes nothing and tells nothing of those that cannot be used (RST-04, INV-01). Signing in leads back here, by
what stands for the link in this browser (`login.shown_links`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import wraps
from urllib.parse import urlencode

from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue

from idp.credentials.hashing import TooBusy
from idp.login import attempts, contexts, joining, transactions
from idp.login.contexts import Offer, Question
from idp.login.demands import Demand
from idp.login.joining import CompanySignInOnly
from idp.login.signing_up import Newcomer
from idp.login.transactions import SignIn
from idp.login.views import answers, arriving, branding, browser, requires
from idp.login.views.identifier import Candidate, candidate
from idp.organizations import choices, invitation_words, invitations
from idp.organizations.invitation_words import PATH
from idp.organizations.invitations import InvitationVoid
from idp.organizations.models import Invitation
from idp.platform import clock, correlation, database
from idp.platform.access import public
from idp.platform.errors import Invalid, NotFound, Refusal
from idp.platform.settings import settings
from idp.sessions import people
from idp.sessions.people import LiveSession
from idp.sessions.proofs import Proof
from idp.users.addresses import AddressTaken

JOINED = f"{PATH}/joined"
SIGN_IN = "sign_in"

View = Callable[[str], ResponseReturnValue]


@dataclass(frozen=True)
class Place:
    """The organization, or an account of it, and the names of the roles that are held there."""

    name: str
    roles: tuple[str, ...]
    is_account: bool = False
    livemode: bool = True


def init(app: Flask) -> None:
    """Serve these pages in `app`."""
    app.add_url_rule(JOINED, "invitation_joined", joined, methods=["GET"])
    app.add_url_rule(f"{PATH}/<token>", "invitation", show, methods=["GET"])
    app.add_url_rule(f"{PATH}/<token>", "invitation_accept", accept, methods=["POST"])
    app.add_url_rule(f"{PATH}/<token>/account", "invitation_account", show_account, methods=["GET"])
    app.add_url_rule(f"{PATH}/<token>/account", "invitation_account_make", make_account, methods=["POST"])


def _of_an_invitation(view: View) -> View:
    """What all of these have in common: their address is a secret, and void ones cannot be told apart, but by whoever
    has joined by them: they are where they want to be.
    """

    @wraps(view)
    def guarded(token: str) -> ResponseReturnValue:
        try:
            return view(token)
        except InvitationVoid as void:
            session = browser.signed_in()
            joined_by = invitations.joined_by(token, session.user_id) if session else None
            return _joined(joined_by) if joined_by else _void_page(void)

    return public(browser.secretly_addressed(guarded))


@_of_an_invitation
def show(token: str) -> ResponseReturnValue:
    """Who invites whom to what; and one button."""
    invitation = joining.find(token, browser.current())
    arriving.begin_browser()
    return _page(token, invitation)


@_of_an_invitation
def accept(token: str) -> ResponseReturnValue:
    """The button was pressed: in, if the right person was shown and has shown enough; else on the way."""
    invitation = joining.find(token, browser.current())
    session = joining.whose(invitation, people.in_browser(browser.current()))
    if session is None or request.form.get("way") == SIGN_IN:
        is_new = request.form.get("way") != SIGN_IN and not joining.holder(invitation)
        if is_new and joining.may_be_made(invitation):
            return redirect(f"{PATH}/{token}/account", 303)
        return _to_sign_in(token, invitation)
    if request.form.get("person") != session.id:  # shown to somebody else, or to nobody
        return redirect(f"{PATH}/{token}", 303)
    return _join(token, invitation.organization_id, session)


@_of_an_invitation
def show_account(token: str) -> ResponseReturnValue:
    """Who somebody is who was invited and is not known here."""
    invitation = joining.find(token, browser.current())
    if not _is_for_somebody_new(invitation):
        return redirect(f"{PATH}/{token}", 303)
    arriving.begin_browser()
    return _account_page(token, invitation)


@_of_an_invitation
def make_account(token: str) -> ResponseReturnValue:
    """Name and password were given: there is a person now, who shows what the organization takes, and then joins."""
    invitation = joining.find(token, browser.current())
    if not _is_for_somebody_new(invitation):
        return redirect(f"{PATH}/{token}", 303)
    try:
        newcomer = joining.prepared(invitation, arriving.one_value("name"), arriving.one_value("password"))
        with database.writing():
            settled, cookie = _made(token, newcomer)
    except AddressTaken:
        return redirect(f"{PATH}/{token}", 303)
    except CompanySignInOnly as refusal:
        return _page(token, invitation, refusal)
    except (Invalid, TooBusy) as refusal:
        return _account_page(token, invitation, refusal)
    if cookie:
        browser.carry(browser.known_or_new(), cookie)
    return answers.onward(settled)


@requires.signed_in
def joined(session: LiveSession) -> ResponseReturnValue:
    """What the person is now where they have just joined, and where to go."""
    id = request.args.get("organization", "")
    mine = next((one for one in choices.organizations_of(session.user_id) if one.id == id), None)
    if mine is None:
        return redirect(joining.HOME, 303)
    within = Demand(context="any", organizations=(id,))
    (offer,) = contexts.offers(session.user_id, within, Question(organization=mine.slug))
    here, places = branding.of(id), tuple(_places(offer))
    return answers.page("login/invitation_joined.html", None, organization=here, places=places, home=joining.HOME)


def _places(offer: Offer) -> Iterator[Place]:
    """The organization, and the accounts in which the person is more than in all of it."""
    if offer.organization.roles:
        yield Place(offer.organization.name, _called(offer, offer.organization.roles))
    for one in offer.accounts:
        if one.account_roles:
            yield Place(one.name, _called(offer, one.account_roles), is_account=True, livemode=one.livemode)


def _called(offer: Offer, keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(offer.names.get(key, key) for key in keys)


def _join(token: str, organization_id: str, session: LiveSession) -> ResponseReturnValue:
    try:
        with database.writing():
            wanted = joining.join(token, session.id, browser.unchanged())
            asked = _to_show_more(token, session, wanted) if wanted else None
            people.come_forward(session)
    except NotFound:  # signed out in another tab meanwhile
        return redirect(f"{PATH}/{token}", 303)
    except CompanySignInOnly as refusal:
        return _page(token, joining.find(token, browser.current()), refusal)
    if asked:
        return answers.onward(asked)
    return _joined(organization_id)


def _joined(organization_id: str) -> ResponseReturnValue:
    return redirect(f"{JOINED}?{urlencode({'organization': organization_id})}", 303)


def _to_show_more(token: str, session: LiveSession, wanted: Demand) -> SignIn:
    known = browser.unchanged()
    begun = transactions.begin(known.id, wanted, return_to=joining.way_back(joining.find(token, known), known))
    return transactions.pick(begun, session.user_id, session.id)


def _to_sign_in(token: str, invitation: Invitation) -> ResponseReturnValue:
    """To the password of whose address it is, or to saying who one is; and back to the invitation."""
    try:
        with database.writing():
            begun = _begun(token)
    except CompanySignInOnly as refusal:
        return _page(token, invitation, refusal)
    return answers.onward(begun)


def _begun(token: str) -> SignIn:
    known = browser.locked()
    invitation = joining.find(token, known)
    user_id = joining.holder(invitation)
    demand = joining.demand_of_anybody(invitation, user_id)
    begun = transactions.begin(known.id, demand, return_to=joining.way_back(invitation, known))
    return transactions.name(begun, invitation.address, user_id) if user_id else begun


def _made(token: str, newcomer: Newcomer) -> tuple[SignIn, str]:
    """The sign-in of the person who was made, as it stands then, and the browser's new token."""
    known = browser.unchanged()
    invitation, user_id = joining.make(token, newcomer, known)
    locked = browser.locked()
    demand = joining.demand_of_anybody(invitation, user_id)
    begun = transactions.begin(locked.id, demand, return_to=joining.way_back(invitation, locked))
    named = transactions.name(begun, invitation.address, user_id)
    return attempts.proven(named, Proof("password", clock.now()), locked)


def _is_for_somebody_new(invitation: Invitation) -> bool:
    """Whether a person may be made for it, and whoever is in this browser is not already the one."""
    present = joining.whose(invitation, people.in_browser(browser.current()))
    return present is None and joining.may_be_made(invitation)


def _page(token: str, invitation: Invitation, refusal: Refusal | None = None) -> Response:
    present = people.in_browser(browser.current())
    session = joining.whose(invitation, present)
    mine = candidate(session.id, session.user_id) if session else None
    return answers.page(
        "login/invitation.html",
        None,
        refusal.status if refusal else 200,
        organization=branding.of(invitation.organization_id),
        action=f"{PATH}/{token}",
        said=invitation_words.said(invitation),
        mine=mine,
        others=[] if mine else [candidate(one.id, one.user_id) for one in present],
        refusal=refusal,
    )


def _account_page(token: str, invitation: Invitation, refusal: Refusal | None = None) -> Response:
    return answers.password_form(
        "login/invitation_account.html",
        None,
        refusal,
        organization=branding.of(invitation.organization_id),
        action=f"{PATH}/{token}",
        shown_as=invitation.address,
        around=arriving.Around(is_other=False, others=_others()),
        name=request.form.get("name", ""),
        shortest=settings().password_length,
    )


def _others() -> list[Candidate]:
    return [candidate(one.id, one.user_id) for one in people.in_browser(browser.current())]


def _void_page(void: InvitationVoid) -> Response:
    reference = correlation.current().request_id
    return answers.page("login/invitation_void.html", None, void.status, reference=reference)
