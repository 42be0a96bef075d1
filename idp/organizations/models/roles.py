"""Tables of roles and of who holds them where."""

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from idp.organizations.models.edges import one_live, within
from idp.platform import identifiers
from idp.platform.database import Model, Period

BUILT_IN = "canopy"
"""The owner of the built-in roles, where a custom role names its organization."""


class Role(Period, Model):
    """A set of permissions under a key. `owner`: an organization's id, or `BUILT_IN`.

    What a built-in role allows is declared by each API (the issuer's own: `config/roles.yaml`); what a custom role
    allows are its `RolePermission` rows. `may_grant`: `none`, or space-separated role keys, `any` and `-key`.
    `demands`: the level of proof that entering with this role takes, or empty.
    """

    __tablename__ = "roles"
    __table_args__ = (
        UniqueConstraint("owner", "id", "key"),
        one_live("uq_roles_key", "owner", "key"),
        CheckConstraint("at_organization IN (0, 1) AND at_account IN (0, 1)", name="assignable_at"),
        CheckConstraint("demands IN ('', 'aal1', 'aal2', 'phr')", name="demands"),
        CheckConstraint("(owner = 'canopy') = (substr(key, 1, 2) <> 'x_')", name="custom_keys_begin_with_x"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.role)
    owner: Mapped[str]
    key: Mapped[str]
    name: Mapped[str]
    at_organization: Mapped[int] = mapped_column(default=1)
    at_account: Mapped[int] = mapped_column(default=1)
    may_grant: Mapped[str] = mapped_column(default="none")
    demands: Mapped[str] = mapped_column(default="")
    sensitive: Mapped[int] = mapped_column(default=0)


class RolePermission(Period, Model):
    """A permission of a custom role. `audience` empty: it counts at every API that declares the name."""

    __tablename__ = "role_permissions"
    __table_args__ = (
        CheckConstraint("live IN (0, 1) AND sandbox IN (0, 1) AND live + sandbox > 0", name="modes"),
        one_live("uq_role_permissions_live", "role_id", "audience", "permission"),
        Index(
            "ix_role_permissions_cover",
            "role_id",
            "audience",
            "permission",
            "live",
            "sandbox",
            "started_at",
            "ended_at",
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    role_id: Mapped[str] = mapped_column(ForeignKey("roles.id"))
    audience: Mapped[str] = mapped_column(default="")
    permission: Mapped[str]
    live: Mapped[int] = mapped_column(default=1)
    sandbox: Mapped[int] = mapped_column(default=1)


class RoleGrant(Period, Model):
    """A role that a grantee holds at a scope, who says so, and from when to when. Ended, never edited.

    The grantee is a member, a team or an API client; the scope is one stay of an account, an account group, or the
    organization (neither named). `grantee` and `scope` repeat whichever it is, and `role_key` the key of the role (it
    never changes), so that one index answers for all.
    """

    __tablename__ = "role_grants"
    __table_args__ = (
        within("member_id", "memberships"),
        within("team_id", "teams"),
        within("placement_id", "account_placements"),
        within("account_group_id", "account_groups"),
        ForeignKeyConstraint(["client_owner", "client_id"], ["clients.owner", "clients.id"]),
        ForeignKeyConstraint(["role_owner", "role_id", "role_key"], ["roles.owner", "roles.id", "roles.key"]),
        CheckConstraint("role_owner IN ('canopy', organization_id)", name="own_role"),
        CheckConstraint("client_owner IN ('operator', organization_id)", name="own_client"),
        CheckConstraint("(client_owner IS NULL) = (client_id IS NULL)", name="client_and_owner"),
        CheckConstraint("placement_id IS NULL OR account_group_id IS NULL", name="one_scope"),
        CheckConstraint(
            "CASE WHEN member_id IS NULL THEN 0 ELSE 1 END + CASE WHEN team_id IS NULL THEN 0 ELSE 1 END"
            " + CASE WHEN client_id IS NULL THEN 0 ELSE 1 END = 1",
            name="one_grantee",
        ),
        CheckConstraint("grantee = coalesce(member_id, team_id, client_id)", name="grantee"),
        CheckConstraint("scope = coalesce(placement_id, account_group_id, organization_id)", name="scope"),
        Index(
            "ix_role_grants_cover",
            "grantee",
            "scope",
            "role_id",
            "role_key",
            "role_owner",
            "effective_from",
            "expires_at",
            "started_at",
            "ended_at",
            "id",
        ),
        Index("ix_role_grants_scope", "organization_id", "scope"),
        Index("ix_role_grants_role", "organization_id", "role_id"),
        one_live("uq_role_grants_live", "grantee", "scope", "role_id", "source"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.grant)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    grantee: Mapped[str]
    member_id: Mapped[str | None]
    team_id: Mapped[str | None]
    client_owner: Mapped[str | None]
    client_id: Mapped[str | None]
    role_owner: Mapped[str]
    role_id: Mapped[str]
    role_key: Mapped[str]
    scope: Mapped[str]
    placement_id: Mapped[str | None]
    account_group_id: Mapped[str | None]
    source: Mapped[str]
    made_by: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    effective_from: Mapped[int]
    confirmed_at: Mapped[int]
    expires_at: Mapped[int | None]
