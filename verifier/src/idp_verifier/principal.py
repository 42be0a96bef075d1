"""Who calls, in which context, and what that allows: what a service asks after the token was verified."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from idp_verifier.accounts import Account
from idp_verifier.clocks import Clocks
from idp_verifier.provider import Json
from idp_verifier.refusals import Forbidden, InsufficientAuthentication, InsufficientScope
from idp_verifier.tokens import Token

LEVELS: Final = ("aal1", "aal2", "phr")
"""The values of `acr`, the weakest first."""


@dataclass(frozen=True)
class World:
    """What a principal has to ask beyond its token.

    `account`: finds an account by its id, or `None`; raises `Unavailable`. `roles_for`: the roles that allow a
    permission, for tokens that do not list permissions.
    """

    account: Callable[[str], Account | None]
    roles_for: Mapping[str, Collection[str]]
    clocks: Clocks


@dataclass(frozen=True)
class Principal:
    """The caller of one request. Absent texts are empty; times are seconds since 1970.

    `roles` is the effective union: nothing has to be inherited by the service. `permissions` is `None` where the token
    does not list them. `actor` acts on behalf of `subject`. `livemode`: not a sandbox.
    """

    subject: str
    client_id: str
    organization_id: str
    account_id: str
    scope: frozenset[str]
    roles: frozenset[str]
    organization_roles: frozenset[str]
    account_roles: frozenset[str]
    permissions: frozenset[str] | None
    livemode: bool
    acr: str
    amr: tuple[str, ...]
    auth_time: int | None
    session_id: str
    actor: str
    claims: Mapping[str, Json] = field(repr=False, compare=False)
    _world: World = field(repr=False, compare=False)

    @property
    def is_person(self) -> bool:
        """Whether somebody signed in for this; otherwise a program acts for itself."""
        return self.auth_time is not None

    def may(self, permission: str, *, account: str = "", scope: str = "") -> bool:
        """Whether `require` would let it pass. Raises `Unavailable` alone."""
        try:
            self.require(permission, account=account, scope=scope)
        except (Forbidden, InsufficientScope):
            return False
        return True

    def require(self, permission: str = "", *, account: str = "", scope: str = "", role: str = "") -> None:
        """Pass if the token's scope covers the call and a role does, in the account concerned.

        `account`: the one that the request names, if it names one; a header or parameter alone is never believed.
        `role`: one that has to be held, for services that do not think in permissions. What is left out is not asked.
        Raises `InsufficientScope`, `Forbidden` and `Unavailable`.
        """
        missing = frozenset(scope.split()) - self.scope
        if missing:
            raise InsufficientScope("The token does not cover this.", scope=scope)
        if permission and not self._holds(permission):
            raise Forbidden(f"This needs {permission}.", permission=permission)
        if role and role not in self.roles:
            raise Forbidden(f"This needs the role {role}.", role=role)
        if account:
            self._require_account(account)

    def require_proof(self, *, acr: str = "", max_age: int | None = None) -> None:
        """Pass if the person proved at least `acr`, at most `max_age` seconds ago (RFC 9470).

        Raises `InsufficientAuthentication`, with what the client has to send to authorize; `Forbidden` for programs,
        which can prove nothing.
        """
        if self.auth_time is None:
            raise Forbidden("This needs a person.")
        is_recent = max_age is None or self._world.clocks.wall() - self.auth_time <= max_age
        if is_recent and (not acr or _meets(self.acr, acr)):
            return
        asked = {"acr_values": acr} | ({} if max_age is None else {"max_age": str(max_age)})
        raise InsufficientAuthentication("Another or a more recent authentication is needed.", **asked)

    def _holds(self, permission: str) -> bool:
        if self.permissions is not None:
            return permission in self.permissions
        return not self.roles.isdisjoint(self._world.roles_for.get(permission, ()))

    def _require_account(self, account_id: str) -> None:
        if self.account_id:
            if account_id != self.account_id:
                raise Forbidden("The token is for another account.")
            return
        account = self._world.account(account_id) if self.organization_id else None
        if account is None or account.organization_id != self.organization_id:
            raise Forbidden("The token is not for this account.")  # whether there is one, is not told
        if not account.is_active or account.livemode != self.livemode:
            raise Forbidden("The account is suspended, or of another mode.")


def of(token: Token, world: World) -> Principal:
    """Whoever `token` speaks for."""
    actor = token.claims.get("act")
    return Principal(
        subject=token.text("sub"),
        client_id=token.text("client_id"),
        organization_id=token.text("org_id"),
        account_id=token.text("account_id"),
        scope=frozenset(token.text("scope").split()),
        roles=frozenset(token.texts("roles")),
        organization_roles=frozenset(token.texts("org_roles")),
        account_roles=frozenset(token.texts("account_roles")),
        permissions=frozenset(token.texts("permissions")) if "permissions" in token.claims else None,
        livemode=token.claims.get("livemode") is True,
        acr=token.text("acr"),
        amr=token.texts("amr"),
        auth_time=token.seconds("auth_time"),
        session_id=token.text("sid"),
        actor=str(actor["sub"]) if isinstance(actor, dict) and isinstance(actor.get("sub"), str) else "",
        claims=token.claims,
        _world=world,
    )


def _meets(acr: str, wanted: str) -> bool:
    if acr in LEVELS and wanted in LEVELS:
        return LEVELS.index(acr) >= LEVELS.index(wanted)
    return acr == wanted
