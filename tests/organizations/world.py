"""A plain model of who may what: sets in memory, read off the rules of the domain, sharing no code with the rooms."""

from collections.abc import Callable
from dataclasses import dataclass, field

MAY_GRANT: dict[str, Callable[[str], bool]] = {
    "super_admin": lambda key: True,
    "admin": lambda key: key != "super_admin",
    "iam_admin": lambda key: key not in ("super_admin", "admin"),
}

Scope = tuple[str, str]
"""(`organization` | `account` | `group`, its id or key)."""


@dataclass(frozen=True)
class Grant:
    """A grant: who holds it (`user:…`, `team:…`, `client:…`), what, where, from when, until when."""

    grantee: str
    role: str
    scope: Scope
    begins: int = 0
    ends: int | None = None


@dataclass
class Organization:
    """One organization as a value; `members` maps users to their status."""

    owner: str
    members: dict[str, str]
    suspended: bool = False
    accounts: set[str] = field(default_factory=set)
    groups: dict[str, set[str]] = field(default_factory=dict)
    teams: dict[str, set[str]] = field(default_factory=dict)
    custom: dict[str, frozenset[str]] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)


@dataclass
class World:
    """Everything that decides."""

    organizations: dict[str, Organization] = field(default_factory=dict)
    live: dict[str, bool] = field(default_factory=dict)
    suspended_accounts: set[str] = field(default_factory=set)
    disabled: set[str] = field(default_factory=set)
    off: set[tuple[str, str]] = field(default_factory=set)
    """Clients that are switched off: (client, organization)."""

    def roles(self, who: str, organization: str, account: str, at: int) -> set[str]:
        """Keys of the roles that `who` (`user:…` or `client:…`) holds; `account` empty: on the organization."""
        there = self.organizations[organization]
        kind, _, name = who.partition(":")
        if there.suspended or (kind == "user" and (there.members.get(name) != "active" or name in self.disabled)):
            return set()
        if kind == "client" and (name, organization) in self.off:
            return set()
        if account and (account not in there.accounts or account in self.suspended_accounts):
            return set()
        names = {who} | {f"team:{team}" for team, people in there.teams.items() if kind == "user" and name in people}
        scopes: set[Scope] = {("organization", organization)}
        if account:
            scopes |= {("account", account)} | {("group", g) for g, held in there.groups.items() if account in held}
        held = {
            grant.role
            for grant in there.grants.values()
            if grant.grantee in names and grant.scope in scopes and grant.begins <= at
            if grant.ends is None or grant.ends > at
        }
        return held | ({"super_admin"} if kind == "user" and there.owner == name else set())

    def permissions(
        self, who: str, organization: str, account: str, at: int, built_in: dict[str, tuple[set[str], set[str]]]
    ) -> set[str]:
        """What those roles allow at the issuer's audience, in the mode of the context."""
        live = self.live[account] if account else True
        custom = self.organizations[organization].custom
        found: set[str] = set()
        for role in self.roles(who, organization, account, at):
            found |= custom[role] if role in custom else built_in[role][0 if live else 1]
        return found

    def held(self, who: str, at: int) -> set[tuple[str, str, str]]:
        """Every (organization, account or empty, role) that `who` holds anywhere."""
        return {
            (organization, account, role)
            for organization, there in self.organizations.items()
            for account in ("", *there.accounts)
            for role in self.roles(who, organization, account, at)
        }

    def may_grant(self, who: str, organization: str, scope: Scope, role: str, at: int) -> bool:
        """Whether a role of `who` at that scope may grant `role`."""
        kind, name = scope
        there = self.organizations[organization]
        if kind == "group":
            here = self.roles(who, organization, "", at) | {
                grant.role
                for grant in there.grants.values()
                if grant.scope == scope and grant.begins <= at and (grant.ends is None or grant.ends > at)
                if grant.grantee in {who} | {f"team:{team}" for team, p in there.teams.items() if who[5:] in p}
            }
        else:
            here = self.roles(who, organization, name if kind == "account" else "", at)
        return any(held in MAY_GRANT and MAY_GRANT[held](role) for held in here)
