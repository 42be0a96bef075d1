"""Answers by form, and requests by form, between two sites in Chromium under the policies that we ship."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import current_app
from playwright.sync_api import expect

from tests.actors import GOOD
from tests.flows import browsers, people
from tests.flows.browsers import Look, Visitor, press
from tests.oauth import minting
from tests.oauth.actors import RelyingParty, claims_of, relying_party
from tests.oauth.asking import PATH

STATE = "\r\n\"><script>alert(1)</script>'&amp;%0d%0a žluťoučký 馬 +100%"
SCRIPTS = pytest.mark.parametrize("look", [Look(), Look(scripts=False)], ids=["with scripts", "without scripts"])


@dataclass
class Shop:
    """A relying party on a site of its own; `heard`: the forms that browsers posted to it, and from where."""

    url: str = ""
    party: RelyingParty | None = None
    heard: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    page: str = ""


class _Desk(BaseHTTPRequestHandler):
    """Hears what is posted to `/cb`, says that it is done, and shows `page` at any other address."""

    shop: Shop

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.shop.heard.append((self.headers.get("Origin", ""), dict(parse_qsl(body, keep_blank_values=True))))
        self._say("<title>done</title>")

    def do_GET(self) -> None:
        self._say(self.shop.page)

    def _say(self, html: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(html.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def _open(shop: Shop) -> Iterator[None]:
    desk = ThreadingHTTPServer(("127.0.0.1", 0), type("Desk", (_Desk,), {"shop": shop}))
    shop.url = f"http://127.0.0.1:{desk.server_port}"
    thread = threading.Thread(target=desk.serve_forever)
    thread.start()
    try:
        yield
    finally:
        desk.shutdown()
        thread.join()
        desk.server_close()


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """The other site."""
    found = Shop()
    with _open(found):
        yield found


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory, shop: Shop) -> Iterator[Visitor]:
    """Somebody with a browser, at a provider that knows the shop and has people."""

    def prepare() -> None:
        people.build()
        app = current_app._get_current_object()  # type: ignore[attr-defined]
        minting.make_keys()
        shop.party = relying_party(
            app,
            "app_shop",
            redirect_uris=[f"{shop.url}/cb"],
            first_party=True,
            consent="skip",
            id_token_signed_response_alg="ES256",
        )

    with browsers.visitor(tmp_path_factory.mktemp("site"), prepare, rate_limits="off") as found:
        yield found


@pytest.fixture(autouse=True)
def _nothing_heard(shop: Shop) -> None:
    shop.heard.clear()


def party(shop: Shop) -> RelyingParty:
    """The shop as the provider knows it."""
    assert shop.party is not None
    return shop.party


@SCRIPTS
@pytest.mark.rule("AUZ-09")
def test_an_answer_by_form_arrives_at_another_site_as_it_was_meant(visitor: Visitor, shop: Shop, look: Look) -> None:
    asked = party(shop).authorize_url(response_mode="form_post", response_type="x", state=STATE)
    with visitor.visit(asked, look) as page:
        if not look.scripts:
            press(page, "#form-post-continue")
        expect(page).to_have_title("done")
    ((_, told),) = shop.heard
    assert (told["error"], told["state"], told["iss"]) == ("unsupported_response_type", STATE, visitor.url)


@pytest.mark.parametrize(
    "look", [Look(width=320, scripts=False), Look(width=320, scripts=False, language="ar")], ids=["en", "ar"]
)
def test_the_page_without_scripts_is_readable(visitor: Visitor, shop: Shop, look: Look) -> None:
    asked = party(shop).authorize_url(response_mode="form_post", response_type="x", state=STATE)
    with visitor.visit(asked, look) as page:
        expect(page.locator("#form-post-continue")).to_be_visible()
        assert browsers.overflow(page) == 0


@pytest.mark.rule("SES-03")
def test_a_request_by_form_from_another_site_is_answered_to_whoever_is_signed_in(visitor: Visitor, shop: Shop) -> None:
    fields = dict(parse_qsl(urlsplit(party(shop).authorize_url(response_mode="form_post", state=STATE)).query))
    inputs = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )
    shop.page = f'<form method="post" action="{visitor.url}{PATH}">{inputs}<button id="go">Go</button></form>'
    with visitor.visit("/login") as page:
        page.fill("[name=username]", "olivia")
        press(page, "#identifier-submit")
        page.fill("#password", GOOD)
        press(page, "#login-submit")
        expect(page.locator("body")).to_have_attribute("data-page", "me")
        page.goto(f"{shop.url}/")
        press(page, "#go")
        expect(page).to_have_title("done")
    ((_, told),) = shop.heard
    assert told["state"] == STATE
    tokens = party(shop).token(
        grant_type="authorization_code",
        code=told["code"],
        redirect_uri=f"{shop.url}/cb",
        code_verifier=party(shop).verifiers[STATE],
    )
    assert tokens.status_code == 200, tokens.text
    assert claims_of(tokens.get_json()["id_token"])["sub"] == "usr_olivia"
