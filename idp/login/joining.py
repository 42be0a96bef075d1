"""Joining an organization by an invitation: whose it is, what they show first, and that it is done once.

Whoever opens the link reads the mail of the invited address: the link proves it, and it is the address of nobody but
the one who accepts. A membership begins only when everything was shown that entering anything there will take.
"""

from collections.abc import Iterable

from idp.audit.trail import Actor
from idp.login import changing_addresses, entering, shown_links, signing_up
from idp.login.demands import Demand
from idp.login.entering import Evidence
from idp.login.signing_up import Newcomer
from idp.organizations import domains, invitation_words, invitations, locking, proven_addresses, strictest
from idp.organizations.invitation_words import PATH
from idp.organizations.invitations import InvitationVoid
from idp.organizations.models import Invitation
from idp.platform import i18n
from idp.platform.errors import Forbidden
from idp.sessions import people
from idp.sessions.models import Browser
from idp.sessions.people import LiveSession
from idp.users import addresses, names, users
from idp.users.locks import lock
from idp.users.models import Address

HOME = "/me/organizations"
"""Where people see what they may do, once they are in."""


class CompanySignInOnly(Forbidden):
    """The organization takes in nobody who does not come by the sign-in of a company that it knows."""

    code = "sso_required"
    title = "This organization takes the sign-in of your company only"
    remedy = "Ask whoever invited you how to get in."


def find(presented: str, known: Browser | None) -> Invitation:
    """The invitation that `presented` opens: the token of its link, or what stands for it in this browser.

    Raises `InvitationVoid`, alike for what is unknown, used, revoked, too old or void for another reason.
    """
    id = shown_links.named(presented)
    if not id:
        return invitations.presented(presented)
    found = invitations.standing(id)
    if known is None or not shown_links.is_genuine(presented, found.token_digest, known.id):
        raise InvitationVoid
    return found


def way_back(invitation: Invitation, known: Browser) -> str:
    """The address of the invitation in this browser, which has shown its link."""
    return f"{PATH}/{shown_links.handle(invitation.id, invitation.token_digest, known.id)}"


# Whose it is


def whose(invitation: Invitation, present: Iterable[LiveSession]) -> LiveSession | None:
    """The session among these whose person can accept, if there is one."""
    return next((one for one in present if may_accept(one.user_id, invitation)), None)


def may_accept(user_id: str, invitation: Invitation) -> bool:
    """Whether the invited address is the person's: proven, or held by them and proven by the link that they opened."""
    mine = _held_by(user_id, invitation)
    return mine is not None and (
        proven_addresses.has_proven(user_id, invitation.address_key, invitation.organization_id)
        or (mine.verified_at is None and _is_provable(invitation))
    )


def holder(invitation: Invitation) -> str:
    """The id of the person who has proven the invited address, empty for nobody."""
    held = addresses.held(invitation.address)
    return held.user_id if held is not None and may_accept(held.user_id, invitation) and held.verified_at else ""


def may_be_made(invitation: Invitation) -> bool:
    """Whether somebody new can have the invited address: it counts for nobody, and will for them."""
    return proven_addresses.holder(invitation.address_key) is None and _is_provable(invitation)


def _held_by(user_id: str, invitation: Invitation) -> Address | None:
    return next((one for one in addresses.of(user_id) if one.address_key == invitation.address_key), None)


def _is_provable(invitation: Invitation) -> bool:
    """Whether proving the address would do: it lies in no domain of another organization (`proven_addresses`)."""
    domain = names.parse_address(invitation.address).domain
    return domains.holder_of(domain) in (None, invitation.organization_id)


# What it takes


def demand(invitation: Invitation, user_id: str, shown: Evidence) -> Demand | None:
    """What has to be shown yet of the person, `None` where it suffices. `user_id` may be empty.

    Raises `CompanySignInOnly`.
    """
    brought = invitations.roles_brought(invitation)
    takes = strictest.of_joining(user_id, invitation.organization_id, brought)
    lacking = entering.judge_by(takes, shown).lacking
    if lacking is None:
        return None
    if not lacking.can_be_proven:
        raise CompanySignInOnly
    return Demand(
        max_age=lacking.max_age,
        least=lacking.least,
        methods=lacking.methods,
        spares=lacking.spares,
        person=user_id,
        login_hint=invitation.address,
        organizations=(invitation.organization_id,),
    )


def demand_of_anybody(invitation: Invitation, user_id: str) -> Demand:
    """What a sign-in asks that leads to the invitation: of that person, or (empty) of whoever comes.

    Raises `CompanySignInOnly`.
    """
    wanted = demand(invitation, user_id, Evidence(())) if user_id else None
    hosts = (invitation.organization_id,)
    return wanted or Demand(login_hint=invitation.address, person=user_id, organizations=hosts)


# Each of these is called inside `database.writing()`


def join(presented: str, session_id: str, known: Browser) -> Demand | None:
    """Let the person of that session accept, once, and be in; or say what has to be shown yet: then nobody is.

    An address that they hold and never proved is proven now. Raises `InvitationVoid`, `CompanySignInOnly`, and
    `NotFound` where the session has ended.
    """
    locking.lock(find(presented, known).organization_id)
    session = _held(known, session_id)
    invitation, by = find(presented, known), Actor("user", session.user_id)
    mine = _held_by(session.user_id, invitation)
    if mine is None or not may_accept(session.user_id, invitation):
        raise InvitationVoid
    if mine.verified_at is None:
        changing_addresses.prove(session.user_id, invitation.address, by=by)
    wanted = demand(invitation, session.user_id, Evidence(session.proofs, session.pause))
    if wanted is None:
        invitations.accept_one(invitation, by=by)
        invitation_words.post_joined(invitation, users.find(session.user_id), HOME)
    return wanted


def prepared(invitation: Invitation, name: str, password: str) -> Newcomer:
    """What somebody new says of themselves; outside of `database.writing()`. Raises `Invalid` and `TooBusy`."""
    invited = signing_up.Invited(invitation.address, "", "", i18n.locale())
    return signing_up.prepared(invited, name, password)


def make(presented: str, newcomer: Newcomer, known: Browser) -> tuple[Invitation, str]:
    """Make the person who will accept, with the invited address proven; the invitation, and the person's id.

    Nobody has joined yet. Raises `InvitationVoid`, and `AddressTaken` where the address counts for somebody.
    """
    locking.lock(find(presented, known).organization_id)
    invitation = find(presented, known)
    if not may_be_made(invitation):
        raise addresses.AddressTaken
    return invitation, signing_up.make_holder(invitation.address, newcomer)


def _held(known: Browser, session_id: str) -> LiveSession:
    """The session, its person locked. Raises `NotFound` where it has ended meanwhile."""
    lock(people.find(known, session_id).user_id)
    return people.find(known, session_id)
