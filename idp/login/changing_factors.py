"""What people prove themselves with, given and taken: nobody strands themselves, and nothing outlives what it rests on.

Each of these is called inside `database.writing()`, locks the person, and leaves proving who asks to its caller.
"""

from collections.abc import Collection
from dataclasses import replace

from idp.audit import trail
from idp.audit.trail import Actor
from idp.credentials import authenticator_apps, factors, held, mailed_links, passwords, recovery_codes
from idp.credentials.held import Held
from idp.credentials.models import Factor
from idp.login.trust import BY_CODE
from idp.organizations import strictest
from idp.platform.errors import Conflict, Invalid
from idp.sessions import levels, people, trusted_devices
from idp.sessions.levels import ONE_FACTOR
from idp.users.locks import lock


class LastWayIn(Conflict):
    """Without this the person could not sign in any more (TOT-09)."""

    code = "last_way_in"
    title = "This is your only way to sign in"
    remedy = "Add another passkey first, or set a password."


class LastPassword(LastWayIn):
    """The password is the last of it: nobody has a second one."""

    remedy = "Add a passkey first."


class StillDemanded(Conflict):
    """Without this the person could not enter an organization any more (TOT-09)."""

    code = "factor_demanded"
    title = "An organization of yours demands what this is needed for"
    remedy = "Set up something as strong first: another passkey, or where that will do an authenticator app."


class WrongCode(Invalid):
    """The code is not what the new authenticator app shows now."""

    code = "wrong_code"
    title = "That code is not right"
    remedy = "Wait for the next code of your app and enter that one."


def hindrance(user_id: str, factor_id: str) -> Conflict | None:
    """Why `remove` would refuse, if it would. Raises `NotFound` as `credentials.factors.find`."""
    return _hindrance(user_id, _without(held.by(user_id), factors.find(user_id, factor_id).kind))


def remove(user_id: str, factor_id: str, *, by: Actor) -> None:
    """Take a passkey, authenticator app or mailbox for codes from the person, with the trust in browsers that was given
    for it.

    What was proven with it does not count any more in any session, and one that rests on nothing else ends. Recovery
    codes are void with the last factor, and so is trust that was given for one. Raises `LastWayIn`, `StillDemanded`
    and `NotFound`.
    """
    lock(user_id)
    _refuse(hindrance(user_id, factor_id))
    _take(user_id, factor_id, by=by)
    if not factors.of(user_id):
        recovery_codes.void(user_id, by=by)
        trusted_devices.end_given_for(user_id, BY_CODE, by=by)


def set_up_app(user_id: str, bound_to: str, code: str, *, by: Actor) -> Factor:
    """Let the authenticator app that is being set up be the person's, in place of the one they have, if any.

    The old one is taken as `remove` takes it. Raises `WrongCode`.
    """
    lock(user_id)
    old = factors.app_of(user_id)
    made = authenticator_apps.confirm(user_id, bound_to, code, by=by, replaces=old.id if old else "")
    if made is None:
        raise WrongCode(field="otp")
    if old:
        _forget_what_rests_on(user_id, old.id, by=by)
    return made


def give_app(user_id: str, secret: bytes, *, by: Actor) -> None:
    """Let the person's authenticator app be one with this secret, made elsewhere, in place of the one they have.

    The old one is taken as `remove` takes it, and nobody is asked whether it may be.
    """
    lock(user_id)
    old = factors.app_of(user_id)
    if old:
        _take(user_id, old.id, by=by)
    authenticator_apps.store(user_id, secret, by=by)


def make_codes(user_id: str, *, by: Actor) -> tuple[str, ...]:
    """New recovery codes for the person, as `recovery_codes.make`. No browser is trusted any more that an old one was
    given for.
    """
    lock(user_id)
    trusted_devices.end_given_for(user_id, BY_CODE, by=by)
    return recovery_codes.make(user_id, by=by)


