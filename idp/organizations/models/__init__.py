"""Tables of organizations: accounts, people in them, teams, roles, grants. Every edge keeps its history.

Composite keys carry the organization into every edge, so that another organization's account, member, team, group,
role or client cannot be named by any path. `placement` is one stay of an account in an organization: it keeps its
row when the account moves on, and what was granted on it counts only while the stay is open.

By subject: `organizations`, `accounts`, `people`, `roles`. Whoever asks crosses them all the time, so all stand here.
"""

from idp.organizations.models.accounts import (
    Account,
    AccountGroup,
    AccountMove,
    AccountSuspension,
    GroupAccount,
    Placement,
)
from idp.organizations.models.organizations import Branding, Domain, Organization, OrganizationSuspension, Policy, Slug
from idp.organizations.models.people import (
    BreakGlassCode,
    Deputy,
    Invitation,
    InvitationGrant,
    Membership,
    MembershipStatus,
    Ownership,
    Team,
    TeamMember,
)
from idp.organizations.models.roles import BUILT_IN, Role, RoleGrant, RolePermission

__all__ = [
    "BUILT_IN",
    "Account",
    "AccountGroup",
    "AccountMove",
    "AccountSuspension",
    "Branding",
    "BreakGlassCode",
    "Deputy",
    "Domain",
    "GroupAccount",
    "Invitation",
    "InvitationGrant",
    "Membership",
    "MembershipStatus",
    "Organization",
    "OrganizationSuspension",
    "Ownership",
    "Placement",
    "Policy",
    "Role",
    "RoleGrant",
    "RolePermission",
    "Slug",
    "Team",
    "TeamMember",
]
