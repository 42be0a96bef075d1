"""Consent as people give it: in Chromium, with scripts and without, narrow, dark, right to left, and back again."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from idp.app import start
from idp.audit.trail import SYSTEM
from idp.clients import clients
from idp.clients.clients import ClientContext, ClientSettings
from idp.keys import material, rotation
from idp.oauth.models import Authorization
from idp.organizations import accounts, grants, memberships, organizations, scopes
from idp.organizations.accounts import AccountSettings, NewAccount
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.platform import database
from tests.actors import GOOD
from tests.flows import browsers
from tests.flows.browsers import Look, Visitor, press
from tests.flows.people import EVIL, LONG
from tests.login.conftest import made
from tests.oauth.actors import challenge
from tests.traces import OPERATOR

HOME = "https://ledger.example.org"
EVERYTHING = "openid profile email address phone roles offline_access"
LOOKS = {
    "wide": Look(),
    "narrow and dark": Look(width=320, scheme="dark"),
    "right to left, narrow": Look(width=320, language="ar"),
}
SCRIPTS = pytest.mark.parametrize("look", [Look(), Look(scripts=False)], ids=["with scripts", "without scripts"])


class Desk(BaseHTTPRequestHandler):
    """An application on a site of its own: hears what browsers bring to it."""

    heard: list[dict[str, str]]

    def do_GET(self) -> None:
        self._hear(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._hear(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _hear(self, said: str) -> None:
        if self.path.startswith("/cb"):
            self.heard.append(dict(parse_qsl(said)))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<link rel=icon href='data:,'><title>Ledger</title><h1>Arrived</h1>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def desk() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The address of the application, and what it has heard so far."""
    heard: list[dict[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Desk,), {"heard": heard}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def heard(desk: tuple[str, list[dict[str, str]]]) -> list[dict[str, str]]:
    """What the application hears from now on."""
    desk[1].clear()
    return desk[1]


@pytest.fixture
def origin(desk: tuple[str, list[dict[str, str]]]) -> str:
    """Where the application is."""
    return desk[0]


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory, desk: tuple[str, list[dict[str, str]]]) -> Iterator[Visitor]:
    """Somebody with a browser, at a provider with three applications of somebody else's."""
    with browsers.visitor(tmp_path_factory.mktemp("site"), partial(build, desk[0]), rate_limits="off") as found:
        yield found


def build(origin: str) -> None:
    """Olivia, who may work in two accounts, and Mona, whose name is long; two applications of somebody else's."""
    start()
    pairs = material.generate([material.Slot("access_token", "ES256"), material.Slot("id_token", "RS256")])
    for username, name in (("olivia", "Olivia Lund"), ("mona", LONG), ("otto", "Otto")):
        made(username, id=f"usr_{username}", name=name)
    with database.writing():
        rotation.ensure(pairs, by=SYSTEM)
        for key, name, username in (("northwind", "Northwind", "olivia"), ("long", LONG, "mona")):
            organizations.found(OrganizationSettings(key, name), "usr_otto", id=f"org_{key}", by=OPERATOR)
            member = memberships.add(f"org_{key}", NewMember(f"usr_{username}"), by=OPERATOR)
            for shop in ("eu", "us"):
                new = NewAccount(AccountSettings(shop, f"{shop.upper()} shop", "DE"), True, id=f"acct_{key}_{shop}")
                accounts.open_account(f"org_{key}", new, by=OPERATOR)
            grants.grant(Wanted(Grantee("member", member.id), "view_only", scopes.named(key)), by=OPERATOR)
        register("ledger", origin, client_name="Ledger", policy_uri=f"{HOME}/privacy", tos_uri=f"{HOME}/terms")
        register("evil", origin, client_name=EVIL)
        register("long", origin, client_name=f"{LONG} and {LONG}"[:120])


def register(client_id: str, origin: str, **metadata: str) -> None:
    """Register an application of somebody else's; its people are asked each time."""
    given = {
        "redirect_uris": [f"{origin}/cb"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        **metadata,
    }
    clients.create(ClientSettings(given, ClientContext("any")), by=OPERATOR, id=client_id)


def asked(origin: str, client_id: str = "ledger", **parameters: str) -> str:
    """Path and query of an authorization request."""
    wanted = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": f"{origin}/cb",
        "scope": EVERYTHING,
        "state": "s-1",
        "code_challenge": challenge("v" * 43),
        "code_challenge_method": "S256",
        **parameters,
    }
    return f"/oauth2/authorize?{urlencode(wanted)}"


def is_at(page: Page, step: str) -> None:
    """The page says that it is `step`."""
    expect(page.locator("body")).to_have_attribute("data-page", step)


