"""What an organization demands of everyone who enters it."""

import functools
import json
from dataclasses import asdict, dataclass, fields

from sqlalchemy import bindparam, select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.organizations import authority, locking
from idp.organizations.effective import Context
from idp.organizations.models import Policy
from idp.platform import database
from idp.platform.errors import Invalid
from idp.platform.prepared import Prepared

METHODS = ("password", "passkey", "totp", "email_code", "recovery_code", "sso")
_FIRST, _SECOND = {"password", "sso"}, {"totp", "email_code", "recovery_code"}
"""What two factors are made of, where neither of them is a passkey."""

MAX_COOLING_OFF = 48 * 3600


@dataclass(frozen=True)
class PolicySettings:
    """Demands of one organization; every lifetime in seconds.

    `mfa`: `off`, `optional`, `required`; `privileged`: the level that privileged roles take (`aal1`, `aal2`, `phr`);
    `guests`: members without an address in a proven domain: `mfa`, `any`, `sso_only`; `methods`: allowed ways to
    prove oneself; `trusted_devices`: whether a browser that a person chose to trust spares them the second factor;
    `cooling_off`: how long a sensitive role waits before it counts (0 to 48 hours).
    """

    mfa: str = "optional"
    privileged: str = "aal1"
    guests: str = "mfa"
    methods: tuple[str, ...] = METHODS
    session_idle: int = 28_800
    session_max: int = 86_400
    trusted_devices: bool = True
    cooling_off: int = 0

    def __post_init__(self) -> None:
        _one_of("mfa", self.mfa, ("off", "optional", "required"))
        _one_of("privileged", self.privileged, ("aal1", "aal2", "phr"))
        _one_of("guests", self.guests, ("mfa", "any", "sso_only"))
        for method in self.methods:
            _one_of("methods", method, METHODS)
        if not self.methods:
            raise Invalid("At least one way to sign in must be allowed.", field="methods")
        _between("session_idle", self.session_idle, 60, 28_800)
        _between("session_max", self.session_max, self.session_idle, 86_400)
        _flag("trusted_devices", self.trusted_devices)
        _between("cooling_off", self.cooling_off, 0, MAX_COOLING_OFF)

    def require_reachable(self) -> None:
        """Raises `Invalid` where no allowed method reaches what is demanded: nobody could enter any more."""
        allowed = set(self.methods)
        if self.privileged == "phr" and "passkey" not in allowed:
            raise Invalid("privileged: phr takes the method passkey.", field="privileged")
        has_two = "passkey" in allowed or (allowed & _FIRST and allowed & _SECOND)
        if (self.mfa == "required" or self.privileged == "aal2") and not has_two:
            raise Invalid("No two of the allowed methods are two factors.", field="methods")


NAMES = tuple(field.name for field in fields(PolicySettings))


def of(organization_id: str) -> PolicySettings:
    """The policy of the organization; the defaults where it has said nothing."""
    stored = _STORED.one(organization_id=organization_id)
    return PolicySettings() if stored is None else load(stored)


@functools.lru_cache(maxsize=1_000)
def load(stored: str) -> PolicySettings:
    """The policy that is stored as `stored`; read once per text."""
    values = json.loads(stored)
    return PolicySettings(**values | {"methods": tuple(values.get("methods", METHODS))})


def change(organization_id: str, wanted: PolicySettings, *, by: Actor) -> bool:
    """Let `wanted` be the policy; whether that changed anything. Takes `policies.write` on the organization.

    Raises `Invalid` where nobody could enter any more.
    """
    locking.lock_open(organization_id)
    authority.require(by, "policies.write", Context(organization_id))
    before = of(organization_id)
    if before == wanted:
        return False
    wanted.require_reachable()
    database.session().merge(Policy(organization_id=organization_id, settings_json=json.dumps(asdict(wanted))))
    trail.record(
        "organization.policy.changed",
        by=by,
        subject=organization_id,
        organization=organization_id,
        before=before,
        after=wanted,
    )
    return True


_STORED: Prepared[str] = Prepared(
    select(Policy.settings_json).where(Policy.organization_id == bindparam("organization_id")), str
)


def _one_of(field: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise Invalid(f"{field} must be one of {', '.join(known)}.", field=field)


def _flag(field: str, value: object) -> None:
    if not isinstance(value, bool):
        raise Invalid(f"{field} must be true or false.", field=field)


def _between(field: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not least <= value <= most:
        raise Invalid(f"{field} must be a number from {least} to {most}.", field=field)
