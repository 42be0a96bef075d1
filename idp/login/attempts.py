"""Attempts to prove something: counted before they are looked at, and what comes of those that are right or wrong.

Every way to prove something ends here, so that none of them can leave a count, an entry or a check out.
"""

import contextlib

from idp.audit import trail
from idp.audit.trail import SYSTEM
from idp.credentials import guesses, passwords
from idp.credentials.email_codes import TooManyCodes
from idp.credentials.guesses import Guesser, Reservation
from idp.login import contexts, identifiers, mailboxes, passkey_offers, progress, transactions
from idp.login.progress import standing
from idp.login.steps import Standing, Step, next_step, ways
from idp.login.transactions import SignIn
from idp.platform import clock, correlation
from idp.sessions import people, trusted_devices
from idp.sessions.levels import ONE_FACTOR
from idp.sessions.models import Browser
from idp.sessions.proofs import DEVICE, Proof
from idp.users import lifecycle, users

OTHER = "other_person"


def guesser(held: SignIn, known: Browser | None) -> Guesser:
    """Whose proof is tried in this sign-in, from where, as far as limits go."""
    name = identifiers.key(shown_as(held))
    return Guesser(name, correlation.current().address, held.user_id or "", _device(held, known))


def guesser_again(user_id: str, known: Browser) -> Guesser:
    """The same of somebody who is signed in in the browser `known`, and proves something again."""
    name = identifiers.key(users.find(user_id).username)
    return Guesser(name, correlation.current().address, user_id, known.id if people.is_known(known, user_id) else "")


def shown_as(sign_in: SignIn) -> str:
    """Who is signing in, as pages say: the name as it was typed, or that of whoever was picked."""
    return sign_in.identifier or users.find(sign_in.user_id or "").username


# Each of these is called inside `database.writing()`, with the sign-in held


def failed(held: SignIn, method: str, failure: str, reservation: Reservation = Reservation()) -> SignIn:  # noqa: B008 frozen
    """What was tried is not right: the trail says so, the page is shown again with `failure`."""
    _tell_failed(held.user_id or trail.disguised(held.identifier), method, reservation)
    return transactions.fail(held, failure)


def failed_again(user_id: str, method: str, reservation: Reservation) -> None:
    """What somebody tried who is signed in is not right."""
    _tell_failed(user_id, method, reservation)


def proven(held: SignIn, proof: Proof, known: Browser) -> tuple[SignIn, str]:
    """Take a proof that is right, of the person who is named; the sign-in as it stands then, and the browser's new
    token if somebody signed in. `known` is locked.

    A sign-in that is not for this person is for nobody: it asks anew who signs in. Told to nobody but whoever has
    proven something. A disabled person gets nowhere (SES-07).
    """
    user_id = held.user_id
    if user_id is None or lifecycle.is_disabled(user_id):
        return failed(held, proof.method, "mismatch"), ""
    if not held.demand.admits(user_id):
        return refuse_other(held), ""
    password = passwords.which(user_id) if proof.method == "password" else ""
    settled, cookie = go_on(transactions.prove(held, proof, password), known)
    _mail_code(settled, known)
    return settled, cookie


def go_on(held: SignIn, known: Browser) -> tuple[SignIn, str]:
    """Open or step up the session once nothing is left to prove, offer what helps next time, and choose what leaves no
    choice. As `proven`.
    """
    user_id = held.user_id
    if user_id is None or progress.step_of(held, known) not in (Step.OFFER, Step.SELECT, Step.DONE):
        return held, ""
    held = passkey_offers.open_if_due(held, known)
    cookie = ""
    spared = _spared(held, known)
    given = progress.given(held)
    if given:
        guesses.forgive(guesser(held, known))
    if given or spared:
        session, cookie = people.open_session(known, user_id, (*given, *spared))
        held = transactions.signed_in(held, session.id)
    if held.demand.wants_context() and not held.demand.forced and (only := contexts.only_one(user_id, held.demand)):
        held = transactions.choose(held, only.organization_id, only.account_id)
    if progress.step_of(held, known) is Step.DONE:
        held = transactions.settle(held, "done")
    return held, cookie


def refuse_other(held: SignIn) -> SignIn:
    """Ask anew who signs in: somebody showed who they are, and the sign-in is not for them."""
    return transactions.fail(transactions.name(held, "", None), OTHER)


def _mail_code(held: SignIn, known: Browser) -> None:
    """Mail a code, where one is asked for next and nothing better is there."""
    stood = standing(held, known) if held.outcome is None else Standing()
    if held.user_id and next_step(stood) is Step.VERIFY and ways(stood)[:1] == ("email_code",):
        with contextlib.suppress(TooManyCodes):
            mailboxes.send(held.user_id, held.id)


def _tell_failed(subject: str, method: str, reservation: Reservation) -> None:
    after = {"method": method} | ({"held_back": True} if reservation.is_barred else {})
    trail.record("signin.failed", by=SYSTEM, subject=subject, after=after)
    if reservation.begins_wait:
        trail.record("signin.held.back", by=SYSTEM, subject=subject)


def _spared(held: SignIn, known: Browser) -> tuple[Proof, ...]:
    """That the browser is trusted, where that is why no second factor was asked for."""
    stood = standing(held, known)
    if stood.level != ONE_FACTOR or not stood.has_second_factor:
        return ()
    device_id = trusted_devices.trusted(known, held.user_id or "")
    is_noted = any(one.method == DEVICE and one.factor_id == device_id for one in progress.proofs(held, known))
    return (Proof(DEVICE, clock.now(), factor_id=device_id),) if device_id and not is_noted else ()


def _device(held: SignIn, known: Browser | None) -> str:
    """The browser, where the person has signed in before: others' failures do not lock them out there (LOG-05)."""
    return known.id if known and people.is_known(known, held.user_id or "") else ""
