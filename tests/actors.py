"""The other ends of the wire: they speak HTTP to the provider and know nothing of its inside."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from werkzeug.test import TestResponse

GOOD = "correct horse battery staple"
"""A password that satisfies every policy."""


@dataclass
class Form:
    """A form of a page: where it goes, and what its hidden and filled fields say."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[dict[str, str]] = field(default_factory=list)
    inputs: list[dict[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.body: dict[str, str] = {}
        self.headings: list[str] = []
        self.title = ""
        self.links: list[dict[str, str]] = []
        self.alerts = 0
        self._inside = ""
        self.feed(text)

    def updatepos(self, i: int, j: int) -> int:
        """Nobody asks on which line something stood."""
        return j

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "body":
            self.body = given
        if tag in ("h1", "title"):
            self._inside = tag
            self.headings += [""] if tag == "h1" else []
        if tag == "a":
            self.links.append(given)
        if given.get("role") == "alert":
            self.alerts += 1
        if tag == "form":
            self.forms.append(Form(given.get("method", "get"), given.get("action", "")))
        if tag == "button" and self.forms:
            self.forms[-1].buttons.append(given)
        if tag == "input" and self.forms:
            self.forms[-1].inputs.append(given)
            if given.get("type") not in ("radio", "checkbox") or "checked" in given:
                self.forms[-1].fields[given.get("name", "")] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "h1":
            self.headings[-1] += data
        if self._inside == "title":
            self.title += data


class Page:
    """A page as a program reads it."""

    def __init__(self, response: TestResponse) -> None:
        self.response = response
        self.status = response.status_code
        self.text = response.text
        self.path = response.request.path
        query = response.request.query_string.decode()
        self.address = f"{self.path}?{query}" if query else self.path
        read = _Reader(self.text)
        self.name = read.body.get("data-page", "")
        self.body, self.forms, self.links, self.alerts = read.body, read.forms, read.links, read.alerts
        self.heading = read.headings[0].strip() if read.headings else ""
        self.title = read.title

    def form(self, field: str) -> Form:
        """The form with that field, or the button with that id."""
        for form in self.forms:
            if field in form.fields or any(field in (one.get("id"), one.get("name")) for one in form.buttons):
                return form
            if any(one.get("name") == field for one in form.inputs):
                return form
        raise AssertionError(f"no form with {field} on {self.address}: {self.heading}")


class Browser:
    """A browser without scripts: keeps cookies, follows redirects, sends forms as they were shown."""

    def __init__(self, app: Flask, address: str = "192.0.2.1") -> None:
        self.client = app.test_client()
        self.address = address

    def get(self, path: str, **headers: str) -> Page:
        """The page at `path`, redirects followed."""
        return self._follow(self._ask("GET", path, headers=headers))

    def send(self, page: Page, field: str, **values: Any) -> Page:
        """Send the form of `page` that has `field`, filled in; the page that comes of it."""
        return self._follow(self.post(page, field, **values))

    def post(self, page: Page, field: str, **values: Any) -> TestResponse:
        """Send a form; the answer itself."""
        form = page.form(field)
        return self._ask("POST", form.action or page.address, data=form.fields | values)

    def sign_in(self, username: str, password: str = GOOD, path: str = "/login") -> Page:
        """Sign in as somebody, from `path` on; the page that comes of it."""
        page = self.send(self.get(path), "username", username=username)
        assert page.name == "password", page.text
        return self.send(page, "password", password=password)

    def cookie(self) -> str:
        """The value of the browser's cookie."""
        found = self.client.get_cookie("idp_browser")
        return found.value if found else ""

    def put_cookie(self, value: str) -> None:
        """Let the browser carry `value`, as somebody would who has stolen or planted it."""
        self.client.set_cookie("idp_browser", value)

    def _ask(
        self, method: str, path: str, *, data: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> TestResponse:
        return self.client.open(
            path, method=method, data=data, headers=headers, environ_overrides={"REMOTE_ADDR": self.address}
        )

    def _follow(self, response: TestResponse) -> Page:
        for _ in range(5):
            if response.status_code not in (302, 303):
                return Page(response)
            response = self._ask("GET", response.location)
        raise AssertionError(f"redirected in a circle, at last to {response.location}")


def transaction_in(page: Page) -> str:
    """The id of the sign-in that the address of the page names."""
    return parse_qs(urlsplit(page.address).query)["txn"][0]
