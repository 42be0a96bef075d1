"""`idp export`: what there is, in the format that `idp apply` reads; applied where it came from, nothing is to do."""

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import TypeAlias, TypeVar

import click
from ruamel.yaml import YAML
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute

from idp.audit import trail
from idp.cli.apply import present
from idp.cli.apply.present import Client, Grant, Organization, Person, Present, Role
from idp.cli.apply.wanted import STORED
from idp.cli.door import Command, operator
from idp.cli.output import Json, Worded
from idp.clients.clients import FIXED
from idp.clients.models import OPERATOR
from idp.clients.models import Client as ClientRow
from idp.organizations import scopes
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
    there = read(org)
    document = written(there, whole=org is None, with_hashes=with_password_hashes)
    with database.writing():
        said = {"organization": org, "people": len(there.people), "password_hashes": with_password_hashes}
        trail.record("export.made", by=operator(), subject=org or "everything", after=said)
    text = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width, yaml.sort_base_mapping_type_on_output = False, 120, False  # type: ignore[assignment]
    yaml.dump(document, text)
    return Worded(document, text.getvalue().rstrip("\n"))


def read(org: str | None) -> Present:
    """Everything, or one organization (id or slug) with its people, and with the clients that it owns."""
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
    organizations = sorted(there.organizations.values(), key=lambda one: one.slug)
    members = {one.user_id for organization in organizations for one in organization.members.values()}
    people = [one for one in there.people.values() if whole or one.id in members]
    document: Said = {
        "version": 1,
        "organizations": [_organization(one, there) for one in organizations],
        "users": [_person(one, organizations, with_hashes) for one in sorted(people, key=lambda one: one.key)],
        "clients": [_client(there.clients[id], there) for id in sorted(there.clients)],
    }
    if whole:
        document |= {"apis": _apis(there), "signing_keys": _keys(there), "operators": _operators(there)}
    return {name: value for name, value in document.items() if value}


def _ids(column: InstrumentedAttribute[str], *conditions: ColumnElement[bool]) -> frozenset[str]:
    return frozenset(database.session().scalars(select(column).where(*conditions)))


# Organizations


def _organization(one: Organization, there: Present) -> Said:
    names = {member.id: there.people[member.user_id].username for member in one.members.values()}
    policy = asdict(one.policy)
    said: Said = {
        "id": one.id,
        "slug": one.slug,
        "name": one.name,
        "status": "suspended" if one.is_suspended else "active",
        "owner": names[one.owner],
        "deputy": names.get(one.deputy),
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
                **_holdings(one, team.id),
            }
            for team in _by_key(one.teams)
        ],
        "domains": [
            {"id": domain.id, "name": name, "verified": domain.is_verified}
            for name, domain in sorted(one.domains.items())
        ],
    }
    return {name: value for name, value in said.items() if value != []}


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


def _holdings(one: Organization, grantee: str) -> Said:
    """The roles of one grantee by level, each with the latest end that any of its grants has."""
    accounts = {account.placement: account.key for account in one.accounts.values()}
    groups = {group.id: group.key for group in one.groups.values()}
    held: dict[tuple[str, str], list[Grant]] = defaultdict(list)
    for grant in one.grants:
        if grant.grantee == grantee and grant.counts and not grant.source.startswith(_ACROSS):
            held[grant.scope, grant.role].append(grant)
    said: dict[str, dict[str, list[Json]]] = {name: defaultdict(list) for name in ("group_roles", "account_roles")}
    roles: list[Json] = []
    for (scope, role), grants in sorted(held.items()):
        if scope in accounts:
            said["account_roles"][accounts[scope]].append(_until(role, grants))
        elif scope in groups:
            said["group_roles"][groups[scope]].append(_until(role, grants))
        else:
            roles.append(_until(role, grants))
    levels: Said = {name: dict(sorted(inner.items())) for name, inner in said.items() if inner}
    return {"roles": roles, **levels} if roles else levels


def _until(role: str, grants: Iterable[Grant]) -> Json:
    ends = [grant.until for grant in grants]
    last = None if None in ends else max(end for end in ends if end is not None)
    return role if last is None else {"role": role, "expires_at": clock.iso(last)}


# People


def _person(one: Person, organizations: Iterable[Organization], with_hashes: bool) -> Said:
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
    said |= {"status": "disabled"} if one.is_disabled else {}
    said |= {name: value for name, value in sorted(one.claims.items()) if name != "updated_at"}
    memberships: list[Json] = [
        {
            "id": member.id,
            "organization": organization.slug,
            "status": member.status,
            **_holdings(organization, member.id),
        }
        for organization in organizations
        for member in organization.members.values()
        if member.user_id == one.id
    ]
    return said | ({"memberships": memberships} if memberships else {})


def _operators(there: Present) -> list[Json]:
    posts = sorted((one.username, one.post) for one in there.people.values() if one.post)
    return [name if post == "admin" else {"username": name, "role": post} for name, post in posts]


# Clients, APIs, keys


def _client(one: Client, there: Present) -> Said:
    slug = _slugs(there)
    context = one.settings.context
    said: Said = {"client_id": one.id, **dict(sorted(one.settings.metadata.items()))}
    if one.owner != OPERATOR:
        said["organization"] = slug(one.owner)
    if one.digests:
        said["client_secret"] = STORED
    if context.kind == FIXED:
        account: Said = {"account": context.account_id} if context.account_id else {}
        said["context"] = {"organization": slug(context.organization_id or ""), **account}
    else:
        said["context"] = context.kind
    enabled_for = one.settings.enabled_for
    said["enabled_for"] = "all" if enabled_for is None else sorted(map(slug, enabled_for))
    said |= {"switched_off": sorted(map(slug, one.switched_off))} if one.switched_off else {}
    said |= {"first_party": True} if one.settings.first_party else {}
    said |= {"status": "disabled"} if one.is_disabled else {}
    held = {organization.slug: _holdings(organization, one.id) for organization in there.organizations.values()}
    if one.owner != OPERATOR:
        return said | held.get(slug(one.owner), {})
    roles_in: list[Json] = [{"organization": slug, **holdings} for slug, holdings in sorted(held.items()) if holdings]
    return said | ({"roles_in": roles_in} if roles_in else {})


def _slugs(there: Present) -> Callable[[str], str]:
    def slug(organization_id: str) -> str:
        known = there.organizations.get(organization_id)
        return known.slug if known else organization_id

    return slug


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
