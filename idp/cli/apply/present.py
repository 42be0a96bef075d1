"""What there is now: read in bulk, as frozen values, for the plan of `apply` and for `export`."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from idp.clients import apis, clients
from idp.clients.apis import ApiSettings
from idp.clients.clients import ClientSettings
from idp.clients.models import Client as ClientRow
from idp.clients.models import ClientDisablement, ClientSecret, ClientSwitch
from idp.credentials.models import Factor, Password, RecoveryCode
from idp.keys.models import SigningKey
from idp.organizations import models, policies
from idp.organizations.models import BUILT_IN
from idp.organizations.policies import PolicySettings
from idp.organizations.roles import Permitted, RoleSettings
from idp.platform import bulk, clock, database
from idp.users import claims
from idp.users.claims import Json
from idp.users.models import Address as AddressRow
from idp.users.models import Operator, User, UserDisablement


@dataclass(frozen=True, slots=True)
class Account:
    """`placement`: the id of its present stay, which is the scope of grants on it."""

    id: str
    placement: str
    key: str
    name: str
    country: str
    livemode: bool
    is_suspended: bool


@dataclass(frozen=True, slots=True)
class Group:
    """`placements`: the stays of the accounts in it."""

    id: str
    key: str
    name: str
    placements: frozenset[str]


@dataclass(frozen=True, slots=True)
class Role:
    """A role that can be given in an organization: its own (with `settings`), or a built-in one."""

    id: str
    key: str
    levels: frozenset[str]
    settings: RoleSettings | None = None


@dataclass(frozen=True, slots=True)
class Team:
    """`members`: ids of memberships."""

    id: str
    key: str
    name: str
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class Member:
    id: str
    user_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant without an end. `kind`: of its grantee; `counts`: neither cooling off nor expired."""

    id: str
    kind: str
    grantee: str
    role: str
    scope: str
    source: str
    until: int | None
    counts: bool


@dataclass(frozen=True, slots=True)
class Domain:
    id: str
    name: str
    is_verified: bool


@dataclass(frozen=True)
class Organization:
    """An organization with all that is in it, by ids; roles and domains by key and name."""

    id: str
    slug: str
    name: str
    is_closed: bool = False
    is_suspended: bool = False
    owner: str = ""
    deputy: str = ""
    policy: PolicySettings = field(default_factory=PolicySettings)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    teams: Mapping[str, Team] = field(default_factory=dict)
    members: Mapping[str, Member] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()
    domains: Mapping[str, Domain] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Address:
    id: str
    text: str
    key: str
    is_verified: bool
    is_primary: bool


@dataclass(frozen=True, slots=True)
class Person:
    """`post`: the instance role of an operator, or empty; `hash`: of the password, or empty. `has_app`: an
    authenticator app; `has_codes`: recovery codes that can be used.
    """

    id: str
    username: str
    key: str
    claims: Mapping[str, Json]
    is_disabled: bool
    addresses: tuple[Address, ...]
    post: str
    hash: str = field(repr=False, default="")
    has_app: bool = False
    has_codes: bool = False


