"""What the pages show, as values: templates decide nothing."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from examples.dashboard import places, wording
from examples.dashboard.calls import Outcome, Tried
from examples.dashboard.decisions import Decision, decisions
from examples.dashboard.places import Place
from examples.dashboard.renewal import Look
from examples.dashboard.visits import Visit


@dataclass(frozen=True)
class Row:
    """One call in the table. `kind` is a colour, `icon` and `verdict` say the same; `account`: named in the header.

    `other`: that is one that the token is not for; `may_switch`: one may go there. `prove`: the path to the proof that
    the call wants, if it does. `lost`: it was allowed at the last look.
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
    may_switch: bool
    prove: str
    decision: Decision | None
    lost: bool


@dataclass(frozen=True)
class News:
    """What has happened since the last look, if anything, and the way on."""

    kind: str
    icon: str
    title: str
    words: str
    way: str = ""
    path: str = ""

    @property
    def role(self) -> str:
        """How urgently it is read out."""
        return "alert" if self.way else "status"


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
        "named": next((place.name for one in look.tried for place in visit.places if _names(one, place)), ""),
        "may_be_suspended": "super_admin" not in str(claims.get("roles")),
        "renews": look.refused is None,
        "roles": wording.enumerated(wording.roles(claims.get("roles"))),
        "factors": wording.factors(claims),
        "methods": wording.methods(claims),
        "signed_in_at": wording.clock_time(claims.get("auth_time")),
        "ends_at": wording.clock_time(claims.get("exp")),
        "claims": wording.claims_in_words(claims, here, visit.name),
        "raw": visit.tokens.access.rpartition(".")[0],
        "rows": [_row(one, visit, here, allowed_before) for one in look.tried],
        "count": len(allowed(look.tried)),
        "news": _news(look, here),
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


def way_back(here: Place, proof: Mapping[str, str]) -> str:
    """The path to the provider and back here, with what is to be proved."""
    account = {"account": here.account_id} if here.account_id else {}
    return "/login?" + urlencode({"organization": here.organization_id, **account, **proof})


def _news(look: Look, here: Place) -> News | None:
    refused, said = look.refused, f"{look.refusal.status} {look.refusal.reason}" if look.refusal else ""
    if refused is None:
        words = f"Payments refused your token ({said}). Ledger got a new one, and tried everything again."
        return News("warn", "info", "Something was taken away from you", words) if said else None
    if refused.wants_proof:
        title, words = f"{here.name} asks for more proof", "Canopy renews your token once you have proved more."
        return News("warn", "shield", title, words, "Go on", way_back(here, refused.proof))
    lost = "Payments refused your token, and " if said else ""
    if refused.context_is_lost:
        title, words = f"You may do nothing in {here.name} any more", f"{lost}Canopy gives no other one for this place."
        way, path = "Choose where to work", "/login?prompt=select_context"
    else:
        title, words = "Your sign-in has ended", f"{lost}Canopy does not renew it."
        way, path = "Sign in again", "/login"
    return News("bad", "alert", title, words[:1].upper() + words[1:], way, path)


def _row(one: Tried, visit: Visit, here: Place, allowed_before: Collection[str]) -> Row:
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
        other=one.call.elsewhere,
        may_switch=one.outcome is Outcome.DENIED,
        prove=way_back(here, one.asked_for) if one.asked_for else "",
        decision=decisions().get(call),
        lost=lost,
    )


def _because(one: Tried, visit: Visit) -> str:
    """Why the answer is what it is; the API's own words where it says more than we know from the token."""
    listed = visit.tokens.claims.get("permissions")
    is_listed = isinstance(listed, list) and one.call.needs in listed
    if one.outcome is Outcome.ALLOWED:
        return "Your token lists it."
    if one.outcome is Outcome.UNSURE:
        return "Payments cannot say just now." if one.status else "Payments does not answer."
    if one.outcome is Outcome.WANTS_PROOF:
        return f"You hold it, but it wants {_proof(one.asked_for)}."
    if one.outcome is Outcome.TOKEN_REFUSED:
        return f"Your token is not taken any more: {one.reason or 'refused'}."
    return one.reason if is_listed else "No role of yours holds it here."


def _names(one: Tried, place: Place) -> bool:
    """Whether the call names the place in its header because the token does not."""
    return bool(one.call.account) and one.call.account == place.account_id and not one.call.elsewhere


def _proof(asked_for: Mapping[str, str]) -> str:
    level = {"aal2": "a second factor"}.get(asked_for.get("acr_values", ""), "more proof")
    seconds = asked_for.get("max_age", "")
    return f"{level}, at most {int(seconds) // 60} minutes old" if seconds.isdecimal() else level
