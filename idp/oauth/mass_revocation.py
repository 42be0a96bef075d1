"""Revoking by the armful: everything issued to one person or client, for one organization, or at all (INT-03).

However much it is, that is one statement a table, one entry in the trail and one in the change feed.
"""

from dataclasses import dataclass

from idp.audit import trail
from idp.audit.trail import Actor
from idp.feed import losses
from idp.keys import epoch
from idp.oauth import authorizations
from idp.sessions import people


@dataclass(frozen=True)
class Revoked:
    """How many authorizations and sessions ended."""

    authorizations: int
    sessions: int = 0


def of_person(user_id: str, *, by: Actor) -> Revoked:
    """End the sessions and authorizations of a person, and refuse what was issued because of them.

    These functions are called inside `database.writing()`. Nobody is disabled by them: signing in, consenting and
    client credentials go on as before, and bring new tokens.
    """
    sessions = people.end_all_of(user_id, because="revoked", by=by)
    ended = authorizations.end_unseen(user_id=user_id)
    losses.record("token", sub=user_id)
    return _told(Revoked(ended, sessions), user_id, by)


def of_client(client_id: str, *, by: Actor) -> Revoked:
    """End the authorizations of a client, and refuse its tokens, its own as a machine among them."""
    ended = authorizations.end_unseen(client_id=client_id)
    losses.record("token", client_id=client_id)
    return _told(Revoked(ended), client_id, by)


def of_organization(organization_id: str, *, by: Actor) -> Revoked:
    """End the authorizations for an organization, and refuse the tokens for it and its accounts, of machines too."""
    ended = authorizations.end_unseen(organization_id=organization_id)
    losses.record("token", org_id=organization_id)
    return _told(Revoked(ended), organization_id, by, organization_id)


def of_everybody(*, by: Actor) -> Revoked:
    """End every session and authorization, and begin a new epoch, which refuses every token there is."""
    sessions, ended = people.end_everybodys("revoked"), authorizations.end_unseen()
    epoch.new(by=by)
    return _told(Revoked(ended, sessions), "everybody", by)


def _told(revoked: Revoked, subject: str, by: Actor, organization_id: str | None = None) -> Revoked:
    trail.record("tokens.revoked", by=by, subject=subject, organization=organization_id, after=revoked)
    return revoked