@dataclass(frozen=True, slots=True)
class Client:
    """`owner`: an organization's id, or `OPERATOR`; `switched_off`: ids of organizations that do not want it."""

    id: str
    owner: str
    settings: ClientSettings
    is_disabled: bool
    digests: tuple[bytes, ...] = field(repr=False)
    switched_off: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Api:
    id: str
    settings: ApiSettings


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key: `public` is its JWK as stored. `is_leaving`: it has an end already; `is_withdrawn`: at once."""

    kid: str
    purpose: str
    alg: str
    public: str
    is_leaving: bool
    is_withdrawn: bool


@dataclass(frozen=True)
class Present:
    """What there is. `slugs`: whose each slug is or was; `closed`: ids of organizations that clients name and that are
    closed; `at`: when this was read, in microseconds UTC."""

    at: int = field(compare=False)
    organizations: Mapping[str, Organization] = field(default_factory=dict)
    slugs: Mapping[str, str] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    clients: Mapping[str, Client] = field(default_factory=dict)
    apis: Mapping[str, Api] = field(default_factory=dict)
    keys: Mapping[str, Key] = field(default_factory=dict)
    built_in: Mapping[str, Role] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Asked:
    """What is to be read: whatever these ids and names lead to."""

    organizations: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()


def read(asked: Asked) -> Present:
    """What `asked` names, with every member of its organizations; all APIs, signing keys and operators."""
    instant = clock.now()
    slugs = _slugs(asked.organizations)
    organizations = read_organizations(set(slugs.values()), instant)
    members = {one.user_id for organization in organizations.values() for one in organization.members.values()}
    programs = read_clients(asked.clients)
    return Present(
        at=instant,
        organizations=organizations,
        slugs=slugs,
        people=read_people(members | _named(asked) | _operators().keys()),
        clients=programs,
        apis=read_apis(),
        keys=read_keys(),
        built_in=_built_in(),
        closed=_closed(_named_by(programs)),
    )


def organization_ids(asked: Asked) -> set[str]:
    """The ids of the organizations among `asked` that exist."""
    return set(_slugs(asked.organizations).values())


# Organizations


def read_organizations(ids: Collection[str], instant: int) -> dict[str, Organization]:
    """These organizations with all that is in them; what counts is said for `instant`."""
    parts = _Parts(ids, instant)
    return {
        head.id: Organization(
            id=head.id,
            slug=head.slug,
            name=head.name,
            is_closed=head.closed_at is not None,
            is_suspended=head.id in parts.suspended,
            owner=parts.owners.get(head.id, ""),
            deputy=parts.deputies.get(head.id, ""),
            policy=parts.policies.get(head.id, PolicySettings()),
            accounts=parts.accounts[head.id],
            groups=parts.groups[head.id],
            roles=parts.roles[head.id],
            teams=parts.teams[head.id],
            members=parts.members[head.id],
            grants=tuple(parts.grants[head.id]),
            domains=parts.domains[head.id],
        )
        for head in _among(select(models.Organization.__table__), models.Organization.id, ids)
    }


class _Parts:
    """What is in some organizations, kind by kind, by the organization's id."""

    def __init__(self, ids: Collection[str], instant: int) -> None:
        self.suspended = {row.organization_id for row in _live(models.OrganizationSuspension, ids)}
        self.owners = {row.organization_id: row.member_id for row in _live(models.Ownership, ids)}
        self.deputies = {row.organization_id: row.member_id for row in _live(models.Deputy, ids)}
        self.policies = {
            row.organization_id: policies.load(row.settings_json)
            for row in _among(select(models.Policy.__table__), models.Policy.organization_id, ids)
        }
        self.accounts = _accounts(ids)
        self.groups = _groups(ids)
        self.roles = _roles(ids)
        self.teams = _teams(ids)
        self.members = _members(ids)
        self.grants = _grants(ids, instant)
        self.domains: dict[str, dict[str, Domain]] = defaultdict(dict)
        for row in _live(models.Domain, ids):
            self.domains[row.organization_id][row.name] = Domain(row.id, row.name, row.verified_at is not None)


def _accounts(ids: Collection[str]) -> dict[str, dict[str, Account]]:
    place, account, rest = models.Placement, models.Account, models.AccountSuspension
    statement = (
        select(
            place.organization_id,
            account.id,
            place.id.label("placement"),
            place.key,
            account.name,
            account.country,
            account.livemode,
            rest.id.label("suspension"),
        )
        .join(account, account.id == place.account_id)
        .outerjoin(rest, (rest.account_id == account.id) & rest.ended_at.is_(None))
        .where(place.ended_at.is_(None))
    )
    found: dict[str, dict[str, Account]] = defaultdict(dict)
    for organization_id, id, placement, key, name, country, livemode, suspension in _among(
        statement, place.organization_id, ids
    ):
        found[organization_id][id] = Account(id, placement, key, name, country, bool(livemode), suspension is not None)
    return found


def _groups(ids: Collection[str]) -> dict[str, dict[str, Group]]:
    inside: dict[str, list[str]] = defaultdict(list)
    for row in _live(models.GroupAccount, ids):
        inside[row.account_group_id].append(row.placement_id)
    found: dict[str, dict[str, Group]] = defaultdict(dict)
    for row in _live(models.AccountGroup, ids):
        found[row.organization_id][row.id] = Group(row.id, row.key, row.name, frozenset(inside[row.id]))
    return found


def _teams(ids: Collection[str]) -> dict[str, dict[str, Team]]:
    inside: dict[str, list[str]] = defaultdict(list)
    for row in _live(models.TeamMember, ids):
        inside[row.team_id].append(row.member_id)
    found: dict[str, dict[str, Team]] = defaultdict(dict)
    for row in _live(models.Team, ids):
        found[row.organization_id][row.id] = Team(row.id, row.key, row.name, frozenset(inside[row.id]))
    return found


