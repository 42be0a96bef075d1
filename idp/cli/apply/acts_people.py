"""Carrying out what concerns people and operators."""

from collections.abc import Sequence

from idp.audit.trail import Actor
from idp.cli.apply import steps
from idp.cli.apply.hands import Hands
from idp.cli.apply.steps import Step
from idp.credentials import passwords
from idp.login import changing_factors
from idp.sessions import people
from idp.users import addresses, lifecycle, operators, users
from idp.users.users import NewUser


def act(hands: Hands, step: Step) -> None:
    """Do one step."""
    by = hands.by
    match step:
        case steps.AddAddress():
            addresses.add(hands.user(step.subject), step.address, verified=step.is_verified, by=by)
        case steps.VerifyAddress():
            user = hands.user(step.subject)
            addresses.verify(user, addresses.find(user.id, step.address), by=by)
        case steps.MakePrimary():
            user = hands.user(step.subject)
            addresses.make_primary(user, addresses.find(user.id, step.address), by=by)
        case steps.RemoveAddress():
            user = hands.user(step.subject)
            addresses.remove(user, addresses.find(user.id, step.address), by=by)
        case steps.ChangeUser():
            users.reconfigure(hands.user(step.subject), step.wanted, by=by)
        case steps.EnableUser():
            lifecycle.enable(hands.user(step.subject), by=by)
        case steps.DisableUser():
            lifecycle.disable(hands.user(step.subject), by=by)
        case steps.DeleteUser():
            lifecycle.delete(hands.user(step.subject), by=by)
        case steps.SetPassword():
            _set_password(hands.id(step.subject), step.hash, by=by)
        case steps.SetApp():
            changing_factors.give_app(hands.id(step.subject), step.secret, by=by)
        case steps.SetCodes():
            changing_factors.give_codes(hands.id(step.subject), step.codes, by=by)
        case steps.AddOperator():
            operators.add(hands.user(step.subject), step.role, by=by)
        case steps.RemoveOperator():
            operators.remove(hands.user(step.subject), by=by)
        case _:
            raise TypeError(f"nobody knows how to {step.words()}")


def _set_password(user_id: str, hashed: str, *, by: Actor) -> None:
    """Whoever is signed in with another password is signed out, as by `idp user set-password`."""
    if not passwords.stored(user_id):
        passwords.store(user_id, hashed, by=by)
        return
    changing_factors.set_password(user_id, hashed, by=by)
    people.end_all_of(user_id, because="password_changed", by=by)


def create(hands: Hands, some: Sequence[steps.CreateUser]) -> None:
    """Make people."""
    ids = users.create_many([NewUser(one.wanted, one.id, one.email, one.is_verified) for one in some], by=hands.by)
    for step, user_id in zip(some, ids, strict=True):
        hands.made(step.subject, user_id)
