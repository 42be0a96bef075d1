"""Break-glass codes, tried: under the limits that every way to prove something shares (LOG-07)."""

from idp.credentials import guesses
from idp.credentials.guesses import Guesser
from idp.login import attempts
from idp.organizations import break_glass

METHOD = "break_glass"

# Each of these is called inside `database.writing()`


def spend(organization_id: str, who: Guesser, code: str) -> bool:
    """Use a code up for the super admin `who`, counted as every guess; as `break_glass.spend`.

    Raises `guesses.TooMany` and `break_glass.SuperAdminOnly`.
    """
    reservation = guesses.reserve(who)
    if reservation.is_barred or not break_glass.spend(organization_id, who.person, code):
        attempts.failed_again(who.person, METHOD, reservation)
        return False
    guesses.succeeded(reservation)
    return True


def check(organization_id: str, code: str) -> bool:
    """Whether the code could be spent, asked by the operator; counted, too. Raises `guesses.TooMany`."""
    reservation = guesses.reserve(Guesser(f"{METHOD}:{organization_id}", "", organization_id))
    if reservation.is_barred or not break_glass.is_good(organization_id, code):
        return False
    guesses.succeeded(reservation)
    return True
