"""What the pages show, as values: templates decide nothing."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from examples.dashboard import places, wording
from examples.dashboard.calls import Outcome, Tried
from examples.dashboard.decisions import Decision, decisions
from examples.dashboard.renewal import Look
from examples.dashboard.visits import Visit


@dataclass(frozen=True)
class Row:
    """One call in the table. `kind` is a colour, `icon` and `verdict` say the same; `account`: named in the header.

    `other`: that is one that the token is not for, and can be gone to. `proof`: what to send along to the provider, for
    a call that wants it. `lost`: it was allowed at the last look.
    """

    call: str
    account: str
    needs: str
    kind: str
    icon: str
    verdict: str
    because: str
    status: int
    other: bool
    proof: Mapping[str, str]
    decision: Decision | None
    lost: bool


@dataclass(frozen=True)
class Problem:
    """A page that says what went wrong, and the way on."""

    title: str
    words: str
    way: str = "Sign in"
    path: str = "/login"


AWAY: Final = Problem(
    "Canopy does not answer",
    "Ledger could not reach the service that signs you in. Nothing is lost; try again in a moment.",
    "Try again",
    "/",
)

_VERDICTS: Final = {
    Outcome.ALLOWED: ("ok", "check", "Allowed"),
    Outcome.DENIED: ("bad", "x", "Denied"),
    Outcome.TOKEN_REFUSED: ("bad", "x", "Denied"),
    Outcome.WANTS_PROOF: ("warn", "shield", "Wants proof"),
    Outcome.UNSURE: ("warn", "alert", "No answer"),
}


def everything(look: Look, allowed_before: Collection[str]) -> dict[str, object]:
    """What the overview needs to know of a look."""
    visit, claims = look.visit, look.visit.tokens.claims
    here = places.current(visit.places, claims)
    return {
        "name": visit.name,
        "username": visit.username,
        "here": here,
        "places": places.by_organization(visit.places),
        "roles": wording.enumerated(wording.roles(claims.get("roles"))),
        "factors": wording.factors(claims),
        "methods": wording.methods(claims),
        "signed_in_at": wording.clock_time(claims.get("auth_time")),
        "ends_at": wording.clock_time(claims.get("exp")),
        "claims": wording.claims_in_words(claims, here, visit.name),
        "raw": visit.tokens.access.rpartition(".")[0],
        "rows": [_row(one, visit, allowed_before) for one in look.tried],
        "count": len(allowed(look.tried)),
        "refusal": look.refusal,
        "refused": look.refused,
    }


def allowed(tried: Iterable[Tried]) -> frozenset[str]:
    """The names of the calls that were allowed."""
    return frozenset(one.call.name for one in tried if one.outcome is Outcome.ALLOWED)


def refusal(error: str, description: str) -> Problem:
    """The page for what the provider answered instead of signing somebody in."""
    if error == "access_denied":
        return Problem("You are not signed in", description or "Canopy was told not to let Ledger in.", "Try again")
    if error == "mismatching_state":
        words = "This sign-in was finished already, begun in another browser, or left open for too long."
        return Problem("That sign-in is over", words, "To Ledger", "/")
    return Problem("Something went wrong", f"Canopy answered: {description or error}.", "Try again")


def not_here(error: Exception) -> Problem:
    """The page for an address or a form that leads nowhere."""
    if getattr(error, "code", 400) == 404:
        return Problem("There is nothing here", "The address may be mistyped, or the place is gone.", "To Ledger", "/")
    return Problem("That did not work", str(getattr(error, "description", "")), "To Ledger", "/")


def _row(one: Tried, visit: Visit, allowed_before: Collection[str]) -> Row:
    kind, icon, verdict = _VERDICTS[one.outcome]
    call = f"{one.call.method} {one.call.path}"
    lost = one.outcome is not Outcome.ALLOWED and one.call.name in allowed_before
    return Row(
        call=call,
        account=one.call.account,
        needs=one.call.needs,
        kind=kind,
        icon=icon,
        verdict=verdict,
        because=_because(one, visit),
        status=one.status,
        other=one.call.elsewhere and one.outcome is Outcome.DENIED,
        proof=one.asked_for,
        decision=decisions().get(call),
        lost=lost,
    )


def _because(one: Tried, visit: Visit) -> str:
    """Why the answer is what it is; the API's own words where it says more than we know from the token."""
    listed = visit.tokens.claims.get("permissions")
    is_listed = isinstance(listed, list) and one.call.needs in listed
    if one.outcome is Outcome.ALLOWED:
        return "It is among the permissions in your token."
    if one.outcome is Outcome.UNSURE:
        return "Payments cannot say just now." if one.status else "Payments does not answer."
    if one.outcome is Outcome.WANTS_PROOF:
        return f"You hold it, but it wants {_proof(one.asked_for)}."
    if one.outcome is Outcome.TOKEN_REFUSED:
        return f"Your token is not taken any more: {one.reason or 'refused'}."
    return one.reason if is_listed else "No role of yours holds it here."


def _proof(asked_for: Mapping[str, str]) -> str:
    level = {"aal2": "a second factor"}.get(asked_for.get("acr_values", ""), "more proof")
    seconds = asked_for.get("max_age", "")
    return f"{level}, at most {int(seconds) // 60} minutes old" if seconds.isdecimal() else level
