"""What entering a context takes: the strictest of what its organization, and each role held in it, demand.

Asked whenever a context is entered or renewed, and remembered nowhere. Levels are those of `acr`; whoever proves
something compares them.
"""

from dataclasses import dataclass
from functools import cache

from sqlalchemy import ColumnElement, and_, bindparam, case, exists, or_, select

from idp.clients import declaration
from idp.organizations import policies
from idp.organizations.effective import EffectiveRoles, HeldRole
from idp.organizations.models import Domain, Policy, Role, RolePermission
from idp.organizations.policies import METHODS, PolicySettings
from idp.platform import clock
from idp.platform.prepared import Prepared
from idp.platform.settings import settings
from idp.users.addresses import lasting
from idp.users.models import Address

NO_LEVEL = ""


@dataclass(frozen=True)
class Entry:
    """`levels`: each level that something demands. `methods`: those that count. `idle`, `longest`: microseconds since
    the session was last used, and since its person last proved anything. `trusts_devices`: a browser that the person
    trusts counts as the second factor that they trusted it by. `takes_sso`: only a company's own sign-in will do.
    """

    levels: tuple[str, ...] = ()
    methods: tuple[str, ...] = METHODS
    idle: int = clock.FOREVER
    longest: int = clock.FOREVER
    trusts_devices: bool = True
    takes_sso: bool = False


ANYWHERE = Entry()
"""Without a context nothing is demanded."""


def of(user_id: str, held: EffectiveRoles | None) -> Entry:
    """What it takes of a person to enter the context in which they hold these roles."""
    if held is None:
        return ANYWHERE
    found = _STANDING.one(organization_id=held.context.organization_id, user_id=user_id, now=clock.now())
    policy = policies.load(found.settings_json) if found and found.settings_json else PolicySettings()
    is_guest = found is not None and bool(found.is_guest)
    return Entry(
        levels=tuple(level for level in (*_of_everybody(policy, is_guest), *_of_roles(policy, held)) if level),
        methods=policy.methods,
        idle=policy.session_idle * clock.SECOND,
        longest=policy.session_max * clock.SECOND,
        trusts_devices=policy.trusted_devices,
        takes_sso=is_guest and policy.guests == "sso_only",
    )


def _of_everybody(policy: PolicySettings, is_guest: bool) -> tuple[str, ...]:
    is_asked = policy.mfa == "required" or (is_guest and policy.guests == "mfa")
    return ("aal2",) if is_asked else ()


def _of_roles(policy: PolicySettings, held: EffectiveRoles) -> tuple[str, ...]:
    demands = [_demands(role) for role in held.held]
    return (*(level for level, _ in demands), *(policy.privileged for _, privileged in demands if privileged))


def _demands(role: HeldRole) -> tuple[str, bool]:
    """The level that a role demands by itself, and whether it is privileged."""
    if not role.role_id or not role.key.startswith("x_"):
        return _of_built_in().get(role.key, (NO_LEVEL, False))
    found = _custom().one(role_id=role.role_id, issuer=settings().issuer)
    return (found.demands, bool(found.is_privileged)) if found else (NO_LEVEL, False)


@cache
def _of_built_in() -> dict[str, tuple[str, bool]]:
    """Of the roles that come with this release, which nobody changes while it runs."""
    shipped = declaration.shipped()
    return {
        role.key: (role.demands, not shipped.privileged.isdisjoint(role.live | role.sandbox)) for role in shipped.roles
    }


# The statements


@dataclass(frozen=True)
class _Standing:
    settings_json: str | None
    is_guest: int


_PROVEN = (
    Domain.organization_id == bindparam("organization_id"),
    Domain.verified_at.is_not(None),
    Domain.ended_at.is_(None),
)

_NOW: ColumnElement[int] = bindparam("now")

_AT_HOME = select(Address.id).where(
    Address.user_id == bindparam("user_id"),
    Address.verified_at.is_not(None),
    lasting(_NOW),
    Address.domain.in_(select(Domain.name).where(*_PROVEN)),
)

_STANDING: Prepared[_Standing] = Prepared(
    select(
        select(Policy.settings_json)
        .where(Policy.organization_id == bindparam("organization_id"))
        .scalar_subquery()
        .label("settings_json"),
        case((and_(exists().where(*_PROVEN), ~_AT_HOME.exists()), 1), else_=0).label("is_guest"),
    ),
    _Standing,
)
"""The policy, and whether the person is a guest: some domain is proven there, and no address of theirs lies in one.

An organization that has proven no domain cannot tell its own people from guests, and has none.
"""


@dataclass(frozen=True)
class _Custom:
    demands: str
    is_privileged: int


@cache
def _custom() -> Prepared[_Custom]:
    """Built when first asked: which permissions give or remove access stands in the file of the release."""
    listed = select(RolePermission.id).where(
        RolePermission.role_id == Role.id,
        RolePermission.ended_at.is_(None),
        or_(RolePermission.audience == "", RolePermission.audience == bindparam("issuer")),
        or_(*(RolePermission.permission == name for name in sorted(declaration.shipped().privileged))),
    )
    wanted = select(Role.demands, case((listed.exists(), 1), else_=0).label("is_privileged"))
    return Prepared(wanted.where(Role.id == bindparam("role_id")), _Custom)
