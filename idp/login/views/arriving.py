"""People who come by a mailed link: the sign-in that they go on with in this browser, and what is said of the link."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Response, request

from idp.credentials.mailed_links import LinkVoid
from idp.login import attempts, progress, returning, transactions
from idp.login.demands import Demand
from idp.login.transactions import Settled, SignIn, SignInOver
from idp.login.views import answers, browser
from idp.login.views.identifier import RENAMING, Candidate, candidate
from idp.platform import clock, correlation, database
from idp.sessions import people
from idp.sessions.proofs import Proof


@dataclass(frozen=True)
class Around:
    """What the page says of the browser that a link was opened in: `is_other`: it was not asked for here; `others`:
    people other than the link's who are signed in.
    """

    is_other: bool
    others: Sequence[Candidate]


def one_value(name: str) -> str:
    """What the form says in the field, empty unless it says it exactly once (RST-02)."""
    given = request.form.getlist(name)
    return given[0] if len(given) == 1 else ""


def begin_browser() -> None:
    """See to it that the browser is known, so that it can be shown a form."""
    if browser.current() is None:
        with database.writing():
            browser.known_or_new()


def under_way(id: str) -> SignIn | None:
    """The sign-in of this browser with that id, while somebody can still be named in it."""
    try:
        found = transactions.find(browser.current(), id)
    except SignInOver:
        return None
    is_open = found.outcome is None and progress.step_of(found, browser.current()) in RENAMING
    return found if is_open else None


def around(asked_in: str, user_id: str | None) -> Around:
    """What is to be said of this browser. `asked_in`: the id of the one in which the link was asked for."""
    known = browser.current()
    others = [candidate(one.id, one.user_id) for one in people.in_browser(known) if one.user_id != user_id]
    return Around(known is None or known.id != asked_in, others)


def void(over: LinkVoid, again: str = "") -> Response:
    """What is answered for a link that cannot be used: with a way to a new one, at `again`, where there is one."""
    reference = correlation.current().request_id
    return answers.page("login/link_void.html", None, over.status, again=again, reference=reference)


# Each of these is called inside `database.writing()`


def take_up(id: str) -> SignIn | str:
    """The sign-in of this browser with that id, held; or where it leads, if nobody can be named in it any more."""
    try:
        held = transactions.hold(browser.current(), id)
    except Settled:
        return returning.HOME
    except SignInOver as over:
        return returning.or_home(over.start)
    return held if progress.step_of(held, browser.current()) in RENAMING else returning.HOME


def go_on(taken: SignIn | str, name: str, user_id: str) -> tuple[SignIn, str]:
    """Sign the person in who has just set a password, as far as that goes, in what `take_up` found or a sign-in of
    its own; as `attempts.proven`. The person is locked.
    """
    if isinstance(taken, str):
        taken = transactions.begin(browser.known_or_new().id, Demand(), return_to=taken)
    held = transactions.name(taken, name, user_id)
    return attempts.proven(held, Proof("password", clock.now()), browser.locked())
