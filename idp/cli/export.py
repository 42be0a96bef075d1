"""`idp export`: what there is, in the format that `idp apply` reads; applied where it came from, nothing is to do."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TypeAlias, TypeVar

import click
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute

from idp.audit import trail
from idp.cli import output, yaml_text
from idp.cli.apply import present
from idp.cli.apply.present import Client, Grant, Member, Organization, Person, Present, Role
from idp.cli.apply.wanted import STORED
from idp.cli.door import Command, operator
from idp.cli.output import Json, Worded
from idp.clients.clients import FIXED
from idp.clients.models import OPERATOR
from idp.clients.models import Client as ClientRow
from idp.organizations import scopes
from idp.organizations.effective import OWNER_ROLE
from idp.organizations.models import Organization as OrganizationRow
from idp.organizations.roles import Permitted, RoleSettings
from idp.platform import clock, database
from idp.platform.settings import settings
from idp.users.models import User

Said: TypeAlias = dict[str, Json]

_ACROSS = ("connection", "sso:", "scim:")
"""Grants that a connection or directory keeps: they come back with it, and not from a file."""


@click.command("export", cls=Command)
@click.option("--org", metavar="ORG", help="Only this organization, and the people and clients in it.")
@click.option("--with-password-hashes", is_flag=True, help="Write password hashes instead of the marker.")
def export(org: str | None, with_password_hashes: bool) -> Worded:
    """Write what there is as a file for `idp apply`, without any secret: a marker stands for what is stored."""
    with output.progress("Reading") as told:
        told(0, 1)
        there = read(org)
    document = written(there, whole=org is None, with_hashes=with_password_hashes)
    with database.writing():
        said = {"organization": org, "people": len(there.people), "password_hashes": with_password_hashes}
        trail.record("export.made", by=operator(), subject=org or "everything", after=said)
    return Worded(document, "".join(yaml_text.lines(document)).rstrip("\n"))


def read(org: str | None) -> Present:
    """Everything, or one organization (id or slug) with its people, and with the clients that it owns."""
    database.look()
    if org is not None:
        organization_id = scopes.organization_named(org)
        owned = _ids(ClientRow.id, ClientRow.owner == organization_id, ClientRow.ended_at.is_(None))
        return present.read(present.Asked(organizations=frozenset({organization_id}), clients=owned))
    return present.read(
        present.Asked(
            organizations=_ids(OrganizationRow.id, OrganizationRow.closed_at.is_(None)),
            people=_ids(User.id, User.deleted_at.is_(None)),
            clients=_ids(ClientRow.id, ClientRow.ended_at.is_(None)),
        )
    )


def written(there: Present, *, whole: bool, with_hashes: bool = False) -> Said:
    """The document. `whole`: with what belongs to the installation (APIs, signing keys, operators), too."""
    organizations = [_Inside(one) for one in sorted(there.organizations.values(), key=lambda one: one.slug)]
    memberships: dict[str, list[Json]] = defaultdict(list)
    for organization in organizations:
        for member in organization.one.members.values():
            memberships[member.user_id].append(organization.membership(member))
    people = [one for one in there.people.values() if whole or one.id in memberships]
    document: Said = {
        "version": 1,
        "organizations": [_organization(one, there) for one in organizations],
        "users": [_person(one, memberships, with_hashes) for one in sorted(people, key=lambda one: one.key)],
        "clients": [_client(one, organizations) for one in _clients(there)],
    }
    if whole:
        document |= {"apis": _apis(there), "signing_keys": _keys(there), "operators": _operators(there)}
    return {name: value for name, value in document.items() if value}


def _ids(column: InstrumentedAttribute[str], *conditions: ColumnElement[bool]) -> frozenset[str]:
    return frozenset(database.session().scalars(select(column).where(*conditions)))


# Organizations


class _Inside:
    """An organization and what is held in it."""

    def __init__(self, one: Organization) -> None:
        self.one = one
        self._accounts = {account.placement: account.key for account in one.accounts.values()}
        self._groups = {group.id: group.key for group in one.groups.values()}
        self._held: dict[str, dict[tuple[str, str], list[Grant]]] = defaultdict(lambda: defaultdict(list))
        for grant in one.grants:
            if grant.counts and not grant.source.startswith(_ACROSS):
                self._held[grant.grantee][grant.scope, grant.role].append(grant)

    def membership(self, member: Member) -> Said:
        """A membership with the roles of the member."""
        said: Said = {"id": member.id, "organization": self.one.slug, "status": member.status}
        return said | self.holdings(member.id)

    def holdings(self, grantee: str) -> Said:
        """The roles of one grantee by level, each with the latest end that any of its grants has."""
        if grantee not in self._held:
            return {}
        roles: list[Json] = []
        groups: dict[str, list[Json]] = defaultdict(list)
        accounts: dict[str, list[Json]] = defaultdict(list)
        for (scope, role), grants in sorted(self._held[grantee].items()):
            if scope in self._accounts:
                accounts[self._accounts[scope]].append(_until(role, grants))
            elif scope in self._groups:
                groups[self._groups[scope]].append(_until(role, grants))
            elif scope == self.one.id:
                roles.append(_until(role, grants))
        levels: Said = {
            "roles": roles,
            "group_roles": dict(sorted(groups.items())),
            "account_roles": dict(sorted(accounts.items())),
        }
        return {name: value for name, value in levels.items() if value}


def _organization(inside: _Inside, there: Present) -> Said:
    one = inside.one
    names = {member.id: there.people[member.user_id].username for member in one.members.values()}
    policy = asdict(one.policy)
    said: Said = {
        "id": one.id,
        "slug": one.slug,
        "name": one.name,
        "status": "suspended" if one.is_suspended else "active",
        "owner": names[one.owner],
        **_deputy(inside, there),
        "policies": policy | {"methods": list(one.policy.methods)},
        "accounts": [
            {
                "id": account.id,
                "key": account.key,
                "name": account.name,
                "country": account.country,
                "livemode": account.livemode,
                "status": "suspended" if account.is_suspended else "active",
            }
            for account in _by_key(one.accounts)
        ],
        "account_groups": _groups(one),
        "roles": [_role(role) for role in _by_key(one.roles) if role.settings],
        "teams": [
            {
                "id": team.id,
                "key": team.key,
                "name": team.name,
                "members": sorted(names[id] for id in team.members),
                **inside.holdings(team.id),
            }
            for team in _by_key(one.teams)
        ],
        "domains": [
            {"id": domain.id, "name": name, "verified": domain.is_verified}
            for name, domain in sorted(one.domains.items())
        ],
    }
    return {name: value for name, value in said.items() if value != []}


def _deputy(inside: _Inside, there: Present) -> Said:
    """Who follows the owner; nothing is said of one who could not, because nobody could name them again."""
    member = inside.one.members.get(inside.one.deputy)
    if member is None:
        return {"deputy": None}
    person = there.people[member.user_id]
    teams = [team.id for team in inside.one.teams.values() if member.id in team.members]
    held = [inside.holdings(grantee).get("roles", []) for grantee in (member.id, *teams)]
    is_super_admin = any(OWNER_ROLE in roles for roles in held if isinstance(roles, list))
    usable = is_super_admin and member.status == "active" and not person.is_disabled
    return {"deputy": person.username} if usable else {}


Keyed = TypeVar("Keyed", present.Account, present.Group, Role, present.Team)


def _by_key(of: Mapping[str, Keyed]) -> list[Keyed]:
    return sorted(of.values(), key=lambda one: one.key)


def _groups(one: Organization) -> list[Json]:
    keys = {account.placement: account.key for account in one.accounts.values()}
    return [
        {
            "id": group.id,
            "key": group.key,
            "name": group.name,
            "accounts": sorted(keys[placement] for placement in group.placements),
        }
        for group in _by_key(one.groups)
    ]


def _role(role: Role) -> Said:
    wanted = role.settings or RoleSettings(role.key, role.key, frozenset())
    return {
        "id": role.id,
        "key": role.key,
        "name": wanted.name,
        "permissions": [_permission(one) for one in sorted(wanted.permissions)],
        "assignable_at": sorted(role.levels, reverse=True),
        "demands": wanted.demands or "none",
        "sensitive": wanted.sensitive,
    }


def _permission(one: Permitted) -> Json:
    if one == Permitted(one.name):
        return one.name
    modes: list[Json] = [mode for mode in ("live", "sandbox") if getattr(one, mode)]
    return {"name": one.name, "modes": modes} | ({"audience": one.audience} if one.audience else {})


def _until(role: str, grants: Iterable[Grant]) -> Json:
    ends = [grant.until for grant in grants]
    last = None if None in ends else max(end for end in ends if end is not None)
    return role if last is None else {"role": role, "expires_at": clock.iso(last)}


# People


def _person(one: Person, memberships: Mapping[str, list[Json]], with_hashes: bool) -> Said:
    said: Said = {"id": one.id, "username": one.username}
    for address in one.addresses:
        if address.is_primary:
            said |= {"email": address.text, "email_verified": address.is_verified}
    others: list[Json] = [
        {"email": address.text, "verified": address.is_verified} for address in one.addresses if not address.is_primary
    ]
    said |= {"other_emails": others} if others else {}
    if one.hash:
        said["password_hash"] = one.hash if with_hashes else STORED
    said |= {"totp_secret": STORED} if one.has_app else {}
    said |= {"recovery_codes": [STORED]} if one.has_codes else {}
    said |= {"status": "disabled"} if one.is_disabled else {}
    said |= {name: value for name, value in sorted(one.claims.items()) if name != "updated_at"}
    return said | ({"memberships": memberships[one.id]} if one.id in memberships else {})


def _operators(there: Present) -> list[Json]:
    posts = sorted((one.username, one.post) for one in there.people.values() if one.post)
    return [name if post == "admin" else {"username": name, "role": post} for name, post in posts]


# Clients, APIs, keys


def _clients(there: Present) -> list[Client]:
    """Those of the operator, and of organizations that are open."""
    owners = {OPERATOR, *there.organizations}
    return sorted((one for one in there.clients.values() if one.owner in owners), key=lambda one: one.id)


def _client(one: Client, organizations: Iterable[_Inside]) -> Said:
    inside = {organization.one.id: organization for organization in organizations}
    said: Said = {"client_id": one.id, **dict(sorted(one.settings.metadata.items()))}
    if one.owner in inside:
        said["organization"] = inside[one.owner].one.slug
    if one.digests:
        said["client_secret"] = STORED
    said |= _context(one, inside)
    said |= {"switched_off": _slugs(one.switched_off, inside)} if one.switched_off else {}
    said |= {"first_party": True} if one.settings.first_party else {}
    said |= {"status": "disabled"} if one.is_disabled else {}
    if one.owner != OPERATOR:
        return said | inside[one.owner].holdings(one.id)
    held = [(organization.one.slug, organization.holdings(one.id)) for organization in organizations]
    roles_in: list[Json] = [{"organization": slug, **holdings} for slug, holdings in held if holdings]
    return said | ({"roles_in": roles_in} if roles_in else {})


def _context(one: Client, inside: Mapping[str, _Inside]) -> Said:
    """What its tokens speak for, and where it is offered; nothing of organizations that are closed."""
    context, enabled_for = one.settings.context, one.settings.enabled_for
    said: Said = {"enabled_for": "all" if enabled_for is None else _slugs(enabled_for, inside)}
    if context.kind != FIXED:
        return {"context": context.kind} | said
    if context.organization_id is None or context.organization_id not in inside:
        return said
    account: Said = {"account": context.account_id} if context.account_id else {}
    return {"context": {"organization": inside[context.organization_id].one.slug, **account}} | said


def _slugs(ids: Iterable[str], inside: Mapping[str, _Inside]) -> Sequence[Json]:
    return sorted(inside[id].one.slug for id in ids if id in inside)


def _apis(there: Present) -> list[Json]:
    return [
        {
            "id": one.id,
            "audience": audience,
            "name": one.settings.name,
            "scopes": [asdict(scope) for scope in one.settings.scopes],
            "permissions": {
                name: None if roles is None else list(roles) for name, roles in one.settings.permissions.items()
            },
        }
        for audience, one in sorted((one.settings.audience, one) for one in there.apis.values())
        if audience != settings().issuer
    ]


def _keys(there: Present) -> list[Json]:
    return [
        {"kid": one.kid, "purpose": one.purpose, "alg": one.alg, "private_key": STORED}
        for one in sorted(there.keys.values(), key=lambda one: one.kid)
        if not (one.is_leaving or one.is_withdrawn)
    ]
