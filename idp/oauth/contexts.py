"""Contexts: which organization or account the tokens of a client speak for, and whether its person may enter there.

What is wanted is settled in one order (`wanted`): parameters and scopes, the hint, what is registered for the client.
What is left to choose is `login`'s to ask. Nobody enters without a role there, nor with a client that is not usable
there; that is asked anew for every token (REF-10, ORG-05).
"""

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from idp.clients.clients import FIXED
from idp.clients.models import OPERATOR, Client
from idp.clients.registered import RegisteredClient
from idp.feed.positions import head_of_feed
from idp.login import entering
from idp.login.entering import Evidence
from idp.oauth.authorizations import LiveAuthorization
from idp.oauth.errors import (
    AccessDenied,
    InsufficientUserAuthentication,
    InvalidGrant,
    InvalidRequest,
    InvalidTarget,
    OAuthError,
)
from idp.organizations import choices, effective
from idp.organizations.conditions import CLIENT, ORGANIZATION, client_in_force, client_usable
from idp.organizations.effective import Context, EffectiveRoles, Holder, effective_roles
from idp.organizations.models import Placement, Slug
from idp.platform import clock, identifiers
from idp.platform.prepared import Prepared
from idp.sessions.levels import Level

NONE = "none"
"""The kind of context of tokens that speak for no organization."""

SPARE = 30 * clock.SECOND
"""A grant that has no more left than this is left out: its token would expire before it is of use."""

ORGANIZATION_SCOPE, ACCOUNT_SCOPE = "organization:", "account:"
"""What the scopes begin with that name a context."""


