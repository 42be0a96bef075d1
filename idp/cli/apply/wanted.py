"""What a file says: frozen values, each with its place. `None` everywhere: nothing is said, so it stays as it is.

Texts that name something else (a person, an account, a role) are `Said`, because they are looked up when everything
has been read: nothing depends on the order of the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from idp.cli.apply.places import Place
from idp.clients.apis import ScopeSettings
from idp.keys.material import KeyPair
from idp.organizations.roles import Permitted
from idp.users.names import EmailAddress

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

STORED = "<stored>"
"""What `idp export` writes instead of a secret, and `idp apply` leaves as it is stored."""


@dataclass(frozen=True, slots=True)
class Said:
    """A text and where it stands."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret and where it stands. `is_stored`: the marker, which leaves it as it is."""

    text: str = field(repr=False)
    place: Place

    @property
    def is_stored(self) -> bool:
        """Whether this is the marker and no secret."""
        return self.text == STORED


@dataclass(frozen=True, slots=True)
class Holding:
    """A role that somebody is to hold. `level`: `organization`, `group` or `account`; `scope`: which of the latter two.

    `until`: microseconds UTC, or `None` for always.
    """

    level: str
    scope: Said | None
    role: Said
    until: int | None


@dataclass(frozen=True, slots=True)
class Holdings:
    """The roles of one grantee in one organization. `levels`: those that were named, and so are complete; and where."""

    levels: Mapping[str, Place] = field(default_factory=dict)
    items: tuple[Holding, ...] = ()


NO_HOLDINGS = Holdings()


@dataclass(frozen=True, slots=True)
class WantedAccount:
    place: Place
    id: str
    key: str
    name: str | None
    country: str | None
    livemode: bool | None
    status: str | None
    is_absent: bool


@dataclass(frozen=True, slots=True)
class WantedGroup:
    place: Place
    id: str
    key: str
    name: str | None
    accounts: tuple[Said, ...] | None
    is_absent: bool


@dataclass(frozen=True, slots=True)
class WantedRole:
    """A custom role. `levels`: where it can be given (`organization`, `account`)."""

    place: Place
    id: str
    key: str
    name: str | None
    permissions: frozenset[Permitted] | None
    levels: frozenset[str] | None
    demands: str | None
    is_sensitive: bool | None
    is_absent: bool


@dataclass(frozen=True, slots=True)
class WantedTeam:
    place: Place
    id: str
    key: str
    name: str | None
    members: tuple[Said, ...] | None
    holdings: Holdings
    is_absent: bool


@dataclass(frozen=True, slots=True)
class WantedDomain:
    place: Place
    id: str
    name: str
    is_verified: bool | None
    is_absent: bool


@dataclass(frozen=True, slots=True)
class WantedPolicies:
    """`said`: settings by name, those alone that are said."""

    place: Place
    said: Mapping[str, str | int | tuple[str, ...] | None]


@dataclass(frozen=True, slots=True)
class WantedOrganization:
    """`deputy` with an empty text: none."""

    place: Place
    id: str
    slug: str
    name: str | None
    owner: Said | None
    deputy: Said | None
    status: str | None
    policies: WantedPolicies | None
    accounts: tuple[WantedAccount, ...]
    groups: tuple[WantedGroup, ...]
    roles: tuple[WantedRole, ...]
    teams: tuple[WantedTeam, ...]
    domains: tuple[WantedDomain, ...]
    is_absent: bool


@dataclass(frozen=True, slots=True)
class WantedMembership:
    place: Place
    id: str
    organization: Said
    status: str | None
    holdings: Holdings
    is_absent: bool


@dataclass(frozen=True, slots=True)
class WantedAddress:
    """An address; `is_primary`: the one that stands as `email`."""

    place: Place
    address: EmailAddress
    is_verified: bool | None
    is_primary: bool
    is_absent: bool = False


@dataclass(frozen=True, slots=True)
class WantedUser:
    """`claims`: those that are said; `None` as a value takes one away."""

    place: Place
    id: str
    username: str
    addresses: tuple[WantedAddress, ...]
    password: Secret | None
    password_hash: Secret | None
    totp_secret: Secret | None
    recovery_codes: tuple[Secret, ...]
    claims: Mapping[str, Json]
    status: str | None
    memberships: tuple[WantedMembership, ...]
    is_absent: bool


@dataclass(frozen=True, slots=True)
class WantedContext:
    """What a client's tokens speak for: `kind` as in `ClientContext`; `fixed` with an organization."""

    kind: str
    organization: Said | None = None
    account: Said | None = None


@dataclass(frozen=True, slots=True)
class HeldIn:
    """The roles of a machine client in one organization."""

    organization: Said
    holdings: Holdings


@dataclass(frozen=True, slots=True)
class WantedClient:
    """`owner`: the organization. `enabled_for` counts unless `for_all`."""

    place: Place
    id: str
    owner: Said | None
    metadata: Mapping[str, Json]
    secret: Secret | None
    context: WantedContext | None
    for_all: bool
    enabled_for: tuple[Said, ...] | None
    switched_off: tuple[Said, ...] | None
    first_party: bool | None
    status: str | None
    holdings: Holdings
    held_in: tuple[HeldIn, ...]
    is_absent: bool


@dataclass(frozen=True, slots=True)
class WantedApi:
    place: Place
    id: str
    audience: str
    name: str | None
    scopes: tuple[ScopeSettings, ...] | None
    permissions: Mapping[str, tuple[str, ...] | None] | None
    is_absent: bool


@dataclass(frozen=True, slots=True)
class WantedKey:
    """A signing key. `pair`: `None` for the marker."""

    place: Place
    kid: str
    pair: KeyPair | None
    is_absent: bool


@dataclass(frozen=True, slots=True)
class WantedOperator:
    user: Said
    role: str | None
    is_absent: bool


@dataclass(frozen=True)
class WantedFile:
    """Everything that a file says; `name` is the file's, `digest` the SHA-256 of its content (hex)."""

    name: str
    digest: str
    organizations: tuple[WantedOrganization, ...] = ()
    users: tuple[WantedUser, ...] = ()
    clients: tuple[WantedClient, ...] = ()
    apis: tuple[WantedApi, ...] = ()
    keys: tuple[WantedKey, ...] = ()
    operators: tuple[WantedOperator, ...] = ()
