"""Tables of organizations: accounts, people in them, teams, roles, grants. Every edge keeps its history.

Composite keys carry the organization into every edge, so that another organization's account, member, team, group,
role or client cannot be named by any path. `placement` is one stay of an account in an organization: it keeps its
row when the account moves on, and what was granted on it counts only while the stay is open.
"""

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock, identifiers
from idp.platform.database import Model, Period

BUILT_IN = "canopy"
"""The owner of the built-in roles, where a custom role names its organization."""

_LIVE = text("ended_at IS NULL")


def _one_live(name: str, *columns: str) -> Index:
    return Index(name, *columns, unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE)


def _within(column: str, target: str) -> ForeignKeyConstraint:
    """`column` names a row of `target` in the same organization."""
    return ForeignKeyConstraint(["organization_id", column], [f"{target}.organization_id", f"{target}.id"])


class Organization(Model):
    """The umbrella of a business. Its id never changes; its slug may, and is then nobody else's."""

    __tablename__ = "organizations"

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.organization)
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    created_at: Mapped[int] = mapped_column(default=clock.now)
    closed_at: Mapped[int | None]


class Slug(Model):
    """A slug that an organization has or had: never given to another one."""

    __tablename__ = "organization_slugs"

    slug: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    started_at: Mapped[int] = mapped_column(default=clock.now)