@dataclass(frozen=True)
class WantedContext:
    """What tokens are to speak for. `kind`: `none`, `organization`, `account` or `any`.

    `context` is set once that is settled. Else one has to be found: of that kind, within `organization_id` if given.
    """

    kind: str
    context: Context | None = None
    organization_id: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether nothing has to be chosen."""
        return self.kind == NONE or self.context is not None


@dataclass(frozen=True)
class Entered:
    """That somebody may act in a context, and with which roles; without `roles` the tokens speak for nothing.

    `head`: the feed position when that was so; `FOREVER` where it hangs on nothing that could be taken away. `level`:
    what the person's proofs amount to there, once they were judged, and `proven_at` when the last of them was given.
    """

    head: int
    roles: EffectiveRoles | None = None
    level: Level | None = None
    proven_at: int = 0

    @property
    def context(self) -> Context | None:
        """The organization, or the account of it."""
        return None if self.roles is None else self.roles.context

    @property
    def ends_at(self) -> int:
        """When the first of the grants that count expires; `FOREVER` where none does."""
        ends = None if self.roles is None else self.roles.expires_at
        return clock.FOREVER if ends is None else ends


class ContextLost(InvalidGrant):
    """What was decided for is gone: the organization, the account, the membership, the last role, or the client there.

    The grant is good for other contexts, and comes back to life with this one.
    """

    def __init__(self, message: str = "", *, error_detail: str = "") -> None:
        super().__init__(message, error_detail="context_lost")


NOWHERE = Entered(clock.FOREVER)
"""A person without a context."""


# What is wanted


def asked(organization: str = "", account: str = "", scope: Iterable[str] = ()) -> Context | None:
    """The context that a request names: by its parameters `organization` (id or slug) and `account` (id, or a key
    beside the organization), and by scopes `organization:<id>`, `account:<id>`; `None` where it names none.

    Raises `InvalidRequest` where they disagree. Whether anybody may enter there is another question: what does not
    exist is returned as it was named.
    """
    scopes = tuple(scope)
    organization_id = _agreed("organization", organization, scopes, ORGANIZATION_SCOPE, _organization_id)
    account_id = _agreed("account", account, scopes, ACCOUNT_SCOPE, lambda name: _account_id(organization_id, name))
    if not organization_id and not account_id:
        return None
    return Context(organization_id or _home_of(account_id), account_id)


def wanted(client: RegisteredClient, named: Context | None, hint: Context | None = None) -> WantedContext:
    """What the tokens of `client` are to speak for, in the order in which that is decided.

    `named`: see `asked`. `hint`: of the `id_token_hint`, with `prompt=none`. Raises `InvalidTarget`
    (`client_not_enabled`) when the client speaks for one fixed context and another one is named.
    """
    kind = client.context.kind
    if kind == FIXED:
        return WantedContext(_kind(_fixed(client)), _stay_fixed(client, named))
    if named is not None and kind == "account" and not named.account_id:
        return WantedContext(kind, organization_id=named.organization_id)
    settled = named or hint
    if settled is not None:
        return WantedContext(_kind(settled), settled)
    return WantedContext(kind)


def wanted_by_machine(client: RegisteredClient, named: Context | None) -> Context | None:
    """What a machine's token is to speak for: what the request names, or what is registered.

    Raises `InvalidTarget` as `wanted` does, and `InvalidRequest` when there is nobody to choose among several.
    """
    kind = client.context.kind
    if kind == FIXED:
        return _stay_fixed(client, named)
    if named is not None or kind == NONE:
        return named
    if kind == "organization" and client.owner != OPERATOR:
        return Context(client.owner)
    raise InvalidRequest("name the context in organization or account: this client has several")


# Entering


def enter(
    user_id: str, context: Context | None, client: RegisteredClient, *, refusal: type[OAuthError] = InvalidTarget
) -> Entered:
    """Let a person act through `client` in `context` (`None`: nowhere), with the roles that are effective now.

    Raises `refusal` with the `error_detail` `not_a_member` where no role is effective, whatever the reason, and
    `client_not_enabled` where the client is not usable: an organization's own is told that of every other one, and so
    not who is a member there (ORG-11).
    """
    if context is None:
        return NOWHERE
    if client.owner not in (OPERATOR, context.organization_id):
        raise refusal("the application is not enabled there", error_detail="client_not_enabled")
    roles = effective_roles(Holder(user_id), context, effective.now(spare=SPARE))
    if not roles.roles:
        raise refusal("there is nothing that the person may do there", error_detail="not_a_member")
    if not is_usable(client, context.organization_id):
        raise refusal("the application is not enabled there", error_detail="client_not_enabled")
    return Entered(roles.head, roles)


def enter_as_machine(client: RegisteredClient, context: Context | None) -> Entered:
    """Let `client` act for itself. Raises `InvalidTarget` as `enter` does, or `InvalidGrant` if it ended meanwhile."""
    if context is None:
        head = _ENABLED.one(client_id=client.id, at=clock.FOREVER)
        if head is None:
            raise InvalidGrant("the client is not enabled")
        return Entered(head)
    roles = effective_roles(Holder(client_id=client.id), context, effective.now(spare=SPARE))
    if roles.roles:
        return Entered(roles.head, roles)
    if not is_usable(client, context.organization_id):
        raise InvalidTarget("the client is not enabled there", error_detail="client_not_enabled")
    raise InvalidTarget("the client holds no role there", error_detail="not_a_member")


def possible(user_id: str, wanted: WantedContext, client: RegisteredClient) -> tuple[str, ...]:
    """The organizations (ids) that the person may choose in: active there, the client usable, within what is wanted."""
    mine = choices.organizations_of(user_id)
    return tuple(one.id for one in mine if wanted.organization_id in ("", one.id) and is_usable(client, one.id))


def is_usable(client: RegisteredClient, organization_id: str) -> bool:
    """Whether the client may be used for that organization: its own, or an operator's that is switched on there."""
    if client.owner != OPERATOR:
        return client.owner == organization_id
    return _USABLE.one(client_id=client.id, organization_id=organization_id, at=clock.FOREVER) is not None


def of_authorization(authorization: LiveAuthorization) -> Context | None:
    """The context that was decided for."""
    if authorization.organization_id is None:
        return None
    return Context(authorization.organization_id, authorization.account_id or "")


