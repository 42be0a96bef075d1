"""Role grants: given by somebody who may, ended by somebody who administers the scope. Ended, never edited."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.clients.models import OPERATOR, Client
from idp.feed import losses
from idp.organizations import authority, gains, locking, policies, scopes
from idp.organizations.conditions import is_open_after
from idp.organizations.models import BUILT_IN, Membership, Role, RoleGrant, Team, TeamMember
from idp.organizations.scopes import Scope
from idp.platform import bulk, clock, database, identifiers
from idp.platform.errors import Invalid, NotFound

MANY = 100
"""A loss that reaches more people than this is told once for the role, not for each of them."""


@dataclass(frozen=True)
class Grantee:
    """Who gets a role: `kind` is `member`, `team` or `client`."""

    kind: str
    id: str


@dataclass(frozen=True)
class Wanted:
    """A grant to be made. `expires_at`: microseconds UTC, or `None`; `reason`: for the people who read the trail."""

    grantee: Grantee
    role: str
    scope: Scope
    reason: str = ""
    expires_at: int | None = None


def grant(wanted: Wanted, *, by: Actor, source: str = "manual") -> RoleGrant:
    """Make one grant, or leave the one that says the same already. See `grant_many`."""
    grant_many([wanted], by=by, source=source)
    return live(wanted, source)


def grant_many(wanted: Sequence[Wanted], *, by: Actor, source: str = "manual") -> int:
    """Make the grants that are not there yet, all in one organization; how many were made.

    A live grant with another expiry is ended and made anew. Raises `NotFound` for a role or grantee that is not the
    organization's, `Invalid` for a role that is not assignable at the scope, or is wanted twice with two expiries,
    `authority.MayNotGrant` beyond what `by` may give, `gains.WouldGain` when `by` would hold what they lacked. Then
    nothing has changed.
    """
    if not wanted:
        return 0
    organization_id = _the_only(one.scope.organization_id for one in wanted)
    locking.lock_open(organization_id)
    known = roles_of(organization_id, {one.role for one in wanted})
    owners = _require_grantees(organization_id, {one.grantee for one in wanted})
    _require_may(wanted, known, by)
    with gains.refused(by, organization_id):
        return _make(_distinct(wanted), known, owners, by=by, source=source)


def end(organization_id: str, grant_id: str, *, by: Actor) -> None:
    """End a grant; ending an ended one changes nothing. Takes `members.write` at its scope.

    Raises `NotFound` for a grant of another organization.
    """
    locking.lock(organization_id)
    found = find(organization_id, grant_id)
    authority.require(by, "members.write", scope_of(found).context)
    if found.ended_at is None:
        end_all([found], by=by)


def end_all(grants: Collection[RoleGrant], *, by: Actor, silent: bool = False) -> None:
    """End `grants` without asking who may: for rules that take away what the grants stand on.

    `silent`: that rule records the loss itself.
    """
    for one in grants:
        one.end()
        trail.record("grant.ended", by=by, subject=one.id, organization=one.organization_id, before=_said(one))
    if not silent:
        for one in grants:
            _lose(one)


def find(organization_id: str, grant_id: str) -> RoleGrant:
    """The grant of this organization, ended or not. Raises `NotFound`."""
    statement = select(RoleGrant).where(RoleGrant.organization_id == organization_id, RoleGrant.id == grant_id)
    found = database.session().scalars(statement).first()
    if found is None:
        raise NotFound("There is no such grant.")
    return found


def live(wanted: Wanted, source: str) -> RoleGrant:
    """The live grant that says `wanted`, from `source`. Raises `NotFound`."""
    statement = select(RoleGrant).where(
        RoleGrant.organization_id == wanted.scope.organization_id,
        RoleGrant.grantee == wanted.grantee.id,
        RoleGrant.scope == wanted.scope.id,
        RoleGrant.role_key == wanted.role,
        RoleGrant.source == source,
        RoleGrant.ended_at.is_(None),
    )
    found = database.session().scalars(statement).first()
    if found is None:
        raise NotFound("There is no such grant.")
    return found


def of_grantee(organization_id: str, grantee_id: str) -> Sequence[RoleGrant]:
    """The live grants of a member, team or client in this organization, oldest first."""
    statement = select(RoleGrant).where(
        RoleGrant.organization_id == organization_id, RoleGrant.grantee == grantee_id, RoleGrant.ended_at.is_(None)
    )
    return database.session().scalars(statement.order_by(RoleGrant.id)).all()


def roles_lost(user_id: str, since: int) -> Sequence[Role]:
    """The roles that the person had by a grant, to them or to a team of theirs, that ended or expired after `since`;
    those of grants that still stand may be among them.
    """
    mine = select(Membership.id).where(Membership.user_id == user_id)
    teams = select(TeamMember.team_id).where(TeamMember.member_id.in_(mine), is_open_after(TeamMember, since))
    had = (
        select(RoleGrant.role_id)
        .where(or_(RoleGrant.member_id.in_(mine), RoleGrant.team_id.in_(teams)))
        .where(is_open_after(RoleGrant, since), or_(RoleGrant.expires_at.is_(None), RoleGrant.expires_at > since))
    )
    return database.session().scalars(select(Role).where(Role.id.in_(had))).all()


def at_scope(organization_id: str, scope_id: str) -> Sequence[RoleGrant]:
    """The live grants at a scope of this organization (an organization, group or placement id), oldest first."""
    statement = select(RoleGrant).where(
        RoleGrant.organization_id == organization_id, RoleGrant.scope == scope_id, RoleGrant.ended_at.is_(None)
    )
    return database.session().scalars(statement.order_by(RoleGrant.id)).all()


def scope_of(one: RoleGrant) -> Scope:
    """The scope of a grant, for questions of authority."""
    return scopes.of_grant(one.organization_id, one.placement_id, one.account_group_id)


def roles_of(organization_id: str, keys: Collection[str]) -> dict[str, Role]:
    """Roles by key: built-in, or this organization's own. Raises `NotFound` naming the first that is neither."""
    statement = select(Role).where(
        Role.owner.in_([BUILT_IN, organization_id]), Role.key.in_(keys), Role.ended_at.is_(None)
    )
    known = {role.key: role for role in database.session().scalars(statement)}
    for key in sorted(keys):
        if key not in known:
            raise NotFound(f"There is no role {key!r} in this organization.")
    return known


