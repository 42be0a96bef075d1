"""Invitations: a link for one address, with roles; single use, 10 days, revocable, checked again when accepted.

The link is mailed to the invited address and shown to nobody else, for whoever opens it has proven that address.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import ColumnElement, CursorResult, select, update

from idp.audit import trail
from idp.audit.trail import Actor
from idp.organizations import (
    authority,
    grants,
    invitation_limits,
    invitation_words,
    locking,
    memberships,
    organizations,
    proven_addresses,
    scopes,
)
from idp.organizations.effective import Context
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.models import Invitation, InvitationGrant, Membership
from idp.organizations.scopes import Scope
from idp.platform import bearer, clock, database
from idp.platform.errors import Conflict, NotFound, Refusal
from idp.users import names

LIFETIME = 10 * clock.DAY
PREFIX = "cinv_"


class InvitationVoid(Refusal):
    """The link is unknown, used, revoked, too old, for another address, or its maker may no longer give the roles."""

    code = "invitation_void"
    status = 410
    title = "This invitation cannot be used"
    remedy = "Sign in with the invited address, or ask whoever invited you for a new invitation."


@dataclass(frozen=True)
class Offered:
    """A role at a scope that an invitation brings."""

    role: str
    scope: Scope


def invite(
    organization_id: str, address: str, offered: Sequence[Offered], *, by: Actor, message: str = ""
) -> tuple[Invitation, str]:
    """Invite whoever proves `address`, by a letter to it; the invitation, and the token of its link.

    Whoever has that token has proven the address: it is for the letter, and for the operator who asks for it. `message`
    is what the inviter writes (`invitation_words.message`). Takes `members.write` on the organization, or on every
    account that the roles are for; and being able to give each role. An open invitation to the same address that `by`
    could revoke is replaced: its link dies. The answer is the same whoever holds the address (INV-03).

    Raises `invitation_limits.TooManyInvitations`; the operator's are not limited.
    """
    locking.lock_open(organization_id)
    _require_may_invite(organization_id, offered, by)
    _require_assignable(organization_id, offered)
    parsed, words = names.parse_address(address), invitation_words.message(message)
    if not authority.is_unlimited(by):
        invitation_limits.require_room(organization_id, parsed.key, by=by)
    open_ones = _open(organization_id, Invitation.address_key == parsed.key)
    replaced = [before for before in open_ones if _could_revoke(before, by)]
    token = bearer.mint(PREFIX)
    invitation = _write(organization_id, parsed, token, by)
    _add_grants(invitation, offered)
    said = [{"role": one.role, "scope": one.scope.id} for one in offered]
    trail.record(
        "invitation.created",
        by=by,
        subject=invitation.id,
        organization=organization_id,
        after=said,
        email=parsed.mailbox,
    )
    for before in replaced:
        _replace(before, invitation, by)
    invitation_words.post(invitation, token, words)
    return invitation, token


def _write(organization_id: str, address: names.EmailAddress, token: str, by: Actor) -> Invitation:
    row = Invitation(
        organization_id=organization_id,
        address=address.mailbox,
        address_key=address.key,
        token_digest=bearer.digest(token),
        invited_by_kind=by.kind,
        invited_by=by.id,
        expires_at=clock.now() + LIFETIME,
    )
    database.session().add(row)
    database.session().flush()
    return row


def resend(organization_id: str, invitation_id: str, *, by: Actor, message: str = "") -> tuple[Invitation, str]:
    """Invite the same address to the same roles anew, by `by`; see `invite`. The old link dies, also one that expired.

    What was written before is not kept. Raises `Conflict` for an invitation that was accepted, revoked or replaced.
    """
    locking.lock_open(organization_id)
    before = find(organization_id, invitation_id)
    if before.outcome is not None:
        raise Conflict("This invitation is settled: invite anew.")
    offered = [Offered(*one) for one in _wanted(before)]
    invitation, token = invite(organization_id, before.address, offered, by=by, message=message)
    if before.outcome is None:
        _replace(before, invitation, by)
    return invitation, token


def presented(token: str) -> Invitation:
    """The invitation whose link this is, while it could be accepted by the right person. Raises `InvitationVoid`.

    Changes nothing, so that whatever opens links in mails on the way may look (RST-04).
    """
    return standing(_presented(token).id)


def standing(invitation_id: str) -> Invitation:
    """The invitation with that id, while it could be accepted by the right person. Raises `InvitationVoid`."""
    found = database.session().get(Invitation, invitation_id, populate_existing=True)
    if found is None or found.outcome is not None or found.expires_at <= clock.now():
        raise InvitationVoid
    _require_stands(found)
    return found


def joined_by(token: str, user_id: str) -> str | None:
    """The id of the organization in which the person is by the invitation whose link this is, if they are."""
    mine = (
        select(Membership.organization_id)
        .join(Invitation, Invitation.member_id == Membership.id)
        .where(
            Invitation.token_digest == bearer.digest(token),
            Invitation.outcome == "accepted",
            Membership.user_id == user_id,
            Membership.ended_at.is_(None),
        )
    )
    return database.session().scalar(mine)


def roles_brought(invitation: Invitation) -> list[tuple[str, str]]:
    """The key and id of each role that the invitation brings, wherever."""
    brought = select(InvitationGrant.role_key, InvitationGrant.role_id)
    rows = database.session().execute(brought.where(InvitationGrant.invitation_id == invitation.id))
    return sorted({(key, id) for key, id in rows})


def accept(token: str, *, by: Actor) -> Membership:
    """As `accept_one`, by the token of its link."""
    return accept_one(_presented(token), by=by)


def accept_one(invitation: Invitation, *, by: Actor) -> Membership:
    """The person `by` joins: with the invited address proven, once, while its maker may still give the roles.

    What else joining takes of them, their caller has seen to (`login.joining`). Raises `InvitationVoid` for every
    reason why not; then the invitation is as it was.
    """
    organization_id = invitation.organization_id
    locking.lock(organization_id)
    _spend(invitation)
    if by.kind != "user" or not proven_addresses.has_proven(by.id, invitation.address_key, organization_id):
        raise InvitationVoid
    if _was_removed_since(invitation, by.id):
        raise InvitationVoid
    maker = Actor(invitation.invited_by_kind, invitation.invited_by)
    if maker == by:
        raise InvitationVoid("Nobody can accept an invitation of their own.")
    _require_stands(invitation)
    member = _join(organization_id, by)
    grantee = Grantee("member", member.id)
    wanted = [Wanted(grantee, role, scope) for role, scope in _wanted(invitation)]
    grants.grant_many(wanted, by=maker, source="invitation")
    invitation.member_id = member.id
    trail.record("invitation.accepted", by=by, subject=invitation.id, organization=organization_id, after=member.id)
    return member


def revoke(organization_id: str, invitation_id: str, *, by: Actor) -> None:
    """Void an open invitation; a settled one stays as it is. Takes what making it took."""
    locking.lock(organization_id)
    invitation = find(organization_id, invitation_id)
    _require_may_invite(organization_id, [Offered(*one) for one in _wanted(invitation)], by)
    if invitation.outcome is None:
        _revoke(invitation, by)


def revoke_for(scope: Scope, *, by: Actor) -> None:
    """Void the open invitations that bring a role at `scope`: it is going away."""
    where = (
        InvitationGrant.placement_id == scope.placement_id
        if scope.placement_id
        else InvitationGrant.account_group_id == scope.account_group_id
    )
    named = select(InvitationGrant.invitation_id).where(where)
    for invitation in _open(scope.organization_id, Invitation.id.in_(named)):
        _revoke(invitation, by)


def revoke_for_role(organization_id: str, role_id: str, *, by: Actor) -> None:
    """Void the open invitations that bring this role: it is going away."""
    named = select(InvitationGrant.invitation_id).where(InvitationGrant.role_id == role_id)
    for invitation in _open(organization_id, Invitation.id.in_(named)):
        _revoke(invitation, by)


def revoke_all(*, by: Actor) -> int:
    """Void every open invitation, and tell each organization's trail; how many it were. For restored backups."""
    everyones = database.session().scalars(select(Invitation).where(Invitation.outcome.is_(None))).all()
    for invitation in everyones:
        _revoke(invitation, by)
    return len(everyones)


