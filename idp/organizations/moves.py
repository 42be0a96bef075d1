"""Moving an account: offered by a super admin of the one organization, accepted by one of the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.organizations import account_groups, accounts, authority, grants, locking, memberships, scopes
from idp.organizations.effective import Context
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.models import BUILT_IN, AccountMove, Membership, Organization, Placement, RoleGrant
from idp.organizations.scopes import Scope
from idp.platform import clock, database
from idp.platform.errors import Conflict, Forbidden, Invalid, NotFound


@dataclass(frozen=True)
class CarriedOver:
    """What an accepted account keeps, by name: ids of its present grants, and groups of the new organization.

    A grant of a built-in role can be carried, to a person who is a member of the new organization or to an operator's
    API client. A custom role stays behind: its namesake there is another role.
    """

    grants: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def offer(organization_id: str, account_id: str, target_id: str, *, by: Actor) -> AccountMove:
    """Offer an account to another organization. Takes `accounts.move`; an account is offered to one at a time."""
    locking.lock_open(organization_id)
    authority.require(by, "accounts.move", Context(organization_id))
    scope = scopes.of_account(organization_id, account_id)
    if target_id == organization_id:
        raise Invalid("The account is in this organization already.", field="organization")
    before = _open(AccountMove.placement_id == scope.placement_id)
    if before is not None:
        if before.target_id != target_id:
            raise Conflict("The account is offered to another organization: withdraw that first.")
        return before
    move = AccountMove(
        organization_id=organization_id,
        placement_id=scope.placement_id,
        account_id=scope.account_id,
        target_id=_known(target_id),
        asked_by_kind=by.kind,
        asked_by=by.id,
    )
    database.session().add(move)
    database.session().flush()
    _record("account.move.offered", move, organization_id, by)
    return move


def withdraw(organization_id: str, move_id: str, *, by: Actor) -> None:
    """Take an offer back. Takes `accounts.move` in the organization that made it."""
    locking.lock(organization_id)
    authority.require(by, "accounts.move", Context(organization_id))
    _settle(_offered(AccountMove.organization_id == organization_id, move_id), "withdrawn", by)


def decline(organization_id: str, move_id: str, *, by: Actor) -> None:
    """Turn an offer down. Takes `accounts.move` in the organization that it was made to."""
    locking.lock(organization_id)
    authority.require(by, "accounts.move", Context(organization_id))
    _settle(_offered(AccountMove.target_id == organization_id, move_id), "declined", by)


def accept(
    organization_id: str, move_id: str, *, by: Actor, key: str = "", carried: CarriedOver | None = None
) -> Scope:
    """Take the offered account in, under its key or a new `key`. Takes `accounts.move` in the accepting organization.

    What was granted on it, its places in groups and open invitations to it end, but for what is `carried` over; that
    is given anew by `by`, who must be able to. The account's former stay is history. Raises `Conflict` when whoever
    offered it may not offer it any more.
    """
    source_id = _offered(AccountMove.target_id == organization_id, move_id).organization_id
    locking.lock_open(source_id, organization_id)
    authority.require(by, "accounts.move", Context(organization_id))
    move = _offered(AccountMove.target_id == organization_id, move_id)
    _require_still_offered(move)
    kept = carried or CarriedOver()
    wanted = _carried_grants(move, organization_id, kept.grants)
    before = scopes.of_grant(source_id, move.placement_id, None)
    key = key or database.session().get_one(Placement, move.placement_id).key
    _settle(move, "accepted", by)
    accounts.leave(before, by=by)
    _record("account.moved.away", move, source_id, by)
    scope = accounts.arrive(organization_id, before, key)
    _record("account.moved.in", move, organization_id, by)
    for group in kept.groups:
        account_groups.add(organization_id, group, [scope.account_id], by=by)
    grants.grant_many([_at(one, scope) for one in wanted], by=by)
    return scope


def _open(*conditions: ColumnElement[bool]) -> AccountMove | None:
    statement = select(AccountMove).where(AccountMove.outcome.is_(None), *conditions)
    return database.session().scalars(statement).first()


def _offered(side: ColumnElement[bool], move_id: str) -> AccountMove:
    move = _open(AccountMove.id == move_id, side)
    if move is None:
        raise NotFound("There is no such open offer.")
    return move


def _require_still_offered(move: AccountMove) -> None:
    """Who has lost the right to give the account away does not do so by what they prepared."""
    try:
        authority.require(Actor(move.asked_by_kind, move.asked_by), "accounts.move", Context(move.organization_id))
    except Forbidden as refusal:
        raise Conflict("Whoever offered the account may no longer do so: ask for another offer.") from refusal


def _known(organization_id: str) -> str:
    """By id alone: a slug could be guessed, and the answer would tell who is a customer."""
    if database.session().get(Organization, organization_id) is None:
        raise NotFound("There is no such organization.")
    return organization_id


def _settle(move: AccountMove, outcome: str, by: Actor) -> None:
    move.outcome, move.settled_by, move.settled_at = outcome, by.id, clock.now()
    database.session().flush()
    for side in (move.organization_id, move.target_id):
        _record(f"account.move.{outcome}", move, side, by)


def _record(event: str, move: AccountMove, organization_id: str, by: Actor) -> None:
    trail.record(event, by=by, subject=move.id, organization=organization_id, account=move.account_id)


def _carried_grants(move: AccountMove, organization_id: str, grant_ids: Sequence[str]) -> list[RoleGrant]:
    live = {one.id: one for one in grants.at_scope(move.organization_id, move.placement_id)}
    if unknown := set(grant_ids) - set(live):
        raise NotFound(f"There is no grant {min(unknown)!r} on this account.")
    return [live[grant_id] for grant_id in grant_ids]


def _at(one: RoleGrant, scope: Scope) -> Wanted:
    if one.team_id:
        raise Invalid("A grant to a team stays with the organization of the team.", field="grants")
    if one.role_owner != BUILT_IN:
        raise Invalid("A grant of a custom role stays with the organization of the role.", field="grants")
    grantee = Grantee("client", one.client_id or "")
    if one.member_id:
        user_id = database.session().get_one(Membership, one.member_id).user_id
        grantee = Grantee("member", memberships.of_user(scope.organization_id, user_id).id)
    return Wanted(grantee, one.role_key, scope, reason=one.reason, expires_at=one.expires_at)