def _roles(ids: Collection[str]) -> dict[str, dict[str, Role]]:
    role, listed = models.Role, models.RolePermission
    allowed: dict[str, list[Permitted]] = defaultdict(list)
    statement = select(listed.role_id, listed.permission, listed.audience, listed.live, listed.sandbox).join(
        role, role.id == listed.role_id
    )
    for role_id, name, audience, live, sandbox in _among(statement.where(listed.ended_at.is_(None)), role.owner, ids):
        allowed[role_id].append(Permitted(name, audience, bool(live), bool(sandbox)))
    found: dict[str, dict[str, Role]] = defaultdict(dict)
    for row in _among(select(role.__table__).where(role.ended_at.is_(None)), role.owner, ids):
        settings = RoleSettings(
            row.key,
            row.name,
            frozenset(allowed[row.id]),
            bool(row.at_organization),
            bool(row.at_account),
            row.demands,
            bool(row.sensitive),
        )
        found[row.owner][row.key] = Role(row.id, row.key, _levels(row), settings)
    return found


def _built_in() -> dict[str, Role]:
    rows = _among(select(models.Role.__table__).where(models.Role.ended_at.is_(None)), models.Role.owner, [BUILT_IN])
    return {row.key: Role(row.id, row.key, _levels(row)) for row in rows}


def _levels(row: Any) -> frozenset[str]:
    return frozenset(["organization"] * row.at_organization + ["account"] * row.at_account)


def _members(ids: Collection[str]) -> dict[str, dict[str, Member]]:
    member, status = models.Membership, models.MembershipStatus
    statement = (
        select(member.organization_id, member.id, member.user_id, status.status)
        .join(status, (status.member_id == member.id) & status.ended_at.is_(None))
        .where(member.ended_at.is_(None))
    )
    found: dict[str, dict[str, Member]] = defaultdict(dict)
    for organization_id, *columns in _among(statement, member.organization_id, ids):
        found[organization_id][columns[0]] = Member(*columns)
    return found


def _grants(ids: Collection[str], instant: int) -> dict[str, list[Grant]]:
    grant = models.RoleGrant
    statement = select(
        grant.organization_id,
        grant.id,
        grant.member_id,
        grant.team_id,
        grant.grantee,
        grant.role_key,
        grant.scope,
        grant.source,
        grant.expires_at,
        grant.effective_from,
    ).where(grant.ended_at.is_(None))
    found: dict[str, list[Grant]] = defaultdict(list)
    for organization_id, id, member, team, grantee, role, scope, source, until, begins in _among(
        statement, grant.organization_id, ids
    ):
        counts = begins <= instant and (until is None or until > instant)
        kind = "member" if member else "team" if team else "client"
        found[organization_id].append(Grant(id, kind, grantee, role, scope, source, until, counts))
    return found


def _named_by(programs: Mapping[str, Client]) -> set[str]:
    """The organizations that clients are offered to, or switched off in."""
    return {id for one in programs.values() for id in (one.settings.enabled_for or frozenset()) | one.switched_off}


def _closed(ids: Collection[str]) -> frozenset[str]:
    organization = models.Organization
    statement = select(organization.id).where(organization.closed_at.is_not(None))
    return frozenset(row.id for row in _among(statement, organization.id, ids))


def _slugs(names: Collection[str]) -> dict[str, str]:
    """Ids of organizations by the ids, slugs and former slugs among `names`, and by their present slugs."""
    slug, organization = models.Slug, models.Organization
    found = {row.slug: row.organization_id for row in _among(select(slug.__table__), slug.slug, names)}
    ids = set(found.values()) | set(names)
    for row in _among(select(organization.id, organization.slug), organization.id, ids):
        found |= {row.id: row.id, row.slug: row.id}
    return found


# People


