"""Chromium as people have it: it looks at pages of a provider that really listens."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from idp.platform import database, schema
from tests.platform import sites

_QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """How somebody looks at a page: the width of the window in pixels, light or dark, and the language."""

    width: int = 1280
    scheme: Literal["light", "dark"] = "light"
    language: str = "en"
    scripts: bool = True


class Visitor:
    """Somebody with a browser at the provider `app`, whose address is `url`."""

    def __init__(self, browser: Browser, url: str, app: Flask) -> None:
        self._browser = browser
        self.url = url
        self.app = app

    @contextlib.contextmanager
    def also_at(self, folder: Path, prepare: Callable[[], None], **given: object) -> Iterator["Visitor"]:
        """The same browser at another provider; arguments as of `visitor`."""
        with _provider(folder, prepare, **given) as (url, app):
            yield Visitor(self._browser, url, app)

    @contextlib.contextmanager
    def visit(self, path: str, look: Look = Look(), *, complaint: str = "status of") -> Iterator[Page]:
        """The page at `path`; whatever the browser complains about, but for the expected `complaint`, is a failure."""
        with visit(self._browser, self.url + path, look, complaint=complaint) as page:
            yield page


@contextlib.contextmanager
def visit(browser: Browser, address: str, look: Look = Look(), *, complaint: str = "status of") -> Iterator[Page]:
    """The page at `address`; see `Visitor.visit`."""
    context = browser.new_context(
        viewport={"width": look.width, "height": 800},
        color_scheme=look.scheme,
        locale=look.language,
        java_script_enabled=look.scripts,
    )
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    yield page
    context.close()
    assert [text for text in complaints if complaint not in text and "status of" not in text] == []


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser itself."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(_QUIET))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def visitor(folder: Path, prepare: Callable[[], None] = lambda: None, **given: object) -> Iterator[Visitor]:
    """A visitor of a provider under development rules, with a database in `folder` that holds what `prepare` makes.

    `given`: settings of the provider.
    """
    with chromium() as browser, _provider(folder, prepare, **given) as (url, app):
        yield Visitor(browser, url, app)


@contextlib.contextmanager
def _provider(folder: Path, prepare: Callable[[], None], **given: object) -> Iterator[tuple[str, Flask]]:
    """A provider that listens: its address, and itself."""
    with socket.create_server(("localhost", 0)) as reserved:
        port = reserved.getsockname()[1]
    with sites.site(folder, issuer=f"http://localhost:{port}", rules="development", **given) as site:
        with site.app.app_context():
            schema.upgrade()
            prepare()
            database.db.session.remove()
        server = make_server("localhost", port, site.app, threaded=True, request_handler=_Silent)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{port}", site.app
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Silent(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


def press(page: Page, button: str) -> None:
    """Press `button`, a selector, and wait until the browser has loaded the answer.

    What comes next must not overtake it: Chromium refuses to reload a page that is still taking another's place.
    """
    with page.expect_navigation():
        page.click(button)


def accessibility_problems(page: Page) -> list[str]:
    """What axe finds on `page`: rule, and where."""
    found = Axe().run(page).response["violations"]
    return [f"{problem['id']}: {node['html']}" for problem in found for node in problem["nodes"]]


def overflow(page: Page) -> int:
    """Pixels by which `page` is wider than its window (WCAG 2.2, 1.4.10)."""
    wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wide
