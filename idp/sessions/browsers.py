"""Browsers: told apart by one cookie, whose value changes whenever what it proves does (SES-01)."""

from sqlalchemy import select

from idp.platform import bearer, clock, correlation, database
from idp.platform.errors import NotFound
from idp.sessions.models import Browser

IDLE = 400 * clock.DAY
"""A browser in which nobody has signed in or out for so long is forgotten; no cookie lives longer (RFC 6265bis)."""

COOKIE = "browser"
"""The name of the cookie, as `platform.cookies` takes it."""

_LONGEST_AGENT = 256


def recognise(token: str | None) -> Browser | None:
    """The browser that carries `token` in its cookie, or `None`: nothing else about it is believed."""
    if not token:
        return None
    statement = select(Browser).where(
        Browser.token_digest == bearer.digest(token), Browser.last_seen_at > clock.now() - IDLE
    )
    return database.session().scalars(statement).one_or_none()


def carries(browser: Browser, token: str) -> bool:
    """Whether `token` is the one in the cookie of `browser`, which is locked."""
    return browser.token_digest == bearer.digest(token)


def begin() -> tuple[Browser, str]:
    """A browser that was never seen before, and the token for its cookie."""
    token = bearer.mint()
    origin = correlation.current()
    browser = Browser(
        token_digest=bearer.digest(token), address=origin.address, user_agent=origin.user_agent[:_LONGEST_AGENT]
    )
    database.session().add(browser)
    database.session().flush()
    return browser, token


def lock(browser_id: str) -> Browser:
    """The browser, locked until the transaction ends: whatever two of its tabs do, they do one after the other.

    Who locks people, too, locks them first. Raises `NotFound`.
    """
    wanted = select(Browser).where(Browser.id == browser_id).with_for_update(key_share=True)
    browser = database.session().scalars(wanted, execution_options={"populate_existing": True}).one_or_none()
    if browser is None:
        raise NotFound("This browser is not known.")
    return browser


def renew(browser: Browser) -> str:
    """A new token for the cookie of `browser`; the old one is dead from the commit on."""
    token = bearer.mint()
    origin = correlation.current()
    browser.token_digest, browser.last_seen_at = bearer.digest(token), clock.now()
    browser.address, browser.user_agent = origin.address, origin.user_agent[:_LONGEST_AGENT]
    database.session().flush()
    return token