def enter_again(authorization: LiveAuthorization, client: RegisteredClient, named: Context | None = None) -> Entered:
    """Enter what was decided for, or where `named` moves to: within its organization, and for first-party clients to
    other organizations too.

    Raises `InvalidGrant` (`context_lost`) when what was decided for is gone, `InvalidTarget` for what is not to be had,
    and `InsufficientUserAuthentication` where more proof is demanded than was given; the grant stays good.
    """
    entered = _enter_again(authorization, client, named)
    judged = entering.judge(authorization.user_id, entered.roles, _shown(authorization))
    if (lacking := judged.lacking) is not None:
        raise InsufficientUserAuthentication(
            "the organization demands more proof, or a newer one",
            error_detail=lacking.detail,
            acr_values=lacking.least if lacking.can_be_proven else "",
            max_age="" if lacking.max_age is None else str(lacking.max_age // clock.SECOND),
        )
    return dataclasses.replace(entered, level=judged.level, proven_at=judged.proven_at)


def _shown(authorization: LiveAuthorization) -> Evidence:
    """What was proven when the authorization was given; what outlives its session does not age."""
    pause = 0 if authorization.offline else authorization.session_pause
    return Evidence(authorization.proofs, pause, is_lasting=authorization.offline)


def _enter_again(authorization: LiveAuthorization, client: RegisteredClient, named: Context | None) -> Entered:
    own = of_authorization(authorization)
    if client.context.kind == FIXED:
        named = _stay_fixed(client, named)
    if named is None or named == own:
        return enter(authorization.user_id, own, client, refusal=ContextLost)
    stays = own is not None and named.organization_id == own.organization_id
    if not stays and not client.first_party:
        raise InvalidTarget("the authorization is for another organization", error_detail="client_not_enabled")
    return enter(authorization.user_id, named, client)


def denied(refusal: OAuthError) -> OAuthError:
    """`refusal` as the authorization endpoint says it."""
    return AccessDenied(refusal.message, error_detail=refusal.error_detail) if refusal.error_detail else refusal


# Registered


def _fixed(client: RegisteredClient) -> Context:
    return Context(client.context.organization_id or "", client.context.account_id or "")


def _stay_fixed(client: RegisteredClient, named: Context | None) -> Context:
    fixed = _fixed(client)
    if named not in (None, fixed, dataclasses.replace(fixed, account_id="")):
        raise InvalidTarget("the client speaks for another context", error_detail="client_not_enabled")
    return fixed


def _kind(context: Context) -> str:
    return "account" if context.account_id else "organization"


# Names


def _agreed(what: str, sent: str, scopes: tuple[str, ...], prefix: str, resolve: Callable[[str], str]) -> str:
    """The one id that the parameter and the scopes mean; empty where they say nothing."""
    by_scope = [scope.removeprefix(prefix) for scope in scopes if scope.startswith(prefix)]
    meant = {resolve(name) for name in (sent, *by_scope) if name}
    if len(meant) > 1:
        raise InvalidRequest(f"parameter and scopes name more than one {what}")
    return next(iter(meant), "")


def _organization_id(name: str) -> str:
    if identifiers.is_one("org", name):
        return name
    return _BY_SLUG.one(slug=name) or name


def _account_id(organization_id: str, name: str) -> str:
    if identifiers.is_one("acct", name) or not organization_id:
        return name
    return _BY_KEY.one(organization_id=organization_id, key=name) or name


def _home_of(account_id: str) -> str:
    """The organization that the account is in; empty where there is no such account."""
    return _HOME.one(account_id=account_id) or ""


_BY_SLUG: Prepared[str] = Prepared(select(Slug.organization_id).where(Slug.slug == bindparam("slug")), str)

_BY_KEY: Prepared[str] = Prepared(
    select(Placement.account_id).where(
        Placement.organization_id == bindparam("organization_id"),
        Placement.key == bindparam("key"),
        Placement.ended_at.is_(None),
    ),
    str,
)

_HOME: Prepared[str] = Prepared(
    select(Placement.organization_id).where(
        Placement.account_id == bindparam("account_id"), Placement.ended_at.is_(None)
    ),
    str,
)

_USABLE: Prepared[str] = Prepared(
    select(Client.id).where(Client.id == CLIENT, client_in_force(Client), client_usable(Client, ORGANIZATION)), str
)

_ENABLED: Prepared[int] = Prepared(
    select(head_of_feed).where(select(Client.id).where(Client.id == CLIENT, client_in_force(Client)).exists()), int
)