def find(organization_id: str, invitation_id: str) -> Invitation:
    """The invitation of this organization, settled or not. Raises `NotFound`."""
    statement = select(Invitation).where(Invitation.organization_id == organization_id, Invitation.id == invitation_id)
    found = database.session().scalars(statement).first()
    if found is None:
        raise NotFound("There is no such invitation.")
    return found


def in_organization(organization_id: str) -> Sequence[Invitation]:
    """The open invitations of this organization, oldest first."""
    return _open(organization_id)


def _require_may_invite(organization_id: str, offered: Sequence[Offered], by: Actor) -> None:
    """`members.write` on the organization; or on each account, when every role is for one."""
    if any(one.scope.organization_id != organization_id for one in offered):
        raise NotFound("There is no such scope in this organization.")
    whole = Context(organization_id)
    contexts = {one.scope.context if one.scope.account_id else whole for one in offered} or {whole}
    for context in sorted(contexts, key=str):
        authority.require(by, "members.write", context)
    known = grants.roles_of(organization_id, {one.role for one in offered})
    for one in offered:
        authority.require_may_grant(by, known[one.role], one.scope)


def _require_stands(invitation: Invitation) -> None:
    """Raise `InvitationVoid` unless the organization takes people in, and its maker may still give what it brings."""
    maker = Actor(invitation.invited_by_kind, invitation.invited_by)
    if organizations.suspension_of(invitation.organization_id) is not None:
        raise InvitationVoid
    offered = [Offered(*one) for one in _wanted(invitation)]
    try:
        _require_may_invite(invitation.organization_id, offered, maker)
        _require_assignable(invitation.organization_id, offered)
    except Refusal as refusal:
        raise InvitationVoid from refusal