def require_assignable(role: Role, scope: Scope) -> None:
    """Raise `Invalid` unless the role may be given at scopes of that kind."""
    if not (role.at_organization if scope.id == scope.organization_id else role.at_account):
        level = "an organization" if scope.id == scope.organization_id else "an account"
        raise Invalid(f"The role {role.key} cannot be given on {level}.", field="role")


def people_of(one: RoleGrant) -> list[str]:
    """The `sub` of everybody whom the grant reaches: the member, the team's members, or the client."""
    if one.client_id:
        return [one.client_id]
    statement = select(Membership.user_id).where(Membership.organization_id == one.organization_id)
    if one.member_id:
        statement = statement.where(Membership.id == one.member_id)
    else:
        statement = statement.join(TeamMember, TeamMember.member_id == Membership.id).where(
            TeamMember.team_id == one.team_id, TeamMember.ended_at.is_(None)
        )
    return list(database.session().scalars(statement.limit(MANY + 1)))


def _lose(one: RoleGrant) -> None:
    people = people_of(one)
    if len(people) > MANY:
        losses.record("grant", org_id=one.organization_id, role=one.role_key)
        return
    account_id = scope_of(one).account_id if one.placement_id else ""
    for sub in people:
        if account_id:
            losses.record("grant", sub=sub, org_id=one.organization_id, account_id=account_id)
        else:
            losses.record("grant", sub=sub, org_id=one.organization_id)


def _the_only(organization_ids: Iterable[str]) -> str:
    found = set(organization_ids)
    if len(found) != 1:
        raise ValueError("grants of several organizations in one act")
    return found.pop()


def _distinct(wanted: Sequence[Wanted]) -> list[Wanted]:
    found: dict[tuple[Grantee, str, str], Wanted] = {}
    for one in wanted:
        if found.setdefault((one.grantee, one.role, one.scope.id), one).expires_at != one.expires_at:
            raise Invalid("The same role is wanted twice with different expiries.", field="expires_at")
    return list(found.values())


