"""`/recover`: a forgotten password, the mistakes people make with it, and what others try with it."""

from tests import asking
from tests.actors import Browser, Page

NEW = "staple battery horse correct"
MAILBOX = "olivia@northwind.test"


def asked(browser: Browser, name: str = MAILBOX, path: str = "/recover") -> Page:
    """The page that says that a letter is on its way."""
    return browser.send(browser.get(path), "username", username=name)


def test_somebody_forgets_their_password_and_signs_in_with_another(browser: Browser, olivia: str) -> None:
    page = browser.get("/recover")
    assert (page.name, page.heading) == ("recover", "Reset your password")
    page = browser.send(page, "username", username=MAILBOX)
    assert (page.name, page.heading) == ("recover", "Check your mail")
    page = browser.get(asking.link(MAILBOX))
    assert (page.status, page.name, page.heading) == (200, "recover", "Choose a new password")
    page = browser.send(page, "password", password=NEW)
    assert (page.name, page.path) == ("me", "/me")
