"""Sign-ins under way: what happened so far stands on the server, bound to one browser before anything is asked.

Each function here looks at the row anew, in the transaction that changes it: bound to this browser, not expired, not
settled. Tabs of one browser queue on the row.
"""

import json
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, delete, exists, or_, select, update

from idp.login.demands import Demand
from idp.login.models import Transaction
from idp.platform import clock, database
from idp.platform.errors import Refusal
from idp.sessions import browsers, upkeep
from idp.sessions.models import Browser
from idp.sessions.proofs import Proof

LIFETIME = 30 * clock.MINUTE

POSSIBLE, OPEN, CLOSED = "possible", "open", "closed"
"""An offer of a passkey for the next time: this browser could make one; not yet answered; answered."""

KEPT = clock.HOUR
"""How long after its end a sign-in is remembered, so that a page that stayed open leads on."""


class SignInOver(Refusal):
    """A sign-in that ran out, was settled, belongs to another browser or never was: they cannot be told apart.

    `start`: where to begin again, known to the browser that began it.
    """

    code = "transaction_expired"
    status = 400
    title = "This sign-in has ended"
    remedy = "It took longer than 30 minutes, or it was begun in another browser. Nothing was changed: start again."

    def __init__(self, start: str = "/") -> None:
        super().__init__()
        self.start = start


class Settled(SignInOver):
    """A sign-in of this browser that has come to its end: whoever comes back to it goes on from there."""

    def __init__(self, sign_in: "SignIn") -> None:
        super().__init__(sign_in.return_to)
        self.sign_in = sign_in


@dataclass(frozen=True)
class SignIn:
    """A sign-in as it stands. `identifier`: the name as typed, empty where somebody was picked from a list.

    `proofs`: what was proven and is not yet part of a session; `password`: by which password (`passwords.which`), so
    that it ends with that one; `session_id`: the session that this goes on from. `offer`: empty, `POSSIBLE`, `OPEN`
    or `CLOSED`.
    """

    id: str
    browser_id: str
    return_to: str
    application: str
    demand: Demand
    identifier: str
    user_id: str | None
    proofs: tuple[Proof, ...]
    password: str
    session_id: str | None
    has_declined: bool
    offer: str
    failure: str
    organization_id: str | None
    account_id: str | None
    created_at: int
    expires_at: int
    outcome: str | None

    @property
    def is_named(self) -> bool:
        """Whether somebody said who is signing in."""
        return bool(self.identifier or self.user_id)


def begin(browser_id: str, demand: Demand, *, return_to: str, application: str = "") -> SignIn:
    """A sign-in in that browser. `return_to`: a path of our own origin; `application`: its name, for titles.

    Nobody is named yet, also where the demand is for one person: whoever asks need not know what they are called.
    """
    row = Transaction(
        browser_id=browsers.lock(browser_id).id,
        return_to=return_to,
        application=application,
        demand_json=demand.dump(),
        expires_at=clock.now() + LIFETIME,
    )
    database.session().add(row)
    database.session().flush()
    return _value(row)


def find(browser: Browser | None, id: str) -> SignIn:
    """The sign-in as it stands, also a settled one. Raises `SignInOver`, also for those of other browsers."""
    row = database.session().get(Transaction, id) if browser is not None and id else None
    if row is None or browser is None or row.browser_id != browser.id:
        raise SignInOver
    if row.outcome is None and clock.now() >= row.expires_at:
        raise SignInOver(row.return_to)
    return _value(row)


def outcome(browser: Browser | None, id: str) -> SignIn:
    """How a sign-in of this browser was settled, for whoever asked for it. Raises `SignInOver` while it is not."""
    found = find(browser, id)
    if found.outcome is None:
        raise SignInOver(found.return_to)
    return found


# Each of these is called inside `database.writing()`


def hold(browser: Browser | None, id: str) -> SignIn:
    """`find`, with the row locked until the transaction ends. Raises `SignInOver`, and `Settled` for a settled one."""
    found = find(browser, id)
    row = (
        database.session()
        .scalars(
            select(Transaction).where(Transaction.id == found.id).with_for_update(key_share=True),
            execution_options={"populate_existing": True},
        )
        .one_or_none()
    )
    if row is None:
        raise SignInOver(found.return_to)
    if row.outcome is not None:
        raise Settled(_value(row))
    return _value(row)


def name(held: SignIn, identifier: str, user_id: str | None) -> SignIn:
    """Say who is signing in, by a name as typed; what was said, proven or failed before is forgotten."""
    return _name(held, identifier, user_id, None)


def pick(held: SignIn, user_id: str, session_id: str) -> SignIn:
    """Say who is signing in, by picking somebody of this browser: what counts of their session is not asked again."""
    return _name(held, "", user_id, session_id)


