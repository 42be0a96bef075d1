"""Authorization requests that wait for their person: kept on the server, bound to one browser, answered once.

Whatever happens on the way back from a page happens to the row: nothing that a browser could edit or drop decides.
"""

from dataclasses import dataclass
from urllib.parse import urlencode

from sqlalchemy import delete, exists, select, update

from idp.login import transactions
from idp.login.transactions import KEPT, LIFETIME, SignInOver
from idp.oauth import active_clients
from idp.oauth.authorize import AuthorizeRequest
from idp.oauth.consent import Shown
from idp.oauth.models import PendingRequest
from idp.platform import clock, database
from idp.platform.settings import settings
from idp.sessions import browsers
from idp.sessions.models import Browser


class RequestOver(SignInOver):
    """A request that ran out, was answered, belongs to another browser or never was: they cannot be told apart.

    `start`: where the application begins again, known to the browser that asked.
    """

    title = "This request of an application has ended"
    remedy = (
        "It was answered already, took longer than 30 minutes, or was begun in another browser. Nothing was changed: "
        "start again at the application."
    )


@dataclass(frozen=True)
class Pending:
    """A request as it stands. `begun_at`: when it came in; `agreed`: the person did, on the page that `shown` is."""

    id: str
    browser_id: str
    request: AuthorizeRequest
    sign_in_id: str
    shown: Shown | None
    agreed: bool
    begun_at: int


def find(browser: Browser | None, id: str) -> Pending:
    """The request as it stands in this browser. Raises `RequestOver`."""
    row = database.session().get(PendingRequest, id) if browser is not None and id else None
    if row is None or browser is None or row.browser_id != browser.id:
        raise RequestOver
    if row.settled_at is not None or clock.now() >= row.expires_at:
        raise RequestOver(_start(row.client_id))
    return _value(row)


# Each of these is called inside `database.writing()`


def begin(browser_id: str, request: AuthorizeRequest, *, begun_at: int) -> Pending:
    """Keep a request that has passed every check; `begun_at`: when it came in."""
    row = PendingRequest(
        browser_id=browsers.lock(browser_id).id,
        client_id=request.client_id,
        request_json=request.dump(),
        created_at=begun_at,
        expires_at=begun_at + LIFETIME,
    )
    database.session().add(row)
    database.session().flush()
    return _value(row)


def hold(browser: Browser | None, id: str) -> Pending:
    """`find`, with the row locked until the transaction ends: tabs of one browser queue on it."""
    find(browser, id)
    locked = select(PendingRequest).where(PendingRequest.id == id).with_for_update(key_share=True)
    database.session().scalars(locked, execution_options={"populate_existing": True}).one_or_none()
    return find(browser, id)


def send_to_sign_in(held: Pending, sign_in_id: str) -> None:
    """Note the sign-in to which the person was sent last; its outcome is what counts from now on."""
    _change(held, sign_in_id=sign_in_id)


def show(held: Pending, shown: Shown) -> None:
    """Note what the consent page is about to show."""
    _change(held, shown_json=shown.dump(), agreed_at=None)


def agree(held: Pending) -> None:
    """Note that the person agreed to what was shown."""
    _change(held, agreed_at=clock.now())


def settle(held: Pending) -> None:
    """Note that the request is answered: whoever waits for the row, or comes later, gets `RequestOver`."""
    _change(held, settled_at=clock.now())


def clean_up(limit: int = 500) -> int:
    """Delete up to `limit` requests that are long over; how many."""
    old = select(PendingRequest.id).where(PendingRequest.expires_at < clock.now() - KEPT).limit(limit)
    gone = database.session().execute(delete(PendingRequest).where(PendingRequest.id.in_(old)))
    return int(gone.rowcount)  # type: ignore[attr-defined]


def forget_browsers(limit: int = 500) -> int:
    """Delete up to `limit` browsers in which nothing is under way and nobody is or can be signed in; how many."""
    return transactions.forget_browsers(limit, unless=exists().where(PendingRequest.browser_id == Browser.id))


def _change(held: Pending, **values: str | int | None) -> None:
    database.session().execute(update(PendingRequest).where(PendingRequest.id == held.id).values(**values))


def _start(client_id: str) -> str:
    """Where the application begins anew (OpenID Connect Core §4), or our own first page."""
    client = active_clients.find(client_id)
    address = client.text("initiate_login_uri") if client else ""
    joined = "&" if "?" in address else "?"
    return f"{address}{joined}{urlencode({'iss': settings().issuer})}" if address else "/"


def _value(row: PendingRequest) -> Pending:
    return Pending(
        id=row.id,
        browser_id=row.browser_id,
        request=AuthorizeRequest.load(row.request_json),
        sign_in_id=row.sign_in_id or "",
        shown=Shown.load(row.shown_json) if row.shown_json else None,
        agreed=row.agreed_at is not None,
        begun_at=row.created_at,
    )