def give_codes(user_id: str, codes: Collection[str], *, by: Actor) -> None:
    """Let the person's recovery codes be these, made elsewhere; otherwise as `make_codes`."""
    lock(user_id)
    trusted_devices.end_given_for(user_id, BY_CODE, by=by)
    recovery_codes.store(user_id, codes, by=by)


def set_password(user_id: str, hashed: str, *, by: Actor, is_short: bool = False, by_mail: bool = False) -> None:
    """Let `hashed` be the person's password, as `passwords.store`. No browser is trusted any more, and no link
    adds an address that was asked for before.

    Sessions go on: whoever is to be signed out is the caller's to say.
    """
    lock(user_id)
    mailed_links.end_all("verify", user_id)
    passwords.store(user_id, hashed, by=by, is_short=is_short, by_mail=by_mail)
    trusted_devices.end_all_of(user_id, by=by)


def password_hindrance(user_id: str) -> Conflict | None:
    """Why `remove_password` would refuse, if it would."""
    return _hindrance(user_id, replace(held.by(user_id), has_password=0))


def remove_password(user_id: str, *, by: Actor) -> None:
    """Let the person sign in without a password. Raises `LastWayIn` and `StillDemanded`."""
    lock(user_id)
    _refuse(password_hindrance(user_id))
    passwords.remove(user_id, by=by)
    trusted_devices.end_all_of(user_id, by=by)


def reset(user_id: str, reason: str, *, by: Actor) -> int:
    """Take every passkey, authenticator app, recovery code, trusted browser and session from somebody who has lost
    them; how many factors. The password stays. Asks nobody whether they can get in again: that is the caller's to see
    to (TOT-08).
    """
    lock(user_id)
    mine = factors.of(user_id)
    for one in mine:
        _take(user_id, one.id, by=by)
    recovery_codes.void(user_id, by=by)
    mailed_links.end_all("verify", user_id)
    trusted_devices.end_all_of(user_id, by=by)
    ended = people.end_all_of(user_id, because="factors_reset", by=by)
    after = {"reason": reason, "factors": len(mine), "sessions": ended}
    trail.record("user.factors.reset", by=by, subject=user_id, after=after)
    return len(mine)


def _take(user_id: str, factor_id: str, *, by: Actor) -> None:
    factors.end(user_id, factor_id, by=by)
    _forget_what_rests_on(user_id, factor_id, by=by)


def _forget_what_rests_on(user_id: str, factor_id: str, *, by: Actor) -> None:
    people.retract(factor_id, by=by)
    trusted_devices.end_given_for(user_id, factor_id, by=by)


_COUNTED = {"passkey": "passkeys", "totp": "apps", "email_code": "mailboxes"}
"""What of `Held` counts the factors of each kind."""


def _without(has: Held, kind: str) -> Held:
    name = _COUNTED[kind]
    return replace(has, **{name: getattr(has, name) - 1})


def _refuse(hindrance: Conflict | None) -> None:
    if hindrance is not None:
        raise hindrance


def _hindrance(user_id: str, after: Held) -> Conflict | None:
    """What is left lets the person sign in, and reach what they can reach now and have to; else why not."""
    now = held.by(user_id)
    if not after.has_password and not after.passkeys:
        return LastPassword() if now.has_password else LastWayIn()
    before = _lasting(now)
    for one in strictest.of(user_id):
        wanted = levels.highest(ONE_FACTOR, *one.entry.levels)
        if _meets(before, one.entry.methods, wanted) and not _meets(_lasting(after), one.entry.methods, wanted):
            return StillDemanded(f"{one.organization} demands what this is needed for")
    return None


def _lasting(has: Held) -> frozenset[str]:
    """The methods that the person has, but for recovery codes: they run out."""
    return has.methods - {"recovery_code"}


def _meets(methods: frozenset[str], counting: tuple[str, ...], wanted: str) -> bool:
    return levels.meets(levels.reached(methods.intersection(counting)), wanted)