def fail(held: SignIn, failure: str) -> SignIn:
    """Have the page shown again with `failure`."""
    return _change(held, failure=failure)


def prove(held: SignIn, proof: Proof, password: str = "") -> SignIn:
    """Note that the person proved something. `password`: by which one, if by one; as of `SignIn`."""
    proofs = [asdict(one) for one in (*held.proofs, proof)]
    said = {"proofs": proofs, "password": password or held.password}
    return _change(held, proofs_json=json.dumps(said), failure="")


def decline(held: SignIn) -> SignIn:
    """Note that the person does not want to set anything up now."""
    return _change(held, declined=1, failure="")


def offer(held: SignIn, how: str) -> SignIn:
    """Note how an offer stands; of the kinds of `SignIn.offer`."""
    return _change(held, offer=how, failure="")


def signed_in(held: SignIn, session_id: str) -> SignIn:
    """Note that what was proven is part of a session now."""
    return _change(held, proofs_json="[]", session_id=session_id, failure="")


def choose(held: SignIn, organization_id: str, account_id: str) -> SignIn:
    """Note the context that the person chose; `account_id` empty for the organization itself."""
    return _change(held, organization_id=organization_id, account_id=account_id or None, failure="")


def settle(held: SignIn, outcome: str) -> SignIn:
    """End the sign-in as `done` or `cancelled`, once: of two that try, one gets `Settled`."""
    open_one = update(Transaction).where(Transaction.id == held.id, Transaction.outcome.is_(None))
    settled = database.session().execute(open_one.values(outcome=outcome, settled_at=clock.now()))
    if not settled.rowcount:  # type: ignore[attr-defined]
        raise Settled(_read(held.id))
    return _read(held.id)


def cancel_all(browser: Browser) -> None:
    """End every sign-in that is under way in that browser: the next person finds nothing of the last one (SES-08)."""
    open_ones = update(Transaction).where(Transaction.browser_id == browser.id, Transaction.outcome.is_(None))
    database.session().execute(open_ones.values(outcome="cancelled", settled_at=clock.now()))


def forget_proofs(user_id: str) -> None:
    """Let every sign-in of the person that is under way ask for everything anew.

    One that is held just now is left alone: who holds it may wait for the person, whom the caller has locked.
    """
    theirs = select(Transaction.id).where(Transaction.user_id == user_id, Transaction.outcome.is_(None))
    free = database.session().scalars(theirs.with_for_update(skip_locked=True)).all()
    database.session().execute(update(Transaction).where(Transaction.id.in_(free)).values(proofs_json="[]"))


def clean_up(limit: int = 500) -> int:
    """Delete up to `limit` sign-ins that are long over; how many. Call it inside `database.writing()`."""
    old = select(Transaction.id).where(Transaction.expires_at < clock.now() - KEPT).limit(limit)
    gone = database.session().execute(delete(Transaction).where(Transaction.id.in_(old)))
    return int(gone.rowcount)  # type: ignore[attr-defined]


def forget_browsers(limit: int = 500, *, unless: ColumnElement[bool] | None = None) -> int:
    """Delete up to `limit` browsers in which nothing is under way and nobody is or can be signed in; how many.

    `unless`: what else keeps a row of `browsers`; rooms above know.
    """
    under_way = exists().where(Transaction.browser_id == Browser.id)
    kept = under_way if unless is None else or_(under_way, unless)
    return upkeep.forget_browsers(unless=kept, limit=limit)


def _name(held: SignIn, identifier: str, user_id: str | None, session_id: str | None) -> SignIn:
    said = {"identifier": identifier, "user_id": user_id, "session_id": session_id}
    return _change(held, **said, proofs_json="[]", declined=0, offer="", failure="")


def _change(held: SignIn, **values: str | int | None) -> SignIn:
    database.session().execute(update(Transaction).where(Transaction.id == held.id).values(**values))
    return _read(held.id)


def _read(id: str) -> SignIn:
    return _value(database.session().get_one(Transaction, id, populate_existing=True))


def _value(row: Transaction) -> SignIn:
    stored = json.loads(row.proofs_json)
    said = stored if isinstance(stored, dict) else {"proofs": stored, "password": ""}
    return SignIn(
        id=row.id,
        browser_id=row.browser_id,
        return_to=row.return_to,
        application=row.application,
        demand=Demand.load(row.demand_json),
        identifier=row.identifier,
        user_id=row.user_id,
        proofs=tuple(Proof(**one) for one in said["proofs"]),
        password=said["password"],
        session_id=row.session_id,
        has_declined=bool(row.declined),
        offer=row.offer,
        failure=row.failure,
        organization_id=row.organization_id,
        account_id=row.account_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        outcome=row.outcome,
    )
