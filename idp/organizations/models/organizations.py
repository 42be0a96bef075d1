"""Tables of organizations themselves: what they are called, demand and look like, and which domains they claim."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.organizations.models.edges import one_live
from idp.platform import clock, identifiers
from idp.platform.database import Model, Period


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
        one_live("uq_organization_suspensions_live", "organization_id"),
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


class Domain(Period, Model):
    """An e-mail domain that an organization claims. Proven by one organization at a time; `proof` goes into DNS."""

    __tablename__ = "domains"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        CheckConstraint("mode IN ('off', 'optional', 'required')", name="mode"),
        one_live("uq_domains_claim", "organization_id", "name"),
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