def _require_grantees(organization_id: str, wanted: Collection[Grantee]) -> dict[str, str]:
    """Every grantee is live and of this organization; the owner of each client, by its id."""
    session = database.session()
    tables: dict[str, type[Membership | Team]] = {"member": Membership, "team": Team}
    for kind, table in tables.items():
        ids = {one.id for one in wanted if one.kind == kind}
        for some in bulk.chunks(sorted(ids)):
            statement = select(table.id).where(
                table.organization_id == organization_id, table.id.in_(some), table.ended_at.is_(None)
            )
            if missing := set(some) - set(session.scalars(statement)):
                raise NotFound(f"There is no {kind} {min(missing)!r} in this organization.")
    ids = {one.id for one in wanted if one.kind == "client"}
    usable = select(Client.id, Client.owner).where(
        Client.id.in_(ids), Client.owner.in_([OPERATOR, organization_id]), Client.ended_at.is_(None)
    )
    owners = {client_id: owner for client_id, owner in session.execute(usable)}  # noqa: C416 typed rows
    if missing := ids - set(owners):
        raise NotFound(f"There is no client {min(missing)!r} for this organization.")
    return owners


def _require_may(wanted: Sequence[Wanted], known: dict[str, Role], by: Actor) -> None:
    for one in wanted:
        require_assignable(known[one.role], one.scope)
        if one.expires_at is not None and one.expires_at <= clock.now():
            raise Invalid("A grant must expire in the future.", field="expires_at")
    authority.require_may_grant_each(by, ((known[one.role], one.scope, one.grantee.kind == "client") for one in wanted))


def _make(wanted: Sequence[Wanted], known: dict[str, Role], owners: dict[str, str], *, by: Actor, source: str) -> int:
    organization_id, instant = wanted[0].scope.organization_id, clock.now()
    there = _there(organization_id, {one.grantee.id for one in wanted}, source)
    cooling_off = policies.of(organization_id).cooling_off * clock.SECOND
    rows = []
    for one in wanted:
        key = (one.grantee.id, one.scope.id, known[one.role].id)
        if key in there:
            if there[key].expires_at == one.expires_at:
                continue
            end_all([there[key]], by=by)
        wait = cooling_off if known[one.role].sensitive and not authority.is_unlimited(by) else 0
        rows.append(_row(one, known[one.role], owners, by=by, source=source, instant=instant, wait=wait))
    database.session().flush()
    bulk.insert_many(RoleGrant, rows)
    for row in rows:
        said = {key: row[key] for key in ("role_key", "grantee", "scope", "reason", "effective_from", "expires_at")}
        trail.record(
            "grant.made", by=by, subject=str(row["id"]), organization=organization_id, after=said, source=source
        )
    return len(rows)


def _there(organization_id: str, grantees: Collection[str], source: str) -> dict[tuple[str, str, str], RoleGrant]:
    found: dict[tuple[str, str, str], RoleGrant] = {}
    for some in bulk.chunks(sorted(grantees)):
        statement = select(RoleGrant).where(
            RoleGrant.organization_id == organization_id,
            RoleGrant.grantee.in_(some),
            RoleGrant.source == source,
            RoleGrant.ended_at.is_(None),
        )
        found |= {(one.grantee, one.scope, one.role_id): one for one in database.session().scalars(statement)}
    return found


def _row(
    one: Wanted, role: Role, owners: dict[str, str], *, by: Actor, source: str, instant: int, wait: int
) -> bulk.Columns:
    kind, grantee = one.grantee.kind, one.grantee.id
    return {
        "id": identifiers.grant(),
        "organization_id": one.scope.organization_id,
        "grantee": grantee,
        "member_id": grantee if kind == "member" else None,
        "team_id": grantee if kind == "team" else None,
        "client_id": grantee if kind == "client" else None,
        "client_owner": owners.get(grantee) if kind == "client" else None,
        "role_owner": role.owner,
        "role_id": role.id,
        "role_key": role.key,
        "scope": one.scope.id,
        "placement_id": one.scope.placement_id or None,
        "account_group_id": one.scope.account_group_id or None,
        "source": source,
        "made_by": by.id,
        "reason": one.reason,
        "started_at": instant,
        "effective_from": instant + wait,
        "confirmed_at": instant,
        "expires_at": one.expires_at,
    }


def _said(one: RoleGrant) -> dict[str, object]:
    return {"role_key": one.role_key, "grantee": one.grantee, "scope": one.scope, "source": one.source}