def _require_assignable(organization_id: str, offered: Sequence[Offered]) -> None:
    known = grants.roles_of(organization_id, {one.role for one in offered})
    for one in offered:
        grants.require_assignable(known[one.role], one.scope)


def _could_revoke(invitation: Invitation, by: Actor) -> bool:
    try:
        _require_may_invite(invitation.organization_id, [Offered(*one) for one in _wanted(invitation)], by)
    except Refusal:
        return False
    return True


def _was_removed_since(invitation: Invitation, user_id: str) -> bool:
    """Whether the person was taken out of the organization after the invitation was made: it does not undo that."""
    removed = select(Membership.id).where(
        Membership.organization_id == invitation.organization_id,
        Membership.user_id == user_id,
        Membership.ended_at >= invitation.created_at,
    )
    return database.session().execute(removed).first() is not None


def _open(organization_id: str, *conditions: ColumnElement[bool]) -> Sequence[Invitation]:
    statement = select(Invitation).where(
        Invitation.organization_id == organization_id,
        Invitation.outcome.is_(None),
        Invitation.expires_at > clock.now(),
        *conditions,
    )
    return database.session().scalars(statement.order_by(Invitation.id)).all()


def _settle(invitation: Invitation, outcome: str) -> None:
    invitation.outcome, invitation.settled_at = outcome, clock.now()


def _revoke(invitation: Invitation, by: Actor) -> None:
    _settle(invitation, "revoked")
    trail.record("invitation.revoked", by=by, subject=invitation.id, organization=invitation.organization_id)


def _replace(before: Invitation, after: Invitation, by: Actor) -> None:
    _settle(before, "replaced")
    trail.record("invitation.replaced", by=by, subject=before.id, organization=before.organization_id, after=after.id)


def _presented(token: str) -> Invitation:
    statement = select(Invitation).where(Invitation.token_digest == bearer.digest(token))
    found = database.session().scalars(statement).first()
    if found is None:
        raise InvitationVoid
    return found


def _spend(invitation: Invitation) -> None:
    """Settle it as accepted, if it is still open: of two acceptances at once the database lets one through."""
    database.session().flush()
    result = database.session().execute(
        update(Invitation)
        .where(Invitation.id == invitation.id, Invitation.outcome.is_(None), Invitation.expires_at > clock.now())
        .values(outcome="accepted", settled_at=clock.now())
    )
    if cast("CursorResult[object]", result).rowcount != 1:
        raise InvitationVoid
    database.session().refresh(invitation)


def _add_grants(invitation: Invitation, offered: Sequence[Offered]) -> None:
    known = grants.roles_of(invitation.organization_id, {one.role for one in offered})
    for one in offered:
        database.session().add(
            InvitationGrant(
                organization_id=invitation.organization_id,
                invitation_id=invitation.id,
                role_owner=known[one.role].owner,
                role_id=known[one.role].id,
                role_key=one.role,
                placement_id=one.scope.placement_id or None,
                account_group_id=one.scope.account_group_id or None,
            )
        )


def _wanted(invitation: Invitation) -> list[tuple[str, Scope]]:
    rows = database.session().scalars(
        select(InvitationGrant).where(InvitationGrant.invitation_id == invitation.id).order_by(InvitationGrant.id)
    )
    return [
        (row.role_key, scopes.of_grant(invitation.organization_id, row.placement_id, row.account_group_id))
        for row in rows
    ]


def _join(organization_id: str, by: Actor) -> Membership:
    """The person's membership, made or accepted; a suspended one stays suspended, and the invitation void."""
    if by.id not in memberships.of_users(organization_id, [by.id]):
        memberships.take_in(organization_id, [NewMember(by.id)], by=by, source="invitation")
    member = memberships.of_user(organization_id, by.id)
    if memberships.status_of(member) == "suspended":
        raise InvitationVoid
    return memberships.accept(organization_id, by=by)