def read_people(ids: Collection[str]) -> dict[str, Person]:
    """These people, as far as they have not been deleted."""
    addresses: dict[str, list[Address]] = defaultdict(list)
    held = select(AddressRow.__table__).where(AddressRow.ended_at.is_(None))
    for row in _among(held, AddressRow.user_id, ids):
        address = Address(row.id, row.address, row.address_key, row.verified_at is not None, bool(row.is_primary))
        addresses[row.user_id].append(address)
    resting = select(UserDisablement.user_id).where(UserDisablement.ended_at.is_(None))
    disabled = {row.user_id for row in _among(resting, UserDisablement.user_id, ids)}
    hashes = {row.user_id: row.hash for row in _among(select(Password.__table__), Password.user_id, ids)}
    app = select(Factor.user_id).where(Factor.kind == "totp", Factor.ended_at.is_(None))
    codes = select(RecoveryCode.user_id).where(RecoveryCode.used_at.is_(None), RecoveryCode.ended_at.is_(None))
    with_app = {row.user_id for row in _among(app, Factor.user_id, ids)}
    with_codes = {row.user_id for row in _among(codes.distinct(), RecoveryCode.user_id, ids)}
    posts = _operators()
    return {
        row.id: Person(
            row.id,
            row.username,
            row.username_key,
            claims.load(row.claims),
            row.id in disabled,
            tuple(addresses[row.id]),
            posts.get(row.id, ""),
            hashes.get(row.id, ""),
            row.id in with_app,
            row.id in with_codes,
        )
        for row in _among(select(User.__table__).where(User.deleted_at.is_(None)), User.id, ids)
    }


def _named(asked: Asked) -> set[str]:
    """The ids of the people whom usernames, ids and addresses lead to."""
    by_name = _among(select(User.id), User.username_key, asked.people)
    by_id = _among(select(User.id), User.id, asked.people)
    held = select(AddressRow.user_id).where(AddressRow.ended_at.is_(None))
    by_address = _among(held, AddressRow.address_key, asked.addresses)
    return {row[0] for rows in (by_name, by_id, by_address) for row in rows}


def _operators() -> dict[str, str]:
    statement = select(Operator.user_id, Operator.instance_role).where(Operator.ended_at.is_(None))
    return {row.user_id: row.instance_role for row in database.session().execute(statement)}


# Programs and keys


def read_clients(ids: Collection[str]) -> dict[str, Client]:
    """These clients, as far as they have not been deleted."""
    digests: dict[str, list[bytes]] = defaultdict(list)
    secrets = select(ClientSecret.__table__).where(ClientSecret.ended_at.is_(None)).order_by(ClientSecret.created_at)
    for row in _among(secrets, ClientSecret.client_id, ids):
        digests[row.client_id].append(row.digest)
    off: dict[str, list[str]] = defaultdict(list)
    switches = select(ClientSwitch.__table__).where(ClientSwitch.ended_at.is_(None), ClientSwitch.enabled == 0)
    for row in _among(switches, ClientSwitch.client_id, ids):
        off[row.client_id].append(row.organization_id)
    resting = select(ClientDisablement.client_id).where(ClientDisablement.ended_at.is_(None))
    disabled = {row.client_id for row in _among(resting, ClientDisablement.client_id, ids)}
    found: dict[str, Client] = {}
    for some in bulk.chunks(sorted(ids)):
        live = select(ClientRow).where(ClientRow.id.in_(some), ClientRow.ended_at.is_(None))
        for client in database.session().scalars(live):
            found[client.id] = Client(
                client.id,
                client.owner,
                clients.settings_of(client),
                client.id in disabled,
                tuple(digests[client.id]),
                frozenset(off[client.id]),
            )
    return found


def read_apis() -> dict[str, Api]:
    """Every API, by its audience."""
    return {api.audience: Api(api.id, apis.settings_of(api)) for api in apis.everything()}


def read_keys() -> dict[str, Key]:
    """Every signing key that there ever was, by its kid."""
    rows = database.session().execute(select(SigningKey.__table__))
    return {
        row.kid: Key(
            row.kid,
            row.purpose,
            row.alg,
            json.dumps(json.loads(row.public_jwk), sort_keys=True),
            row.retires_at is not None,
            row.withdrawn_at is not None,
        )
        for row in rows
    }


# Statements


def _live(table: Any, ids: Collection[str]) -> Iterator[Any]:
    """The rows of `table`, an edge with history, that are true now in these organizations."""
    statement = select(table.__table__).where(table.ended_at.is_(None))
    return _among(statement, table.organization_id, ids)


def _among(statement: Any, column: Any, values: Iterable[str]) -> Iterator[Any]:
    """The rows of `statement` whose `column` is one of `values`."""
    for some in bulk.chunks(sorted(values)):
        yield from database.session().execute(statement.where(column.in_(some)))