class OrganizationSuspension(Period, Model):
    """A time in which nothing counts in an organization. A closed organization is suspended without an end."""

    __tablename__ = "organization_suspensions"
    __table_args__ = (
        Index("ix_organization_suspensions_cover", "organization_id", "started_at", "ended_at"),
        _one_live("uq_organization_suspensions_live", "organization_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))


class Policy(Model):
    """What an organization demands of everyone who enters it, as a JSON object of `policies.Settings`."""

    __tablename__ = "organization_policies"

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    settings_json: Mapped[str]


class Branding(Model):
    """By what people know the organization: a hue in degrees (`NULL`: ours), and a picture (empty: none)."""

    __tablename__ = "organization_brandings"

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    hue: Mapped[int | None]
    logo: Mapped[bytes]


class Account(Model):
    """One business unit. `livemode` (1 live, 0 sandbox) is fixed at creation; where it belongs says its placement."""

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("id", "livemode"),
        CheckConstraint("livemode IN (0, 1)", name="livemode"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.account)
    name: Mapped[str]
    country: Mapped[str]
    livemode: Mapped[int]
    created_at: Mapped[int] = mapped_column(default=clock.now)


class Placement(Period, Model):
    """One stay of an account in an organization, under a key that is unique there."""

    __tablename__ = "account_placements"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        ForeignKeyConstraint(["account_id", "livemode"], ["accounts.id", "accounts.livemode"]),
        _one_live("uq_account_placements_account", "account_id"),
        _one_live("uq_account_placements_key", "organization_id", "key"),
        Index(
            "ix_account_placements_cover",
            "account_id",
            "organization_id",
            "id",
            "livemode",
            "started_at",
            "ended_at",
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.placement)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    account_id: Mapped[str]
    livemode: Mapped[int]
    key: Mapped[str]


class AccountSuspension(Period, Model):
    """A time in which nothing counts in an account; it stays with the account when it moves."""

    __tablename__ = "account_suspensions"
    __table_args__ = (
        Index("ix_account_suspensions_cover", "account_id", "started_at", "ended_at"),
        _one_live("uq_account_suspensions_live", "account_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))


class AccountMove(Model):
    """An account that one organization offers to another. Settled once: `accepted`, `declined` or `withdrawn`."""

    __tablename__ = "account_moves"
    __table_args__ = (
        _within("placement_id", "account_placements"),
        CheckConstraint("organization_id <> target_id", name="elsewhere"),
        CheckConstraint("outcome IN ('accepted', 'declined', 'withdrawn')", name="outcome"),
        Index(
            "uq_account_moves_open",
            "placement_id",
            unique=True,
            sqlite_where=text("outcome IS NULL"),
            postgresql_where=text("outcome IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.account_move)
    organization_id: Mapped[str]
    placement_id: Mapped[str]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    target_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    asked_by_kind: Mapped[str]
    asked_by: Mapped[str]
    asked_at: Mapped[int] = mapped_column(default=clock.now)
    outcome: Mapped[str | None]
    settled_by: Mapped[str | None]
    settled_at: Mapped[int | None]


class AccountGroup(Period, Model):
    """A named set of accounts; roles granted on it reach its present and its future accounts."""

    __tablename__ = "account_groups"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        _one_live("uq_account_groups_key", "organization_id", "key"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.account_group)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    key: Mapped[str]
    name: Mapped[str]


class GroupAccount(Period, Model):
    """An account's place in a group."""

    __tablename__ = "account_group_accounts"
    __table_args__ = (
        _within("account_group_id", "account_groups"),
        _within("placement_id", "account_placements"),
        _one_live("uq_account_group_accounts_live", "placement_id", "account_group_id"),
        Index("ix_account_group_accounts_cover", "placement_id", "account_group_id", "started_at", "ended_at"),
        Index("ix_account_group_accounts_group", "account_group_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    organization_id: Mapped[str]
    account_group_id: Mapped[str]
    placement_id: Mapped[str]


class Membership(Period, Model):
    """A person in an organization; ended when the person is removed. Its status is a row of `MembershipStatus`."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        _one_live("uq_memberships_live", "organization_id", "user_id"),
        Index("ix_memberships_cover", "user_id", "organization_id", "id", "started_at", "ended_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.membership)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    source: Mapped[str] = mapped_column(default="manual")


class MembershipStatus(Period, Model):
    """What a membership was at a time: `invited`, `active` or `suspended`."""

    __tablename__ = "membership_statuses"
    __table_args__ = (
        _within("member_id", "memberships"),
        CheckConstraint("status IN ('invited', 'active', 'suspended')", name="status"),
        _one_live("uq_membership_statuses_live", "member_id"),
        Index("ix_membership_statuses_cover", "member_id", "status", "started_at", "ended_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    organization_id: Mapped[str]
    member_id: Mapped[str]
    status: Mapped[str]


class Ownership(Period, Model):
    """Who owns an organization: `super_admin` by this row, not by a grant. One at a time, and always one."""

    __tablename__ = "ownerships"
    __table_args__ = (
        _within("member_id", "memberships"),
        _one_live("uq_ownerships_live", "organization_id"),
        Index("ix_ownerships_cover", "member_id", "organization_id", "started_at", "ended_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    member_id: Mapped[str]


class Deputy(Period, Model):
    """The super admin who becomes owner when a directory or connection deactivates the owner."""

    __tablename__ = "deputies"
    __table_args__ = (_within("member_id", "memberships"), _one_live("uq_deputies_live", "organization_id"))

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    member_id: Mapped[str]


class Team(Period, Model):
    """A named set of members, kept by hand or by a directory."""

    __tablename__ = "teams"
    __table_args__ = (UniqueConstraint("organization_id", "id"), _one_live("uq_teams_key", "organization_id", "key"))

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.team)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    key: Mapped[str]
    name: Mapped[str]


class TeamMember(Period, Model):
    """A member's place in a team."""

    __tablename__ = "team_members"
    __table_args__ = (
        _within("team_id", "teams"),
        _within("member_id", "memberships"),
        _one_live("uq_team_members_live", "member_id", "team_id"),
        Index("ix_team_members_cover", "member_id", "team_id", "started_at", "ended_at"),
        Index("ix_team_members_team", "team_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    organization_id: Mapped[str]
    team_id: Mapped[str]
    member_id: Mapped[str]


class Role(Period, Model):
    """A set of permissions under a key. `owner`: an organization's id, or `BUILT_IN`.

    What a built-in role allows is declared by each API (the issuer's own: `config/roles.yaml`); what a custom role
    allows are its `RolePermission` rows. `may_grant`: `none`, or space-separated role keys, `any` and `-key`.
    `demands`: the level of proof that entering with this role takes, or empty.
    """

    __tablename__ = "roles"
    __table_args__ = (
        UniqueConstraint("owner", "id", "key"),
        _one_live("uq_roles_key", "owner", "key"),
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
        _one_live("uq_role_permissions_live", "role_id", "audience", "permission"),
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
        _within("member_id", "memberships"),
        _within("team_id", "teams"),
        _within("placement_id", "account_placements"),
        _within("account_group_id", "account_groups"),
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
        _one_live("uq_role_grants_live", "grantee", "scope", "role_id", "source"),
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


class Invitation(Model):
    """A link that lets whoever proves the address join. Settled once: `accepted`, `revoked` or `replaced`."""

    __tablename__ = "invitations"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        CheckConstraint("outcome IN ('accepted', 'revoked', 'replaced')", name="outcome"),
        Index("ix_invitations_organization_id", "organization_id", "address_key"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.invitation)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    address: Mapped[str]
    address_key: Mapped[str]
    token_digest: Mapped[bytes] = mapped_column(unique=True)
    invited_by_kind: Mapped[str]
    invited_by: Mapped[str]
    created_at: Mapped[int] = mapped_column(default=clock.now)
    expires_at: Mapped[int]
    outcome: Mapped[str | None]
    settled_at: Mapped[int | None]
    member_id: Mapped[str | None]


class InvitationGrant(Model):
    """A role that an invitation brings, at a scope."""

    __tablename__ = "invitation_grants"
    __table_args__ = (
        _within("invitation_id", "invitations"),
        _within("placement_id", "account_placements"),
        _within("account_group_id", "account_groups"),
        ForeignKeyConstraint(["role_owner", "role_id", "role_key"], ["roles.owner", "roles.id", "roles.key"]),
        CheckConstraint("role_owner IN ('canopy', organization_id)", name="own_role"),
        CheckConstraint("placement_id IS NULL OR account_group_id IS NULL", name="one_scope"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    organization_id: Mapped[str]
    invitation_id: Mapped[str]
    role_owner: Mapped[str]
    role_id: Mapped[str]
    role_key: Mapped[str]
    placement_id: Mapped[str | None]
    account_group_id: Mapped[str | None]


class Domain(Period, Model):
    """An e-mail domain that an organization claims. Proven by one organization at a time; `proof` goes into DNS."""

    __tablename__ = "domains"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        CheckConstraint("mode IN ('off', 'optional', 'required')", name="mode"),
        _one_live("uq_domains_claim", "organization_id", "name"),
        Index(
            "uq_domains_proven",
            "name",
            unique=True,
            sqlite_where=text("ended_at IS NULL AND verified_at IS NOT NULL"),
            postgresql_where=text("ended_at IS NULL AND verified_at IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.domain)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str]
    proof: Mapped[str]
    mode: Mapped[str] = mapped_column(default="off")
    verified_at: Mapped[int | None]