def come_to_consent(page: Page, visitor: Visitor, origin: str, username: str = "olivia", **parameters: str) -> None:
    """Sign in on the way to an application, and choose where to work, unless that is named."""
    page.goto(visitor.url + asked(origin, **parameters))
    page.fill("[name=username]", username)
    press(page, "#identifier-submit")
    page.fill("#password", GOOD)
    press(page, "#login-submit")
    is_at(page, "consent" if "account" in parameters else "select")
    if "account" not in parameters:
        page.locator("[name=context]").last.check()
        press(page, "#context-submit")
        is_at(page, "consent")


Heard = list[dict[str, str]]


@pytest.mark.rule("HTT-01")
@SCRIPTS
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_whoever_allows_arrives_at_another_origin(
    visitor: Visitor, origin: str, heard: Heard, look: Look, mode: str
) -> None:
    with visitor.visit("/login", look) as page:
        come_to_consent(page, visitor, origin, response_mode=mode)
        press(page, "#consent-allow")
        arrive(page, mode, look)
        (answer,) = heard
        assert (answer["state"], answer["iss"], bool(answer["code"])) == ("s-1", visitor.url, True)


@SCRIPTS
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_whoever_denies_arrives_there_as_well(
    visitor: Visitor, origin: str, heard: Heard, look: Look, mode: str
) -> None:
    with visitor.visit("/login", look) as page:
        come_to_consent(page, visitor, origin, response_mode=mode)
        press(page, "#consent-deny")
        arrive(page, mode, look)
        assert [answer["error"] for answer in heard] == ["access_denied"]


def arrive(page: Page, mode: str, look: Look) -> None:
    """At the application; by a button, where a form has to be posted without scripts."""
    if mode == "form_post" and not look.scripts:
        press(page, "#form-post-continue")
    expect(page.locator("h1")).to_have_text("Arrived")


def test_whoever_goes_back_while_signing_in_arrives_there_as_well(visitor: Visitor, origin: str, heard: Heard) -> None:
    with visitor.visit("/login") as page:
        page.goto(visitor.url + asked(origin))
        press(page, "#login-cancel")
        expect(page.locator("h1")).to_have_text("Arrived")
        assert [answer["error"] for answer in heard] == ["access_denied"]


@SCRIPTS
def test_what_is_left_out_is_not_agreed_to_and_reloading_and_going_back_are_safe(
    visitor: Visitor, origin: str, heard: Heard, look: Look
) -> None:
    with visitor.visit("/login", look) as page:
        come_to_consent(page, visitor, origin)
        page.reload()
        is_at(page, "consent")
        page.get_by_label("See your e-mail address").uncheck()
        press(page, "#consent-allow")
        expect(page.locator("h1")).to_have_text("Arrived")
        page.go_back()
        is_at(page, "error")
        page.reload()
        is_at(page, "error")
        assert len(heard) == 1
    with visitor.app.app_context():
        latest = select(Authorization.scope).order_by(Authorization.created_at.desc(), Authorization.id.desc())
        assert database.session().scalars(latest).first() == EVERYTHING.replace(" email", "")


@pytest.mark.rule("LGO-06")
@SCRIPTS
def test_going_back_to_the_page_after_signing_out_shows_nothing_of_anybody(
    visitor: Visitor, origin: str, look: Look
) -> None:
    with visitor.visit("/login", look) as page:
        come_to_consent(page, visitor, origin)
        expect(page.get_by_text("Olivia Lund")).to_be_visible()
        page.goto(f"{visitor.url}/logout")
        press(page, "#logout-confirm")
        is_at(page, "logged-out")
        for _ in range(3):
            page.go_back()
            expect(page.get_by_text("Olivia Lund")).to_have_count(0)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize(
    ("client_id", "username", "account"),
    [
        ("ledger", "olivia", "acct_northwind_eu"),
        ("evil", "olivia", "acct_northwind_eu"),
        ("long", "mona", "acct_long_eu"),
    ],
)
def test_the_page_can_be_read_by_everybody(
    visitor: Visitor, origin: str, look: Look, client_id: str, username: str, account: str
) -> None:
    with visitor.visit("/login", look) as page:
        come_to_consent(page, visitor, origin, username, client_id=client_id, account=account)
        assert browsers.overflow(page) == 0
        assert browsers.accessibility_problems(page) == []
        expect(page.locator("#consent-allow")).to_be_visible()
        heights = [page.locator(button).bounding_box() for button in ("#consent-allow", "#consent-deny")]
        assert all(box is not None and box["height"] >= 44 for box in heights)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_what_applications_may_do_can_be_read_and_taken_back_by_everybody(
    visitor: Visitor, origin: str, heard: Heard, look: Look
) -> None:
    with visitor.visit("/login", look) as page:
        come_to_consent(page, visitor, origin, "mona", client_id="long", account="acct_long_eu")
        press(page, "#consent-allow")
        expect(page.locator("h1")).to_have_text("Arrived")
        page.goto(f"{visitor.url}/me/apps")
        is_at(page, "me")
        assert browsers.overflow(page) == 0
        assert browsers.accessibility_problems(page) == []
        page.locator("button[name=client]").click()
        expect(page.locator("button[name=client]")).to_have_count(0)
