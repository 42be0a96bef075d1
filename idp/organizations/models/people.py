"""Tables of people in organizations: memberships, ownership, teams, and invitations to join."""

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from idp.organizations.models.edges import one_live, within
from idp.platform import clock, identifiers
from idp.platform.database import Model, Period


class Membership(Period, Model):
    """A person in an organization; ended when the person is removed. Its status is a row of `MembershipStatus`."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        one_live("uq_memberships_live", "organization_id", "user_id"),
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
        within("member_id", "memberships"),
        CheckConstraint("status IN ('invited', 'active', 'suspended')", name="status"),
        one_live("uq_membership_statuses_live", "member_id"),
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
        within("member_id", "memberships"),
        one_live("uq_ownerships_live", "organization_id"),
        Index("ix_ownerships_cover", "member_id", "organization_id", "started_at", "ended_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    member_id: Mapped[str]


class Deputy(Period, Model):
    """The super admin who becomes owner when a directory or connection deactivates the owner."""

    __tablename__ = "deputies"
    __table_args__ = (within("member_id", "memberships"), one_live("uq_deputies_live", "organization_id"))

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    member_id: Mapped[str]


class Team(Period, Model):
    """A named set of members, kept by hand or by a directory."""

    __tablename__ = "teams"
    __table_args__ = (UniqueConstraint("organization_id", "id"), one_live("uq_teams_key", "organization_id", "key"))

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.team)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    key: Mapped[str]
    name: Mapped[str]


class TeamMember(Period, Model):
    """A member's place in a team."""

    __tablename__ = "team_members"
    __table_args__ = (
        within("team_id", "teams"),
        within("member_id", "memberships"),
        one_live("uq_team_members_live", "member_id", "team_id"),
        Index("ix_team_members_cover", "member_id", "team_id", "started_at", "ended_at"),
        Index("ix_team_members_team", "team_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.edge)
    organization_id: Mapped[str]
    team_id: Mapped[str]
    member_id: Mapped[str]


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


class BreakGlassCode(Model):
    """A code that stands in once for the sign-in of an organization's own company, when that is down.

    `ended_at`: a newer set replaced its own. `used_by`: the person who spent it.
    """

    __tablename__ = "break_glass_codes"
    __table_args__ = (Index("ix_break_glass_codes_organization_id", "organization_id"),)

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    created_at: Mapped[int] = mapped_column(default=clock.now)
    used_at: Mapped[int | None]
    used_by: Mapped[str] = mapped_column(default="")
    ended_at: Mapped[int | None]


class InvitationGrant(Model):
    """A role that an invitation brings, at a scope."""

    __tablename__ = "invitation_grants"
    __table_args__ = (
        within("invitation_id", "invitations"),
        within("placement_id", "account_placements"),
        within("account_group_id", "account_groups"),
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
