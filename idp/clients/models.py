"""Tables of programs: relying parties and machines, and the APIs that tokens are for."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock, identifiers
from idp.platform.database import Model, Period

OPERATOR = "operator"
"""The owner of what belongs to the installation and not to one organization."""

_LIVE = text("ended_at IS NULL")


class Client(Model):
    """A relying party, or a machine. `owner`: an organization's id, or `OPERATOR`.

    `metadata_json` holds its registered metadata (RFC 7591 names) as a JSON object; `context` what its tokens speak
    for: `none`, `organization`, `account`, `any` or `fixed` (then `context_organization_id` and perhaps
    `context_account_id`). `enabled_for_all`: usable in every organization that has not switched it off.
    """

    __tablename__ = "clients"
    __table_args__ = (
        UniqueConstraint("owner", "id"),
        CheckConstraint("context IN ('none', 'organization', 'account', 'any', 'fixed')", name="context"),
        CheckConstraint("context <> 'fixed' OR context_organization_id IS NOT NULL", name="fixed_context"),
        CheckConstraint("first_party = 0 OR owner = 'operator'", name="first_party_is_the_operators_word"),
        Index("ix_clients_cover", "id", "owner", "enabled_for_all", "ended_at"),
        {"sqlite_with_rowid": False},
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.client)
    owner: Mapped[str] = mapped_column(default=OPERATOR)
    name: Mapped[str]
    metadata_json: Mapped[str] = mapped_column(default="{}")
    context: Mapped[str] = mapped_column(default="none")
    context_organization_id: Mapped[str | None]
    context_account_id: Mapped[str | None]
    enabled_for_all: Mapped[int] = mapped_column(default=1)
    first_party: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[int] = mapped_column(default=clock.now)
    ended_at: Mapped[int | None]


class ClientDisablement(Period, Model):
    """A time in which a client may do nothing anywhere."""

    __tablename__ = "client_disablements"
    __table_args__ = (
        Index("ix_client_disablements_cover", "client_id", "started_at", "ended_at"),
        Index("uq_client_disablements_live", "client_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.id"))


class ClientSwitch(Period, Model):
    """Whether an operator's client is on (`enabled` 1) or off (0) in one organization, where that was said."""

    __tablename__ = "client_switches"
    __table_args__ = (
        CheckConstraint("enabled IN (0, 1)", name="enabled"),
        Index("ix_client_switches_cover", "client_id", "organization_id", "enabled", "started_at", "ended_at"),
        Index(
            "uq_client_switches_live",
            "client_id",
            "organization_id",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.id"))
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    enabled: Mapped[int]


class ClientSecret(Model):
    """A secret of a client, by its digest. Two may live at a time, so that one can be replaced without a gap."""

    __tablename__ = "client_secrets"
    __table_args__ = (Index("ix_client_secrets_client_id", "client_id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.client_secret)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.id"))
    digest: Mapped[bytes]
    created_at: Mapped[int] = mapped_column(default=clock.now)
    last_used_at: Mapped[int | None]
    ended_at: Mapped[int | None]


class ClientOrigin(Model):
    """An origin (of `cors_origins`) from which scripts of a client may call: what a preflight is answered by."""

    __tablename__ = "client_origins"
    __table_args__ = (Index("ix_client_origins_origin", "origin"), {"sqlite_with_rowid": False})

    client_id: Mapped[str] = mapped_column(ForeignKey("clients.id"), primary_key=True)
    origin: Mapped[str] = mapped_column(primary_key=True)


class ClientKeySet(Model):
    """The keys of a client as last fetched from its `jwks_uri`: a good copy, and when another was last tried for."""

    __tablename__ = "client_key_sets"

    client_id: Mapped[str] = mapped_column(ForeignKey("clients.id"), primary_key=True)
    uri: Mapped[str]
    keys_json: Mapped[str] = mapped_column(default="")
    fetched_at: Mapped[int | None]
    tried_at: Mapped[int]


class Api(Period, Model):
    """A resource server: a downstream service, named by its audience URI."""

    __tablename__ = "apis"
    __table_args__ = (
        Index("uq_apis_live", "audience", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("ix_apis_cover", "audience", "id", "started_at", "ended_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.api)
    audience: Mapped[str]
    name: Mapped[str]


class ApiScope(Period, Model):
    """A scope that clients may ask for at an API, with the words that a person reads when consenting."""

    __tablename__ = "api_scopes"
    __table_args__ = (
        Index("uq_api_scopes_live", "api_id", "name", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    api_id: Mapped[str] = mapped_column(ForeignKey("apis.id"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")


class ApiPermission(Period, Model):
    """A permission that an API declares. `as_issuer` 1: declared by its bare name, held by whom the issuer says."""

    __tablename__ = "api_permissions"
    __table_args__ = (
        Index("uq_api_permissions_live", "api_id", "name", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("ix_api_permissions_cover", "api_id", "name", "started_at", "ended_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    api_id: Mapped[str] = mapped_column(ForeignKey("apis.id"))
    name: Mapped[str]
    as_issuer: Mapped[int] = mapped_column(default=0)


class ApiPermissionHolder(Period, Model):
    """A built-in role that holds a declared permission: in live accounts, in sandboxes, or in both."""

    __tablename__ = "api_permission_holders"
    __table_args__ = (
        CheckConstraint("live IN (0, 1) AND sandbox IN (0, 1) AND live + sandbox > 0", name="modes"),
        Index(
            "uq_api_permission_holders_live",
            "api_id",
            "permission",
            "role_key",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
        Index(
            "ix_api_permission_holders_cover",
            "api_id",
            "role_key",
            "permission",
            "live",
            "sandbox",
            "started_at",
            "ended_at",
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    api_id: Mapped[str] = mapped_column(ForeignKey("apis.id"))
    permission: Mapped[str]
    role_key: Mapped[str]
    live: Mapped[int]
    sandbox: Mapped[int]
