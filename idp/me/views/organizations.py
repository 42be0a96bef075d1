"""`/me/organizations`: where somebody belongs, as what, since when; and leaving."""

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.login.views import requires
from idp.me.views import frame
from idp.organizations import choices, locking, memberships, own_memberships, proven_addresses, roles
from idp.organizations.own_memberships import OwnMembership
from idp.organizations.ownership import OwnerStays
from idp.organizations.proven_addresses import NoOtherAddress
from idp.platform import database
from idp.platform.errors import NotFound
from idp.sessions.people import LiveSession

PATH = "/me/organizations"


def init(app: Flask) -> None:
    """Serve these pages in `app`."""
    app.add_url_rule(PATH, "me_organizations", show, methods=["GET"])
    app.add_url_rule(f"{PATH}/<slug>/leave", "me_leaving", ask, methods=["GET"])
    app.add_url_rule(f"{PATH}/<slug>/leave", "leave_organization", leave, methods=["POST"])


@requires.signed_in
def show(session: LiveSession) -> ResponseReturnValue:
    """The page."""
    after = request.args.get("after", "")
    found = own_memberships.of(session.user_id, after=after, limit=own_memberships.PAGE + 1)
    mine = found[: own_memberships.PAGE]
    held = {one.id: one.roles for one in choices.organizations_of(session.user_id)}
    return frame.page(
        session,
        "organizations",
        "me/organizations.html",
        just_done=frame.just_done(session),
        offers_ending=False,
        mine=mine,
        held=held,
        names=roles.names_in([one.organization_id for one in mine]),
        next=mine[-1].slug if len(found) > len(mine) else "",
        is_first=not after,
    )


@requires.recently_proven
def ask(session: LiveSession, slug: str) -> ResponseReturnValue:
    """What leaving takes from the person, before the button."""
    return _page(session, own_memberships.find(session.user_id, slug))


@requires.recently_proven
def leave(session: LiveSession, slug: str) -> ResponseReturnValue:
    """Leave. The owner stays. Whoever has left already is told that it is so: they pressed twice."""
    try:
        mine = own_memberships.find(session.user_id, slug)
    except NotFound:
        return redirect(PATH, 303)
    try:
        with database.writing():
            locking.lock(mine.organization_id)  # organizations before people
            requires.still_recent(session)
            memberships.remove(mine.organization_id, mine.id, by=Actor("user", session.user_id))
    except (OwnerStays, NoOtherAddress):
        return _page(session, own_memberships.find(session.user_id, slug), 409)
    except NotFound:  # another tab was faster
        return redirect(PATH, 303)
    return frame.done(session, "organization.left", PATH)


def _page(session: LiveSession, mine: OwnMembership, status: int = 200) -> ResponseReturnValue:
    """`managed`: addresses that stop counting; `is_stranded`: no other one recovers a password."""
    managed = proven_addresses.managed_by(session.user_id, mine.organization_id)
    recovers = proven_addresses.recovers_without(session.user_id, mine.organization_id)
    return frame.page(
        session,
        "organizations",
        "me/leave.html",
        status,
        organization=mine,
        managed=[one.address for one in managed],
        is_stranded=not recovers,
    )
