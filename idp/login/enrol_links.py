"""Links by which somebody sets up a passkey: made by who may help them, mailed, good once (WAN-08).

Whoever has something to prove themselves with proves it, as at every sign-in. For who has nothing at all, the link
itself is the first proof, until a passkey takes its place; it never comes into a session.
"""

from dataclasses import dataclass

from idp.audit import trail
from idp.audit.trail import Actor
from idp.credentials import held, mailed_links
from idp.credentials.mailed_links import Link, LinkVoid
from idp.login import helping, transactions
from idp.login.demands import Demand
from idp.login.transactions import SignIn
from idp.organizations import authority, proven_addresses
from idp.platform import clock, outbox
from idp.platform.errors import Conflict, Forbidden
from idp.platform.outbox import Letter
from idp.sessions.proofs import LINK, Proof
from idp.users import languages, lifecycle, zones
from idp.users.locks import lock

LIFETIME = 24 * clock.HOUR

PATH = "/login/enrol/link"
"""Where the link leads, before its token."""

_ALONE = "nothing else"
"""What a link rests on that is all its person has."""


class NowhereToMail(Conflict):
    """Nobody knows whose mailbox it is that an address names which was never confirmed."""

    code = "nowhere_to_mail"
    title = "This person has no confirmed e-mail address"
    remedy = "Show the link instead (--print), and hand it over yourself."


class OperatorShows(Forbidden):
    """Whoever sees a link could use it."""

    code = "link_not_shown"
    title = "Only the operator of this installation can be shown the link"
    remedy = "Have it mailed."


@dataclass(frozen=True)
class Made:
    """A new link: where it leads, and the address that it was mailed to, if it was."""

    path: str
    address: str
    expires_at: int


def find(token: str) -> Link:
    """What the link with that token is for, while its person may use it and the mailbox that it went to is theirs.

    Raises `LinkVoid`.
    """
    found = mailed_links.find(token, "enrol")
    if found.user_id is None or lifecycle.is_disabled(found.user_id):
        raise LinkVoid
    mine = {one.address_key for one in proven_addresses.recovering(found.user_id)}
    if found.address_key and found.address_key not in mine:
        raise LinkVoid
    return found


# Each of these is called inside `database.writing()`


def make(user_id: str, *, by: Actor, is_mailed: bool = True) -> Made:
    """A new link for the person, mailed to their first confirmed address, or (not `is_mailed`) shown to the operator.

    Older ones are void. Raises `NowhereToMail`, `OperatorShows` and what `helping.require_may` raises.
    """
    helping.require_may(user_id, by=by)
    if not is_mailed and not authority.is_unlimited(by):
        raise OperatorShows
    user, address = lock(user_id), next(iter(proven_addresses.recovering(user_id)), None)
    if user.deleted_at is not None or lifecycle.is_disabled(user_id):
        raise Conflict("A person who is disabled sets nothing up.")
    if is_mailed and address is None:
        raise NowhereToMail
    mailed_links.end_all("enrol", user_id)
    to, key = (address.address, address.address_key) if is_mailed and address else ("", "")
    token = mailed_links.make("enrol", user_id, to, key, lifetime=LIFETIME, rests_on=_rests_on(user_id))
    expires_at = clock.now() + LIFETIME
    if to:
        path, zone = f"{PATH}/{token}", zones.of(user)
        outbox.post(Letter("enrol", to, languages.of(user), path=path, expires_at=expires_at, zone=zone))
    trail.record("user.enrol.link.made", by=by, subject=user_id, after={"mailed": bool(to)}, email=to)
    return Made(f"{PATH}/{token}", to, expires_at)


def follow(token: str, browser_id: str, *, return_to: str) -> SignIn:
    """The sign-in of its person that the link begins in that browser, its last step a passkey. Raises `LinkVoid`.

    Who has a way to sign in uses the link up now, and signs in. Who has none uses it up with the passkey: until then
    it can be opened again.
    """
    user_id = find(token).user_id or ""
    person = lock(user_id)
    has = held.by(user_id)
    stands_alone = not has.has_password and not has.passkeys
    link = find(token) if stands_alone else mailed_links.spend(token, "enrol")
    if stands_alone and link.rests_on != _ALONE:
        raise LinkVoid
    begun = transactions.begin(browser_id, Demand(fresh=True, least="phr", person=user_id), return_to=return_to)
    begun = transactions.name(begun, person.username, user_id)
    if stands_alone:
        return transactions.prove(begun, Proof(LINK, clock.now(), vouched_by=mailed_links.id_of(token)))
    trail.record("user.enrol.link.used", by=Actor("user", user_id), subject=user_id)
    return begun


def use_up(held_in: SignIn) -> None:
    """Spend the link that this sign-in rests on, if it rests on one: with the passkey that takes its place. Raises
    `LinkVoid` where somebody was faster.
    """
    for proof in held_in.proofs:
        if proof.method == LINK:
            mailed_links.spend_by_id(proof.vouched_by, "enrol")
            trail.record("user.enrol.link.used", by=Actor("user", held_in.user_id or ""), subject=held_in.user_id or "")
            return


def _rests_on(user_id: str) -> str:
    has = held.by(user_id)
    return "" if has.has_password or has.passkeys else _ALONE
