"""`/me/addresses`: your e-mail addresses, to be proven, made the primary one, and given up."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.credentials.mailed_links import LinkVoid
from idp.login import asking_addresses, changing_addresses
from idp.login.asking import TooManyLetters
from idp.login.asking_addresses import Pending, TooManyAddresses
from idp.login.changing_addresses import LastAddress, ManagedAddress, NotUsable, StillPrimary
from idp.login.views import answers, requires
from idp.me.views import frame
from idp.organizations import proven_addresses
from idp.platform import clock, database
from idp.platform.errors import Invalid, NotFound, Refusal
from idp.sessions.people import LiveSession
from idp.users import addresses
from idp.users.models import Address

PATH = changing_addresses.OWN

_TOLD = (
    LastAddress, LinkVoid, ManagedAddress, NotFound, NotUsable, StillPrimary, TooManyAddresses, TooManyLetters
)  # fmt: skip
"""What the page itself says instead of being refused."""


@dataclass(frozen=True)
class Shown:
    """One address. `counts`: it signs in, and is told to applications; `manager`: the organization that gave it;
    `may_go`: it can be removed.
    """

    row: Address
    counts: bool
    manager: str
    may_go: bool


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(PATH, "me_addresses", show, methods=["GET"])
    app.add_url_rule(PATH, "change_addresses", change, methods=["POST"])


def shown(user_id: str) -> Sequence[Shown]:
    """The addresses of the person, the primary one first."""
    managers = proven_addresses.managers(user_id)
    counting = {one.id for one in proven_addresses.counting(user_id)}
    return [
        Shown(
            one,
            one.id in counting,
            managers.get(one.id, "") if one.verified_at else "",
            changing_addresses.hindrance_of(one) is None,
        )
        for one in addresses.of(user_id)
    ]


@requires.recently_proven
def show(session: LiveSession) -> ResponseReturnValue:
    """The page."""
    return _page(session)


@requires.recently_proven
def change(session: LiveSession) -> ResponseReturnValue:
    """Do what the button says to the address that it stands beside."""
    act, which = request.form.get("act", ""), request.form.get("address", "")
    try:
        with database.writing():
            requires.still_recent(session)
            done = _act(session, act, which)
    except (Invalid, *_TOLD) as refusal:
        return _page(session, refusal)
    return frame.done(session, done, PATH)


def _act(session: LiveSession, act: str, which: str) -> str:
    """What was done, for the page to say."""
    user_id, by = session.user_id, Actor("user", session.user_id)
    match act:
        case "add":
            typed, is_change = request.form.get("email", "").strip(), "change" in request.form
            asking_addresses.ask(user_id, typed, is_change=is_change, by=by)
            return "address.asked"
        case "verify":
            asking_addresses.ask(user_id, addresses.find(user_id, which).address, by=by)
            return "address.asked"
        case "again":
            asking_addresses.ask_again(user_id, which, by=by)
            return "address.asked"
        case "forget":
            asking_addresses.give_up(user_id, which)
            return "address.forgotten"
        case "primary":
            changing_addresses.make_primary(user_id, which, by=by)
            return "address.primary"
        case "keep":
            changing_addresses.keep(user_id, which, by=by)
            return "address.kept"
        case "remove":
            changing_addresses.remove(user_id, which, by=by)
            return "address.removed"
        case _:
            raise NotFound("There is nothing that could be done to it.")


def _page(session: LiveSession, refusal: Refusal | None = None) -> Response:
    mine = shown(session.user_id)
    primary = next((one for one in mine if one.row.is_primary and one.counts), None)
    page = frame.page(
        session,
        "profile",
        "me/addresses.html",
        refusal.status if refusal else 200,
        just_done=frame.just_done(session),
        offers_ending=False,
        now=clock.now(),
        addresses=mine,
        pending=_pending(session.user_id, mine),
        replaceable=primary.row.address if primary and not primary.manager else "",
        typed=request.form.get("email", "") if refusal else "",
        wants_change="change" in request.form,
        problem=answers.in_words(refusal) if isinstance(refusal, Invalid) else "",
        refused=frame.told(refusal) if refusal and not isinstance(refusal, Invalid) else None,
    )
    if isinstance(refusal, TooManyLetters):
        page.headers["Retry-After"] = str(refusal.retry_after)
    return page


def _pending(user_id: str, mine: Sequence[Shown]) -> Sequence[Pending]:
    """What waits to be proven; of an address that is in the list already, the list says so."""
    held = {one.row.address_key for one in mine if one.counts}
    return [one for one in asking_addresses.pending(user_id) if one.address_key not in held]
