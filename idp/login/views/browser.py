"""The browser that asks: known by its one cookie, and listened to only where a form is one of ours (SES-03, SES-04).

The check of forms stands here, before every view: whatever is not a GET, and not for programs, needs a token.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, after_this_request, current_app, g, request

from idp.platform import access, clock, cookies, database
from idp.platform.errors import Refusal
from idp.platform.settings import settings
from idp.sessions import browsers, csrf, people
from idp.sessions.models import Browser
from idp.sessions.people import LiveSession

SIGNED_IN = "a signed-in person"
"""The need of a view that shows or does something of one person's own."""

View = TypeVar("View", bound=Callable[..., Any])

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_SECRET = "canopy_secretly_addressed"  # noqa: S105 the name of a mark
_TRANSACTION = "txn"


class ForeignForm(Refusal):
    """A form without our token, with that of another browser or person, or from another site."""

    code = "foreign_form"
    status = 403
    title = "This form is out of date, or was not shown by us"
    remedy = "Nothing was changed. Go back, reload the page and send it again; sign in again if you are asked to."


def init(app: Flask) -> None:
    """Check the forms of `app`, and give its templates the token."""
    app.before_request(_keep_address)  # first: also of what is refused
    app.before_request(_require_own_form)
    app.jinja_env.globals["csrf_token"] = token


def secretly_addressed(view: View) -> View:
    """Let nobody learn the address of `view` from our pages: it holds a secret that was mailed (RST-04).

    Browsers then name no origin with the forms of such a page (Fetch §3.2): those count where the browser says by
    `Sec-Fetch-Site` that they are our own.
    """
    setattr(view, _SECRET, True)
    return view


def _keep_address() -> None:
    if _has_secret_address():
        after_this_request(_tell_nobody)


def _tell_nobody(response: Response) -> Response:
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _has_secret_address() -> bool:
    return getattr(current_app.view_functions.get(request.endpoint or ""), _SECRET, False)


def current() -> Browser | None:
    """The browser that asks, if it is known."""
    if "browser" not in g:
        name = cookies.name_of(browsers.COOKIE, settings())
        g.cookie = cookies.read(request.headers.get("Cookie", ""), name)
        g.browser = browsers.recognise(g.cookie)
    known: Browser | None = g.browser
    return known


def locked() -> Browser:
    """The browser that asks, begun now if it is not known, locked until the transaction ends. Inside `writing()`.

    Raises `ForeignForm` when its cookie has changed since the request came in: whoever planted that cookie would else
    be given the new one (SES-02).
    """
    browser = browsers.lock(known_or_new().id)
    if not browsers.carries(browser, g.cookie):
        raise ForeignForm
    return browser


def unchanged() -> Browser:
    """The browser that asks, if its cookie is still the one that came with the request. Inside `writing()`.

    As `locked`, where nothing about the browser changes. Raises `ForeignForm`.
    """
    browser = current()
    if browser is None or not browsers.carries(browser, g.cookie):
        raise ForeignForm
    return browser


def signed_in() -> LiveSession | None:
    """The session of the person that the browser acts for: of several, whoever used it last."""
    if "signed_in" not in g:
        g.signed_in = next(iter(people.in_browser(current())), None)
    session: LiveSession | None = g.signed_in
    return session


def known_or_new() -> Browser:
    """The browser that asks, begun now if it is not known; then the answer sets its cookie. Inside `writing()`."""
    browser = current()
    if browser is None:
        browser, cookie = browsers.begin()
        carry(browser, cookie)
    return browser


def carry(browser: Browser, cookie: str) -> None:
    """Have the answer set the cookie of `browser`; said inside `writing()`, it goes out only if that commits."""
    g.browser, g.cookie = browser, cookie
    g.pop("signed_in", None)

    @after_this_request
    def set_cookie(response: Response) -> Response:
        if not database.is_writing() and response.status_code < 400:
            age = browsers.IDLE // clock.SECOND
            response.headers.add("Set-Cookie", cookies.written(browsers.COOKIE, cookie, settings(), max_age=age))
        return response


def token() -> str:
    """The value of `csrf_token` for a form on the page that is being answered."""
    browser = current()
    if browser is None:
        raise RuntimeError("a page with a form begins a browser first: `known_or_new`")
    return csrf.token(browser.id, _purpose())


def transaction() -> str:
    """The id of the sign-in that the address names; empty without one."""
    return request.args.get(_TRANSACTION, "")


def _require_own_form() -> None:
    if request.method in _SAFE or not request.endpoint or access.is_for_programs(_view()):
        return
    if not _is_from_here():
        raise ForeignForm
    browser = current()
    presented = request.form.getlist(csrf.FIELD)
    if browser is None or len(presented) != 1 or not csrf.is_genuine(presented[0], browser.id, _purpose()):
        raise ForeignForm


def _is_from_here() -> bool:
    """Whether the browser does not say that the form comes from elsewhere."""
    origin = request.headers.get("Origin")
    if origin == "null" and _has_secret_address():
        return request.headers.get("Sec-Fetch-Site") == "same-origin"
    return origin is None or origin == settings().issuer


def _purpose() -> str:
    """What the page is part of: of a person's own pages their session, else the sign-in under way, if any.

    What was shown to one person is not taken from another who uses the same browser (SES-08).
    """
    if access.needs_of(_view()) == SIGNED_IN:
        session = signed_in()
        return session.id if session else ""
    return transaction()


def _view() -> access.AnyView:
    return current_app.view_functions[request.endpoint or ""]
